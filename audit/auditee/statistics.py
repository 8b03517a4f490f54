"""Intervals of ratios between runs: Student's t over their logarithms, in which twice and half as fast weigh alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loadgen_harness.errors import BadInput
from loadgen_harness.student import student as student

MOST = 1000  # repetitions; what takes more is not decided by repeating


@dataclass(frozen=True)
class Ratio:
    """A geometric mean of `n` ratios with its 95 % interval; `spread` is the standard deviation of their logarithms."""

    mean: float
    low: float
    high: float
    n: int
    spread: float

    def text(self) -> str:
        """The mean and its interval in percent."""
        return f"{self.mean:.1%} (95 % interval {self.low:.1%} to {self.high:.1%}, n = {self.n})"


def ratio(values: Sequence[float], *, one_more: bool = False) -> Ratio:
    """The interval of the mean ratio; with `one_more`, that of a further single value (a prediction interval).

    A claimed result is such a single value: it is as uncertain as any one of its repetitions. Raises BadInput for fewer
    than two values, or none above 0.
    """
    if len(values) < 2 or min(values) <= 0:
        raise BadInput("a verdict takes at least two repetitions, each with a result: raise --runs.")
    logs = [math.log(value) for value in values]
    centre = math.fsum(logs) / len(logs)
    spread = math.sqrt(math.fsum((each - centre) ** 2 for each in logs) / (len(logs) - 1))
    half = half_width(spread, len(logs), one_more=one_more)
    return Ratio(math.exp(centre), math.exp(centre - half), math.exp(centre + half), len(logs), spread)


def half_width(spread: float, n: int, *, one_more: bool = False) -> float:
    """Half of the interval of a mean of `n` values, or of a further value, with this standard deviation."""
    return student(n - 1) * spread * math.sqrt(1 / n + one_more)


def needed(spread: float, margin: float, *, one_more: bool = False) -> int | None:
    """How many repetitions make the half width smaller than `margin`; None where MOST do not."""

    def decides(n: int) -> bool:
        return half_width(spread, n, one_more=one_more) < margin

    if not decides(MOST):
        return None
    low, high = 2, MOST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle + 1, high)
    return low
