"""Where the latency of a run went, span by span, and how large its batches were, from its samples.npy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from loadgen_harness.metrics import Anatomy, anatomy, percentile
from loadgen_harness.run import Run
from submissions import plots
from submissions.numbers import NONE, duration

SLOWEST = 0.99  # the slowest 1 % have a bar of their own
SPANS = (  # of metrics.Anatomy, in their order in time, with what each is
    ("schedule delay", "schedule_ns", "LoadGen behind its own schedule"),
    ("queueing", "queueing_ns", "from issue until a worker takes the sample"),
    ("batch wait", "batching_ns", "until the batch is full or its deadline comes"),
    ("compute", "compute_ns", "until the response is ready"),
    ("completion", "completion_ns", "until LoadGen has it"),
    ("total", "total_ns", "LoadGen's latency"),
)
ALONE, STREAMED = "Every batch held one sample.", "Requests join and leave between tokens: no batches form here."


def told(run: Run) -> np.ndarray | None:
    """The per-sample record of a run with timed samples, None for others."""
    table = run.samples
    return table if table is not None and len(table) and run.mode != "AccuracyOnly" else None


def streams(table: np.ndarray) -> bool:
    """Whether samples had first tokens."""
    return bool((table["first_token"] > 0).any())


def spans(run: Run) -> Iterator[tuple[str, str, str]]:
    """(span, mean, p99) as text; dashes for what nobody saw, and where samples are too few for a p99."""
    table = told(run)
    if table is None:
        return
    found, hidden = anatomy(table), unseen(table)
    for name, field, _ in SPANS:
        mean, p99 = getattr(found, field)
        told_p99 = duration(p99) if len(table) * (1 - SLOWEST) >= 1 - 1e-9 else NONE
        yield (name, NONE, NONE) if field in hidden else (name, duration(mean), told_p99)


def unseen(table: np.ndarray) -> set[str]:
    """Spans of which the record knows nothing: the Python driver's schedule, the completion before format 2."""
    hidden = {"schedule_ns"} if not (table["scheduled"] > 0).any() else set()
    return hidden | ({"completion_ns"} if (table["computed"] == table["done"]).all() else set())


def drawings(run: Run, grain: plots.Grain = plots.FINE) -> Iterator[tuple[str, str]]:
    """The bars of where the time went, and the batch sizes over time where they varied."""
    table = told(run)
    if table is None:
        return
    yield "Where the latency went", plots.anatomy(_bars(table))
    if not batches(run):
        seconds = (table["started"] - table["started"].min()) / 1e9
        yield "Batch sizes over time", plots.batches(seconds, table["batch"], grain=grain)


def batches(run: Run) -> str:
    """What can be said of the batches in one sentence; empty where their sizes varied or nothing is known."""
    table = told(run)
    if table is None:
        return ""
    if streams(table):
        return STREAMED
    low, high = int(table["batch"].min()), int(table["batch"].max())
    if low != high:
        return ""
    return ALONE if high == 1 else f"Every batch held {high} samples."


def _bars(table: np.ndarray) -> list[tuple[str, list[plots.Part]]]:
    """Mean parts of all samples and of the slowest 1 %; within a row they add up to its mean latency."""
    latency = table["done"] - np.where(table["scheduled"] > 0, table["scheduled"], table["issued"])
    slow = table[latency >= percentile(latency, SLOWEST)]
    parts: Callable[[np.ndarray], list[plots.Part]] = _stream_parts if streams(table) else _parts
    rows = [("mean of all samples", parts(table)), ("mean of the slowest 1 %", parts(slow))]
    empty = {name for name, _ in rows[0][1] if not any(dict(row)[name] for _, row in rows)}
    return [(title, [part for part in row if part[0] not in empty]) for title, row in rows]


def _parts(table: np.ndarray) -> list[plots.Part]:
    found = anatomy(table)
    return [(name, _mean(found, field)) for name, field, _ in SPANS if name != "total"]


def _stream_parts(table: np.ndarray) -> list[plots.Part]:
    """The same with the computing split at the first token."""
    first = np.where(table["first_token"] > 0, table["first_token"], table["computed"])
    split = [
        ("to first token", float(np.mean(first - table["started"]))),
        ("decode", float(np.mean(table["computed"] - first))),
    ]
    return [each for part in _parts(table) for each in (split if part[0] == "compute" else [part])]


def _mean(found: Anatomy, field: str) -> float:
    mean: float = getattr(found, field)[0]
    return mean
