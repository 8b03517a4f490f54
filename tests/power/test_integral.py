"""Integration is exact, additive and indifferent to the order of samples."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from power.integral import counted, integrate, merged

SIGNALS = st.lists(st.tuples(st.integers(1, 998), st.floats(0, 1000)), max_size=30, unique_by=lambda pair: pair[0]).map(
    lambda pairs: [(0, 5.0), (1000, 7.0), *pairs]
)
EDGES = st.tuples(*[st.floats(0, 1000)] * 3).map(sorted)


@settings(max_examples=100, deadline=None)
@given(SIGNALS, EDGES)
def test_adjacent_windows_add_up(signal: list[tuple[int, float]], edges: list[float]) -> None:
    times, watts = zip(*signal, strict=True)
    first, middle, last = edges
    parts = integrate(times, watts, first, middle) + integrate(times, watts, middle, last)
    assert parts == pytest.approx(integrate(times, watts, first, last), rel=1e-9, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(SIGNALS, EDGES, st.randoms())
def test_order_and_repeated_stamps_do_not_matter(signal: list[tuple[int, float]], edges: list[float], random) -> None:  # type: ignore[no-untyped-def]
    times, watts = zip(*signal, strict=True)
    expected = integrate(times, watts, edges[0], edges[2])
    shuffled = [*signal, *signal]
    random.shuffle(shuffled)
    times, watts = zip(*shuffled, strict=True)
    assert integrate(times, watts, edges[0], edges[2]) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 100), st.floats(0, 10), st.sets(st.integers(1, 99)), EDGES)
def test_exact_on_linear_signals(base: float, slope: float, inner: set[int], edges: list[float]) -> None:
    begin, end = edges[0] / 10, edges[2] / 10
    times = [0.0, *map(float, sorted(inner)), 100.0]
    exact = base * (end - begin) + slope * (end**2 - begin**2) / 2
    assert integrate(times, [base + slope * t for t in times], begin, end) == pytest.approx(exact, rel=1e-9, abs=1e-6)
    assert counted(times, [base * t for t in times], begin, end) == pytest.approx(base * (end - begin), abs=1e-6)


def test_nothing_is_extrapolated() -> None:
    for begin, end in ((-1, 1), (1, 11), (2, 1)):
        with pytest.raises(ValueError, match="do not cover"):
            integrate([0, 10], [1, 1], begin, end)
    with pytest.raises(ValueError, match="do not cover"):
        counted([], [], 0, 1)


def test_stamps_that_repeat_are_averaged() -> None:
    times, values = merged([2, 1, 2], [10, 4, 20])
    assert times.tolist() == [1, 2]
    assert values.tolist() == [4, 15]
