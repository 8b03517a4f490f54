"""Numbers read well and keep their value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from submissions.numbers import THIN, duration, number, quantity, tick


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (48.0712, "48.07"),
        (1234.6, f"1{THIN}235"),
        (50_000.0, f"50{THIN}000"),
        (0.048071, "0.04807"),
        (-3.25, "\u22123.250"),
        (math.nan, "–"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(1e-3, 1e9))
def test_a_number_keeps_its_value(value: float) -> None:
    assert float(number(value).replace(THIN, "")) == pytest.approx(value, rel=1e-3)


def test_units() -> None:
    assert duration(1.234e6) == f"1.23{THIN}ms"
    assert duration(950.0) == f"950{THIN}ns"
    assert quantity(None) == "–"
    assert quantity(12.0, "W", 3) == f"12{THIN}W"


def test_ticks_are_short() -> None:
    assert [tick(value) for value in (0, 0.5, 2500, 20_000, 3e6)] == ["0", "0.5", "2500", "20k", "3M"]
