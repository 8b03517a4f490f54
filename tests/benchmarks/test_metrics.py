"""Intervals, correlations and class accuracy, against definitions and published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks._metrics.classes import top1
from benchmarks._metrics.correlation import pearson, ranks, spearman
from benchmarks._metrics.intervals import Z95, bootstrap, wilson
from loadgen_harness.errors import BadInput

numbers = st.lists(st.integers(-50, 50), min_size=3, max_size=30)


@given(st.integers(1, 2000), st.data())
@settings(max_examples=100)
def test_wilson_ends_solve_their_equation(n: int, data: st.DataObject) -> None:
    """At each end p the observed share lies exactly z standard errors of p away."""
    correct = data.draw(st.integers(0, n))
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n <= high <= 1
    for end in (low, high):
        if 1e-9 < end < 1 - 1e-9:
            assert abs(correct / n - end) == pytest.approx(Z95 * math.sqrt(end * (1 - end) / n), rel=1e-6)


def test_wilson_known_values() -> None:
    assert wilson(988, 1000) == pytest.approx((0.979143, 0.993122), abs=1e-6)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10) == pytest.approx((0.0, 0.277533), abs=1e-6)


def test_bootstrap_covers_a_mean_like_its_standard_error() -> None:
    data = np.random.default_rng(1).normal(5, 2, 400)
    low, high = bootstrap(lambda rows: float(rows.mean()), data, n_resamples=2000, seed=3)
    assert (high - low) / 2 == pytest.approx(1.96 * data.std() / 20, rel=0.1)
    assert bootstrap(lambda rows: float(rows.mean()), data, seed=3) == bootstrap(
        lambda rows: float(rows.mean()), data, seed=3
    )


def test_bootstrap_leaves_out_resamples_without_a_value() -> None:
    values = iter([float("nan"), *[1.0] * 99])
    assert bootstrap(lambda rows: next(values), np.arange(3), n_resamples=100) == (1.0, 1.0)


@given(numbers)
@settings(max_examples=100)
def test_ranks_average_over_equal_values(values: list[int]) -> None:
    expected = [1 + sum(v < x for v in values) + (values.count(x) - 1) / 2 for x in values]
    assert ranks(np.array(values)).tolist() == expected


@given(numbers, st.floats(0.1, 5), st.floats(-5, 5))
@settings(max_examples=100)
def test_correlations_of_a_line(values: list[int], slope: float, shift: float) -> None:
    first = np.array(values, float)
    found = pearson(first, slope * first + shift)
    assert math.isnan(found) if np.ptp(first) == 0 else found == pytest.approx(1)
    assert (
        math.isnan(spearman(first, -first)) if np.ptp(first) == 0 else spearman(first, -(first**3)) == pytest.approx(-1)
    )


def test_spearman_known_value() -> None:
    iq = np.array([106, 100, 86, 101, 99, 103, 97, 113, 112, 110])
    tv = np.array([7, 27, 2, 50, 28, 29, 20, 12, 6, 17])
    assert spearman(iq, tv) == pytest.approx(-29 / 165)


def test_top1_counts_and_refuses() -> None:
    responses = {3: np.int32(1).tobytes(), 0: np.int32(2).tobytes()}
    score = top1("accuracy", responses, lambda index: 1, "int32")
    assert (score.value, score.n, score.method) == (50.0, 2, "Wilson")
    for bad in ({}, {0: b"\1"}):
        with pytest.raises(BadInput, match="repeat the AccuracyOnly run"):
            top1("accuracy", bad, lambda index: 1, "int32")
