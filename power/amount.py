"""A number with its 95 % interval, and the mean of such numbers over repeated runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, hypot, sqrt

from loadgen_harness.student import student
from power.figures import ends, figure, within

CLIPPED = "clipped at 0"


@dataclass(frozen=True)
class Amount:
    """A value and the ends of its 95 % interval; both ends are the value where nothing is uncertain."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Amount:
        """The amount times a number that is exact and not negative."""
        return Amount(self.value * factor, self.low * factor, self.high * factor)

    def plus(self, other: Amount) -> Amount:
        """The sum of two amounts that err together."""
        return Amount(self.value + other.value, self.low + other.low, self.high + other.high)

    def inverse(self) -> Amount:
        """One over the amount; the upper end is open where the lower one is 0."""
        return Amount(1 / self.value, 1 / self.high, 1 / self.low if self.low > 0 else float("inf"))

    def text(self, *, estimated: bool = False) -> str:
        """Value and interval; of an estimate the interval alone, since its middle is no better than its ends."""
        if estimated:
            return self.interval()
        return figure(self.value, 4) if self.low == self.high else f"{self.middle()} ({self.interval()})"

    def middle(self, digits: int = 4) -> str:
        """The value alone, never printed outside the ends."""
        return within(self.value, (self.low, self.high), digits)

    def interval(self) -> str:
        """The ends alone, as many digits as their distance tells; one number where there is no distance."""
        return ends(self.low, self.high) + (f", {CLIPPED}" if self.clipped else "")

    @property
    def clipped(self) -> bool:
        """Whether the lower end was below 0, where no energy can be."""
        return self.low == 0 < self.value


def exact(value: float) -> Amount:
    """An amount without uncertainty."""
    return Amount(value, value, value)


@dataclass(frozen=True)
class Mean:
    """The mean of `n` runs: `runs` has Student's t interval of the repetition alone (None for one run).

    `amount` adds the meter's own uncertainty, which repeating does not lessen since every run was measured with it; the
    two are independent, so that their half-widths add up as squares.
    """

    n: int
    runs: Amount | None
    amount: Amount


def mean(amounts: Sequence[Amount]) -> Mean:
    """The mean of the same figure in each run; raises ValueError for none."""
    if not amounts:
        raise ValueError("no amounts")
    n = len(amounts)
    if n == 1:
        return Mean(1, None, amounts[0])
    middle = fsum(each.value for each in amounts) / n
    below, above = (
        fsum(halves) / n for halves in zip(*((a.value - a.low, a.high - a.value) for a in amounts), strict=True)
    )
    half = student(n - 1) * sqrt(fsum((each.value - middle) ** 2 for each in amounts) / (n - 1) / n)
    return Mean(
        n,
        Amount(middle, max(0.0, middle - half), middle + half),
        Amount(middle, max(0.0, middle - hypot(half, below)), middle + hypot(half, above)),
    )
