"""Which settings are worth having: the Pareto front of speed against joules, with the noise of repetitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from loadgen_harness.student import student

Verdict = Literal["front", "unclear", "dominated"]


@dataclass(frozen=True)
class Figure:
    """A mean with its 95 % interval (Student's t; none from a single value: the interval is the value)."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Point:
    """One setting: `speed` is the more the better, `cost` the less the better."""

    label: str
    speed: Figure
    cost: Figure


def figure(values: Sequence[float]) -> Figure:
    """The mean of repetitions with its interval, which never reaches below 0."""
    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return Figure(mean, mean, mean, n)
    spread = math.sqrt(math.fsum((each - mean) ** 2 for each in values) / (n - 1))
    half = student(n - 1) * spread / math.sqrt(n)
    return Figure(mean, max(0.0, mean - half), mean + half, n)


def verdicts(points: Sequence[Point]) -> tuple[Verdict, ...]:
    """`front`: no other is at least as good in both and better in one; `unclear`: others are, but within the noise."""
    return tuple(_verdict(point, points) for point in points)


def _verdict(point: Point, points: Sequence[Point]) -> Verdict:
    better = [other for other in points if _dominates(other, point)]
    if not better:
        return "front"
    return "dominated" if any(_clearly(other, point) for other in better) else "unclear"


def _dominates(one: Point, other: Point) -> bool:
    speed, cost = one.speed.mean - other.speed.mean, one.cost.mean - other.cost.mean
    return speed >= 0 and cost <= 0 and (speed > 0 or cost < 0)


def _clearly(one: Point, other: Point) -> bool:
    return one.speed.low > other.speed.high or one.cost.high < other.cost.low
