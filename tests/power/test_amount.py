"""Amounts and their means against Student's t done by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from power.amount import Amount, exact, mean

SIZES = st.floats(0.1, 1e6)


def test_the_mean_of_two_runs_by_hand() -> None:
    """9 and 11: standard error 1, t of one degree of freedom 12.706; the meter adds ± 0.5 as a square."""
    found = mean([Amount(9, 8.5, 9.5), Amount(11, 10.5, 11.5)])
    assert found.n == 2
    assert found.runs is not None
    assert found.runs.high == pytest.approx(10 + 12.706, abs=1e-3)
    assert found.runs.low == 0.0  # energy is never negative
    assert found.amount.high == pytest.approx(10 + math.hypot(12.706, 0.5), abs=1e-3)


def test_the_mean_of_ten_runs_by_hand() -> None:
    """1 to 10: mean 5.5, deviation 3.02765, t of nine degrees of freedom 2.2622."""
    found = mean([exact(value) for value in range(1, 11)])
    assert found.runs == found.amount
    assert found.amount.value == 5.5
    assert found.amount.high - 5.5 == pytest.approx(2.2622 * 3.02765 / math.sqrt(10), abs=1e-3)


def test_one_run_has_its_meter_alone() -> None:
    found = mean([Amount(10, 9, 12)])
    assert found.runs is None
    assert found.amount == Amount(10, 9, 12)
    with pytest.raises(ValueError, match="no amounts"):
        mean([])


def test_equal_runs_keep_the_meters_uncertainty() -> None:
    found = mean([Amount(10, 9, 12)] * 10)
    assert found.amount == Amount(10, 9, 12)
    assert found.runs == exact(10)


@given(st.lists(SIZES, min_size=2, max_size=12), st.floats(0.001, 1000))
def test_a_factor_passes_through_the_mean(values: list[float], factor: float) -> None:
    amounts = [Amount(value, value * 0.95, value * 1.05) for value in values]
    one, two = mean(amounts).amount.times(factor), mean([each.times(factor) for each in amounts]).amount
    for name in ("value", "low", "high"):
        assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-6, abs=1e-6 * factor * max(values))


@given(SIZES, st.floats(0.0, 0.99))
def test_an_interval_holds_its_value(value: float, share: float) -> None:
    amount = Amount(value, value * (1 - share), value * (1 + share))
    for each in (amount, amount.inverse(), amount.plus(amount), amount.times(3)):
        assert each.low <= each.value * (1 + 1e-12) and each.value <= each.high * (1 + 1e-12)


def test_words() -> None:
    assert exact(2).text() == "2.000"
    assert Amount(2, 1, 3).text() == "2.000 (1.0–3.0)"
    assert Amount(2, 1, 3).text(estimated=True) == "1.0–3.0"
    assert Amount(2, 0, 4).inverse().text() == "0.5000 (0.250–∞)"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Amount(0.29, 0.2894, 0.2906), "0.2900 (0.28940–0.29060)"),  # ends that differ are printed so
        (Amount(1021, 1011.1, 1030.9), "1,021 (1,011.1–1,030.9)"),
        (Amount(1000.04, 1000.03, 1000.05), "1,000.04 (1,000.0300–1,000.0500)"),  # the middle lies between them
        (Amount(50, 0.3, 9e5), "50.00 (0.30–900,000)"),  # a lower end that is not 0 is not printed as 0
        (Amount(10, 0, 25), "10.00 (0–25, clipped at 0)"),
        (exact(0), "0"),
    ],
)
def test_ends_tell_their_distance(amount: Amount, text: str) -> None:
    assert amount.text() == text


@given(SIZES, st.floats(1e-6, 0.9), st.integers(2, 4))
def test_printed_ends_differ_and_hold_the_middle(value: float, share: float, digits: int) -> None:
    amount = Amount(value, value * (1 - share), value * (1 + share))
    low, high = (float(end.replace(",", "")) for end in amount.interval().split("–"))
    assert low < high
    assert low <= float(amount.middle(digits).replace(",", "")) <= high


def test_zero_that_is_exact_was_not_clipped() -> None:
    assert not exact(0).clipped and not Amount(2, 1, 3).clipped
    assert mean([Amount(9, 8.5, 9.5), Amount(11, 10.5, 11.5)]).amount.clipped
