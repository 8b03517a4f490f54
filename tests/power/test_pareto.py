"""The Pareto front: what is dominated, and what is so within the noise only."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from power.pareto import Figure, Point, figure, verdicts

VALUES = st.floats(0.1, 1000)


def exact(value: float) -> Figure:
    return Figure(value, value, value, 1)


def point(speed: Figure | float, cost: Figure | float) -> Point:
    made = [each if isinstance(each, Figure) else exact(each) for each in (speed, cost)]
    return Point("", made[0], made[1])


def test_the_front_of_a_few() -> None:
    points = [point(1, 5), point(2, 3), point(3, 4), point(4, 9), point(3.5, 9.5), point(4, 9)]
    assert verdicts(points) == ("dominated", "front", "front", "front", "dominated", "front")
    assert verdicts([]) == ()


def test_noise_makes_a_verdict_unclear() -> None:
    near = point(Figure(99, 90, 108, 3), Figure(5.1, 4.8, 5.4, 3))
    best = point(Figure(100, 91, 109, 3), Figure(5.0, 4.7, 5.3, 3))
    far = point(Figure(99, 90, 108, 3), Figure(6.0, 5.8, 6.2, 3))
    assert verdicts([near, best, far]) == ("unclear", "front", "dominated")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12))
def test_the_front_is_what_its_definition_says(pairs: list[tuple[float, float]]) -> None:
    found = verdicts([point(speed, cost) for speed, cost in pairs])
    front = [pair for pair, verdict in zip(pairs, found, strict=True) if verdict == "front"]
    assert front
    for pair, verdict in zip(pairs, found, strict=True):
        beaten = any(s >= pair[0] and c <= pair[1] and (s, c) != pair for s, c in pairs)
        assert (verdict == "dominated") == beaten
    for (s, c), (t, d) in itertools.combinations(sorted(front), 2):
        assert (s, c) == (t, d) or (s < t and c < d)


def test_figures() -> None:
    assert figure([4.0]) == Figure(4.0, 4.0, 4.0, 1)
    three = figure([9.0, 10.0, 11.0])
    assert (three.mean, three.n) == (10.0, 3)
    assert three.high - three.mean == pytest.approx(4.3027 / 3**0.5, rel=1e-3)  # Student's t, two degrees of freedom
    assert figure([0.1, 10.0]).low == 0
