"""The highest rate that holds, by bisection on a verdict that is noisy near the edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

TRIES = 3
LIMIT = 40  # probes; a verdict that never changes must not be asked for ever


@dataclass(frozen=True)
class Search:
    """Where to look: from `start` by factors of `step` until the verdict changes, then to within `resolution`."""

    start: float
    step: float
    resolution: float
    near: float = 1.5  # a bracket narrower than this factor is near the edge: the majority of TRIES decides


def highest(holds: Callable[[float], bool], search: Search) -> float:
    """The highest rate found to hold; 0 where none did within LIMIT probes."""
    low, high = _bracket(holds, search)
    while low and high / low > search.resolution:
        middle = sqrt(low * high)
        low, high = (middle, high) if _decided(holds, middle, high / low < search.near) else (low, middle)
    return low


def _bracket(holds: Callable[[float], bool], search: Search) -> tuple[float, float]:
    """A rate that holds and the next, that does not; (0, rate) where none holds."""
    near = search.step < search.near
    rate = search.start
    if _decided(holds, rate, near):
        for _ in range(LIMIT):
            if not _decided(holds, rate * search.step, near):
                break
            rate *= search.step
        return rate, rate * search.step
    for _ in range(LIMIT):
        rate /= search.step
        if _decided(holds, rate, near):
            return rate, rate * search.step
    return 0.0, rate


def _decided(holds: Callable[[float], bool], rate: float, near: bool) -> bool:
    """One try far from the edge, near it the majority of TRIES; the rest is not tried once it cannot matter."""
    if not near:
        return holds(rate)
    yes = no = 0
    while max(yes, no) <= TRIES // 2:
        if holds(rate):
            yes += 1
        else:
            no += 1
    return yes > no
