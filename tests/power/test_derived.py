"""Derived figures by hand, their units, and what they say of their inputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from power import carbon
from power.amount import Amount
from power.derived import Base, Figure, _of, derive
from power.factors import Factors
from power.repeated import gather
from power.surroundings import Surroundings
from tests.power import measured

FACTORS = Factors(
    pue=1.5, grid_g_per_kwh=400, embodied_kg=100, lifetime_years=4, utilisation=0.5, wue=2, wue_grid=3,
    tariff=0.25, currency="EUR", device_per_hour=3.6,
)  # fmt: skip
AROUND = Surroundings(FACTORS, carbon.given(400))


def figures(per: str, folder: Path, meter: str = "nvml") -> dict[str, Figure]:
    """By title, those of one base."""
    found = derive(gather([measured.run(folder, {meter: 1800.0})]), AROUND)
    return {each.title: each for each in found if each.per == per}


def test_a_run_by_hand(tmp_path: Path) -> None:
    """1,800 W for 2 s are 3,600 J, a thousandth of a kWh."""
    found = figures("run", tmp_path / "run")
    wanted = {
        "total energy × PUE": (0.0015, "kWh"),
        "carbon of operation": (0.6, "g CO2e"),
        "embodied carbon": (100_000 * 2 / 3600 / (4 * 8766 * 0.5), "g CO2e"),
        "carbon, both": (0.6 + 100_000 * 2 / 3600 / (4 * 8766 * 0.5), "g CO2e"),
        "water on site": (0.002, "L"),  # of the computers' energy alone
        "water off site": (0.0045, "L"),
        "water, both": (0.0065, "L"),
        "cost of energy": (0.000375, "EUR"),
        "cost of the device": (0.002, "EUR"),
        "cost, both": (0.002375, "EUR"),
    }
    assert {title: (pytest.approx(value, rel=1e-4), unit) for title, (value, unit) in wanted.items()} == {
        title: (each.amount.value, each.unit) for title, each in found.items()
    }


def test_a_million_samples_are_ten_thousand_of_these_runs(tmp_path: Path) -> None:
    one, many = figures("run", tmp_path / "a"), figures("million samples", tmp_path / "b")
    assert one.keys() == many.keys()
    for title, each in one.items():
        assert many[title].amount.value == pytest.approx(each.amount.value * 10_000)
        assert many[title].unit == each.unit


def test_intervals_and_inputs_are_carried_through(tmp_path: Path) -> None:
    found = figures("run", tmp_path / "run")
    carbon_, device = found["carbon of operation"], found["cost of the device"]
    energy = found["total energy × PUE"].amount
    assert carbon_.amount.low == pytest.approx(energy.low * 400)
    assert carbon_.amount.high == pytest.approx(energy.high * 400)
    assert device.amount.low == device.amount.high  # time is known
    assert [each.name for each in carbon_.inputs] == ["energy", "PUE", "grid intensity"]
    assert str(carbon_.inputs[2]) == "grid intensity 400 g/kWh (given)"
    assert str(carbon_.inputs[1]) == "PUE 1.5 (given)"


def test_without_factors_the_pue_is_not_set(tmp_path: Path) -> None:
    found = derive(gather([measured.run(tmp_path / "run", {"nvml": 1800.0})]))
    assert {each.title for each in found} == {"total energy × PUE"}
    assert {each.per for each in found} == {"run", "million samples"}  # LoadGen logged no tokens
    assert str(found[0].inputs[1]) == "PUE 1 (not set)"
    assert found[0].amount.value == pytest.approx(0.001, rel=1e-4)


def test_an_estimate_stays_one(tmp_path: Path) -> None:
    found = figures("run", tmp_path / "run", "estimate")
    assert found["carbon, both"].estimated
    assert found["carbon of operation"].text().startswith("estimated ")
    assert "(" not in found["carbon of operation"].text()  # its interval alone
    assert not found["cost of the device"].estimated


def test_an_unknown_utilisation_is_said(tmp_path: Path) -> None:
    factors = Factors(embodied_kg=8.766, lifetime_years=1)
    found = derive(gather([measured.run(tmp_path / "run", {"nvml": 1.0})]), Surroundings(factors))
    embodied = next(each for each in found if each.title == "embodied carbon")
    assert embodied.amount.value == pytest.approx(2 / 3600)  # 8,766 g over 8,766 h
    assert "always busy" in str(embodied.inputs[3])


@given(st.floats(1e-6, 1e6), st.floats(1, 10), st.floats(0, 1000))
def test_everything_is_proportional_to_the_energy(kwh: float, pue: float, grams: float) -> None:
    around = Factors(pue=pue, wue=1, wue_grid=2, tariff=3, currency="X")
    grid = carbon.given(grams)
    one = _of(Base("run", Amount(kwh, kwh * 0.9, kwh * 1.1), Amount(1, 1, 1), False), around, grid)
    two = _of(Base("run", Amount(2 * kwh, 1.8 * kwh, 2.2 * kwh), Amount(1, 1, 1), False), around, grid)
    for a, b in zip(one, two, strict=True):
        assert b.amount.value == pytest.approx(2 * a.amount.value)
        assert a.amount.low <= a.amount.value <= a.amount.high
