"""Recommendation: predicted probabilities, of dlrm-v2 with the labels beside them or in day_23, of dlrm-v3 with all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from audit.metrics import labels
from audit.metrics.log import first_responses, responses, within
from benchmarks._metrics import clicks
from benchmarks._metrics.intervals import bootstrap
from benchmarks._metrics.means import mean, proportion, ratio, resamples
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Score

DAY, TRACE = "day_23", "dlrm_trace_of_aggregated_samples.txt"
FRAME = 3  # numbers of a dlrm-v3 response beside predictions, labels and weights: time, query, count


def criteo(run: Run, data: Path | None) -> list[Score]:
    """AUC and accuracy in percent over all rows of dlrm-v2.

    Without `data` the log holds (prediction, label) pairs; with it, predictions alone, and the folder holds day_23 and
    the trace of how many rows each sample has.
    """
    found = list(first_responses(run))
    parts = [_floats(response.data, response.qsl_idx) for response in found]
    if data is None:
        if any(len(part) % 2 for part in parts):
            raise BadInput(f"a response has no label for each prediction: give --data with {DAY} and {TRACE}.")
        pairs = np.concatenate(parts).reshape(-1, 2)
        predicted, wanted = pairs[:, 0], pairs[:, 1]
    else:
        root = labels.folder(data)
        ends = _trace(labels.find(root, TRACE, f"*/{TRACE}"))
        indices = [within(response, len(ends) - 1, TRACE) for response in found]
        _same_lengths(parts, indices, ends)
        truth = _day(labels.find(root, DAY, f"*/{DAY}"), int(ends[-1]))
        predicted = np.concatenate(parts)
        wanted = np.concatenate([truth[ends[index] : ends[index + 1]] for index in indices])
    area, low, high = clicks.auc(predicted, wanted)
    right = int((np.rint(predicted) == wanted).sum())
    return [
        Score("AUC", 100 * area, 100 * low, 100 * high, len(predicted), "DeLong"),
        proportion("accuracy", right, len(predicted), scale=100),
    ]


def streaming(run: Run, data: Path | None) -> list[Score]:
    """Normalised entropy (lower is better), accuracy and AUC per request of dlrm-v3; its log holds the labels."""
    del data
    rows = np.array([_request(part) for part in _requests(run)])
    entropy, positive, negative, right, area = rows.T
    areas = area[np.isfinite(area)]
    if not len(areas):
        raise BadInput("no request of the log has both positive and negative labels: its AUC is not defined.")
    return [
        _normalised_entropy(entropy, positive, negative),
        ratio("DLRM_ACC", right, positive + negative),
        mean("DLRM_AUC", areas),
    ]


def _request(part: Sequence[np.ndarray]) -> tuple[float, ...]:
    predicted, wanted, weights = part
    positive = float((weights * wanted).sum())
    negative = float((weights * (1 - wanted)).sum())
    entropy = clicks.cross_entropy(predicted, wanted, weights)
    right = clicks.right(predicted, wanted, weights)
    return entropy, positive, negative, right, clicks.group_auc(predicted, wanted, weights)


def _normalised_entropy(entropy: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> Score:
    """Cross entropy over that of the label's share; requests are drawn again."""
    rows = np.column_stack([entropy, positive, negative])

    def value(part: np.ndarray) -> float:
        total = part.sum(axis=0)
        base = clicks.background_entropy(float(total[1]), float(total[2]))
        return float(total[0] / base) if base else float("nan")

    count = resamples(len(rows))
    low, high = bootstrap(value, rows, n_resamples=count)
    return Score("DLRM_NE", value(rows), low, high, len(rows), f"bootstrap ({count})")


def _requests(run: Run) -> Iterator[list[np.ndarray]]:
    """Predictions, labels and weights of every response."""
    for response in responses(run):
        values = _floats(response.data, response.qsl_idx)
        count = int(values[-1]) if len(values) else 0
        if count < 1 or len(values) != FRAME + 3 * count:
            raise BadInput(f"the response to sample {response.qsl_idx} is not laid out as dlrm-v3's: is this its log?")
        yield list(values[2:-1].astype(np.float64).reshape(3, count))


def _floats(data: bytes, index: int) -> np.ndarray:
    if len(data) % 4:
        raise BadInput(f"the response to sample {index} is not made of float32: is this a recommendation log?")
    return np.frombuffer(data, "<f4")


def _trace(path: Path) -> np.ndarray:
    """Where each sample's rows begin, and where the last one's end."""
    try:
        counts = [int(line.split(", ")[2]) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, ValueError, IndexError) as error:
        raise BadInput(
            f"{path} is not the trace of aggregated samples ({error}): give the reference's file."
        ) from error
    return np.concatenate([[0], np.cumsum(counts)])


def _day(path: Path, count: int) -> np.ndarray:
    """The label, first of a line's columns, of the first `count` lines."""
    found = np.empty(count, np.int8)
    read = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for read, line in enumerate(file, start=1):
            if read > count:
                break
            found[read - 1] = line[:1] == "1"
    if read < count:
        raise BadInput(f"{path} has {read} lines, the trace speaks of {count}: give the whole file.")
    return found


def _same_lengths(parts: Sequence[np.ndarray], indices: Sequence[int], ends: np.ndarray) -> None:
    for part, index in zip(parts, indices, strict=True):
        if len(part) != ends[index + 1] - ends[index]:
            raise BadInput(
                f"sample {index} has {len(part)} predictions, the trace says {ends[index + 1] - ends[index]}: "
                "leave --data out where the log holds labels too, or give the run's own trace."
            )
