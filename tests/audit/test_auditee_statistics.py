"""Intervals of ratios hold what they promise, and say how many repetitions would decide."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from audit.auditee import reproduce, speed, statistics
from audit.auditee.report import Ruling, at_most, between
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Result

RESULT = Result("Samples/s", 100.0, "samples/s", "result_samples_per_second")


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (10, 2.228), (30, 2.042)])
def test_student_is_the_printed_table(freedom: int, t: float) -> None:
    assert statistics.student(freedom) == pytest.approx(t, abs=5e-4)


def test_student_ends_as_the_normal_distribution() -> None:
    assert statistics.student(100_000) == pytest.approx(1.95996, abs=1e-4)
    with pytest.raises(ValueError, match="freedom"):
        statistics.student(0)


@pytest.mark.parametrize(("one_more", "n"), [(False, 3), (False, 8), (True, 3), (True, 8)])
def test_intervals_hold_what_they_promise(one_more: bool, n: int) -> None:
    """Of 2,000 intervals 95 % hold the true mean, or a further value; 92.7 to 97.3 % is five standard errors."""
    draw = random.Random(n)
    held = 0
    for _ in range(2000):
        values = [math.exp(draw.gauss(0.1, 0.2)) for _ in range(n)]
        truth = math.exp(draw.gauss(0.1, 0.2)) if one_more else math.exp(0.1)
        found = statistics.ratio(values, one_more=one_more)
        held += found.low <= truth <= found.high
    assert 0.927 <= held / 2000 <= 0.973


def test_a_ratio_is_a_geometric_mean() -> None:
    found = statistics.ratio([2.0, 0.5])
    assert found.mean == pytest.approx(1)
    assert found.low * found.high == pytest.approx(1)
    assert found.n == 2
    exact = statistics.ratio([1.5, 1.5, 1.5])
    assert (exact.mean, exact.low, exact.high, exact.spread) == pytest.approx((1.5, 1.5, 1.5, 0))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 0.0]])
def test_a_verdict_takes_two_results(values: list[float]) -> None:
    with pytest.raises(BadInput, match="at least two"):
        statistics.ratio(values)


@pytest.mark.parametrize("one_more", [False, True])
def test_needed_is_the_first_number_that_decides(one_more: bool) -> None:
    margin = 0.02 if not one_more else 0.12
    count = statistics.needed(0.05, margin, one_more=one_more)
    assert count is not None
    assert statistics.half_width(0.05, count, one_more=one_more) < margin
    assert statistics.half_width(0.05, count - 1, one_more=one_more) >= margin


def test_no_repetition_decides_what_a_single_run_cannot_show() -> None:
    assert statistics.needed(0.05, 0.05, one_more=True) is None


@pytest.mark.parametrize("pairs", [3, 5])
@pytest.mark.parametrize("spread", [0.005, 0.02, 0.1, 0.5])
def test_honest_systems_are_accused_in_less_than_one_audit_of_twenty(spread: float, pairs: int) -> None:
    """2,000 audits of a system whose runs differ by chance alone, the claimed one included."""
    draw = random.Random(f"{spread} {pairs}")
    accused: Counter[str] = Counter()
    for _ in range(2000):
        claimed, *speeds = (math.exp(draw.gauss(0, spread)) for _ in range(pairs + 1))
        repeated = reproduce.compared([each / claimed for each in speeds], RESULT, 0.02)
        found = statistics.ratio([math.exp(draw.gauss(0, spread) - draw.gauss(0, spread)) for _ in range(pairs)])
        rows = {
            "reproduce": repeated,
            "cache": at_most("", found, accused=speed.SIMILAR, cleared=speed.SIMILAR),
            "order": at_most("", found, accused=speed.MATERIAL, cleared=speed.SIMILAR),
            "perturb": between("", found, 1 / speed.SIMILAR, speed.SIMILAR),
        }
        accused.update(audit for audit, row in rows.items() if row.ruling is Ruling.FAIL)
    assert all(count <= 100 for count in accused.values()), accused
