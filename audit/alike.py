"""Runs whose latencies are all but the same: what is left of a copy when each figure was moved by some nanoseconds.

Among 61,000 pairs of different runs, published and ours, the nearest latencies, each less the least, lie 4,750 ns
apart, which is 0.8 % of their range (short runs of one fast system), or 224,000 ns (long Offline runs).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from audit.figures import LATENCY
from loadgen_harness.run import Run

FEWEST = 7  # different figures
APART_NS = 100.0
APART = 1e-4  # of their range
LARGEST = 1e18  # ns: more is no latency


class Shape(NamedTuple):
    """The latencies of one run, less the least: their range, its place among the runs, all by key."""

    most: float
    place: int
    latencies: tuple[float, ...]


def alike(runs: Sequence[Run]) -> list[list[int]]:
    """The places of runs whose latencies differ by next to nothing, group by group, each in rising order."""
    kinds: dict[tuple[str, ...], list[Shape]] = defaultdict(list)
    for place, run in enumerate(runs):
        found = _latencies(run)
        if len(set(found.values())) >= FEWEST and LATENCY.least in found:
            least = found[LATENCY.least]
            shape = tuple(found[key] - least for key in sorted(found))
            kinds[tuple(sorted(found))].append(Shape(max(shape), place, shape))
    groups: dict[int, list[int]] = {}
    for one, other in (pair for shapes in kinds.values() for pair in _near(sorted(shapes))):
        first, second = groups.setdefault(one, [one]), groups.setdefault(other, [other])
        if first is not second:
            first += second
            groups.update(dict.fromkeys(second, first))
    return sorted({id(group): sorted(group) for group in groups.values()}.values())


def _near(shapes: Sequence[Shape]) -> Iterator[tuple[int, int]]:
    """Of shapes sorted by their range the places of those that agree in all."""
    for number, one in enumerate(shapes):
        slack = min(APART_NS, APART * one.most)
        for other in shapes[number + 1 :]:
            if other.most - one.most > slack:
                break
            if all(abs(a - b) <= slack for a, b in zip(one.latencies, other.latencies, strict=True)):
                yield one.place, other.place


def _latencies(run: Run) -> Mapping[str, float]:
    """Least, mean, most and percentiles of whole latencies."""
    ends = (LATENCY.least, LATENCY.mean, LATENCY.most)
    keys = (key for key in run.log if key in ends or re.fullmatch(LATENCY.between, key))
    found = {key: run.log[key] for key in keys}
    return {key: value for key, value in found.items() if isinstance(value, int | float) and abs(value) < LARGEST}
