"""Hardware that counts energy: made to run on through wraps, and refused where what it says cannot be true."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from power.meter import MeterFailed

SHORTEST_S = 0.02  # counters move about once a millisecond: a shorter difference would be noise
MOST_W = 5000.0  # more than any one board, package or memory can take: what rises faster is no energy
LATE_S = 1.0  # how old a count may be when it is read

Clock = Callable[[], float]


@dataclass(frozen=True)
class Scale:
    """What one step of a counter is worth, and after how many of them it begins again; 0: never."""

    unit_j: float
    span: int = 0


class Counter:
    """One counter since it was opened.

    A wrap is mended, but only one can be seen between two calls: a pause in which there might have been more, at
    MOST_W, raises MeterFailed, as do a count that falls without a span and one that rises faster than MOST_W.
    """

    def __init__(self, name: str, read: Callable[[], int], scale: Scale, *, clock: Clock = time.monotonic) -> None:
        """Take the first count; `read` raises BadInput or MeterFailed."""
        self.name = name
        self._read, self._scale, self._clock = read, scale, clock
        self._time, self._last, self._total = clock(), read(), 0

    def joules(self) -> float:
        """Energy since the counter was opened."""
        now, count = self._clock(), self._read()
        passed, step = now - self._time, count - self._last
        span_j = self._scale.span * self._scale.unit_j
        if span_j and passed * MOST_W > span_j:
            raise self._failure(f"was not read for {passed:.0f} s, in which it may have wrapped around more than once")
        if step < 0 and not self._scale.span:
            raise self._failure("fell, so its device was reset")
        step += self._scale.span if step < 0 else 0
        if step < 0 or step * self._scale.unit_j > MOST_W * (passed + LATE_S):
            raise self._failure(f"jumped from {self._last} to {count} within {passed:.2f} s")
        self._total += step
        self._time, self._last = now, count
        return self._total * self._scale.unit_j

    def _failure(self, what: str) -> MeterFailed:
        return MeterFailed(f"the energy counter {self.name} {what}: repeat the run, or use another meter.")


class MeanPower:
    """Watts out of joules: the mean since the last call, or since it was made."""

    def __init__(self, joules: Callable[[], float], *, clock: Clock = time.monotonic) -> None:
        """Begin with the count as it is."""
        self._ask, self._clock = joules, clock
        self._time, self._joules = clock(), joules()

    def watts(self) -> float:
        """Waits where the last call was less than SHORTEST_S ago."""
        time.sleep(max(0.0, self._time + SHORTEST_S - self._clock()))
        joules, now = self._ask(), self._clock()
        mean = (joules - self._joules) / (now - self._time)
        self._time, self._joules = now, joules
        return mean


@dataclass(frozen=True)
class Source:
    """A counter with the part of the machine whose energy it counts, and how to let it go."""

    part: str
    counter: Counter
    close: Callable[[], None] = lambda: None
