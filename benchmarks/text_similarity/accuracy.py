"""How well cosines of embeddings agree with people: Pearson on Lee, Spearman on SimLex-999 and WordSim-353."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks._metrics.correlation import pearson, spearman
from benchmarks._metrics.intervals import bootstrap
from benchmarks.text_similarity.qsl import QSL, Pairs
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Score

SIZE = 384
RESAMPLES = 1000


def score(responses: Mapping[int, bytes], qsl: QSL) -> list[Score]:
    """One Score per set of pairs in the library; raises BadInput for missing or malformed responses."""
    vectors = _vectors(responses, qsl.total_count)
    scores = [_documents(vectors, qsl.pairs["lee"])]
    return scores + [_words(name, vectors, pairs) for name, pairs in qsl.pairs.items() if name != "lee"]


def _vectors(responses: Mapping[int, bytes], count: int) -> np.ndarray:
    missing = count - sum(index in responses for index in range(count))
    if missing:
        raise BadInput(f"the accuracy log lacks {missing} of {count} texts: repeat the AccuracyOnly run.")
    odd = [index for index in range(count) if len(responses[index]) != SIZE * 4]
    if odd:
        raise BadInput(f"response {odd[0]} of the accuracy log is not {SIZE} float32: repeat the AccuracyOnly run.")
    return np.stack([np.frombuffer(responses[index], "<f4") for index in range(count)]).astype(np.float64)


def _documents(vectors: np.ndarray, pairs: Pairs) -> Score:
    """Documents are drawn for the interval, not pairs: the 49 pairs of one document stand and fall together."""
    cosines = np.sum(vectors[pairs.first] * vectors[pairs.second], axis=1)
    count = int(pairs.second.max()) + 1
    table = np.zeros((2, count, count))
    table[:, pairs.first, pairs.second] = table[:, pairs.second, pairs.first] = cosines, pairs.human
    first, second = np.triu_indices(count, 1)

    def resampled(drawn: np.ndarray) -> float:
        a, b = drawn[first], drawn[second]
        return pearson(*table[:, a[a != b], b[a != b]])

    low, high = bootstrap(resampled, np.arange(count), n_resamples=RESAMPLES)
    return Score(
        "lee_pearson", pearson(cosines, pairs.human), low, high, len(cosines), f"bootstrap ({RESAMPLES}, documents)"
    )


def _words(name: str, vectors: np.ndarray, pairs: Pairs) -> Score:
    cosines = np.sum(vectors[pairs.first] * vectors[pairs.second], axis=1)
    rows = np.column_stack([cosines, pairs.human])
    low, high = bootstrap(lambda drawn: spearman(drawn[:, 0], drawn[:, 1]), rows, n_resamples=RESAMPLES)
    value = spearman(cosines, pairs.human)
    return Score(f"{name}_spearman", value, low, high, len(cosines), f"bootstrap ({RESAMPLES}, pairs)")
