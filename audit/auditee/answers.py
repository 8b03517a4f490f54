"""Whether two runs gave the same answers, as far as the rules want them the same.

Operation order and rounding of floating-point numbers may differ (Inference Rules, Non-determinism is restricted), so
floats are compared to a tolerance, and a few classes or words may tip over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.verdict import Scorer
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Score

RELATIVE, ABSOLUTE = 1e-2, 1e-3  # of floats; the second times the largest number of the answer
TIPPED, REWORDED = 0.10, 0.50  # shares of answers that rounding may change: of numbers, of generated texts


@dataclass(frozen=True)
class Likeness:
    """How the answers of one run agree with those of another, sample by sample."""

    compared: int
    different: int
    unknown: int  # answers to samples that the other run has none of

    @property
    def share(self) -> float:
        """Different or unknown ones among all; 1 where there were none."""
        total = self.compared + self.unknown
        return (self.different + self.unknown) / total if total else 1.0

    def text(self) -> str:
        """The counts in words."""
        unknown = f" and {self.unknown} unknown" if self.unknown else ""
        return f"{self.different} different{unknown} of {self.compared + self.unknown} answers"


def likeness(reference: Run, other: Run, dtype: str) -> Likeness:
    """Every logged answer of `other` against the reference's to the same sample."""
    known = reference.responses
    entries = [(entry.qsl_idx, entry.data) for entry in other.response_entries]
    found = [(known[index], data) for index, data in entries if index in known]
    different = sum(not same(mine, theirs, dtype) for mine, theirs in found)
    return Likeness(len(found), different, len(entries) - len(found))


def same(one: bytes, other: bytes, dtype: str) -> bool:
    """Whether two answers are the same: bit by bit, or as floats within the tolerance."""
    if one == other:
        return True
    kind = _float(dtype)
    if kind is None or len(one) != len(other) or len(one) % kind.itemsize or not one:
        return False
    mine, theirs = (np.frombuffer(data, kind).astype(np.float64) for data in (one, other))
    largest = float(np.max(np.abs(mine), initial=0.0))
    return bool(np.allclose(mine, theirs, rtol=RELATIVE, atol=ABSOLUTE * largest))


def tolerated(benchmark: Benchmark) -> float:
    """The share of answers that may differ between runs where their accuracy agrees."""
    return REWORDED if benchmark.streaming else TIPPED


def scores(score: Scorer, responses: Mapping[int, bytes]) -> tuple[Sequence[Score], str]:
    """Scores, or none and why these answers cannot be scored."""
    try:
        return score(responses), ""
    except BadInput as error:
        return (), str(error)


def agree(score: Scorer, reference: Run, other: Run) -> bool:
    """Whether both runs are as accurate, by every metric, on the samples that both have answers to."""
    mine, theirs = reference.responses, other.responses
    shared = [index for index in theirs if index in mine]
    before, _ = scores(score, {index: mine[index] for index in shared})
    after, _ = scores(score, {index: theirs[index] for index in shared})
    values = {each.metric: each.value for each in after}
    return bool(before) and all(each.low <= values.get(each.metric, np.nan) <= each.high for each in before)


def fell(before: Iterable[Score], after: Iterable[Score], benchmark: Benchmark) -> bool:
    """Whether at least one metric is clearly worse: the two 95 % intervals do not touch."""
    better = {metric.name: metric.higher_is_better for metric in benchmark.metrics}
    found = {each.metric: each for each in after}
    pairs = [(each, found[each.metric]) for each in before if each.metric in found]
    return any(new.high < old.low if better.get(old.metric, True) else new.low > old.high for old, new in pairs)


def _float(dtype: str) -> np.dtype | None:
    try:
        kind = np.dtype(dtype)
    except TypeError:
        return None
    return kind if np.issubdtype(kind, np.floating) else None
