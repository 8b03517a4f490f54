"""The energy section of the report: figures with formula and inputs; what no meter measured is said."""

from __future__ import annotations

from pathlib import Path

from power import carbon
from power.factors import Factors
from power.repeated import gather
from power.surroundings import Surroundings
from submissions import energy_facts
from submissions.record import RunResult
from submissions.report import report
from tests.power import measured
from tests.submissions.folders import DIGITS

AROUND = Surroundings(Factors(pue=1.2, grid_g_per_kwh=100), carbon.given(100))


def test_figures_with_formula_and_inputs(tmp_path: Path) -> None:
    found = energy_facts.of_run(measured.run(tmp_path / "run", {"nvml": 50.0}), AROUND)
    lines = {line.name: line for line in found.lines}
    one = lines["energy per sample"]
    assert (one.value, one.unit, one.formula, one.inputs) == ("1.000", "J", "energy ÷ samples", "100.0 J, 100 samples")
    assert one.interval.startswith("0.9") and one.runs == ""
    assert lines["MLPerf's power metric"].unit == "W"
    assert all(line.formula and line.inputs and line.unit for line in (*found.lines, *found.derived))
    assert [line.name for line in found.derived if line.per == "run"] == ["total energy × PUE", "carbon of operation"]
    assert found.head == "meter nvml, scope board; not an official MLPerf power result"


def test_an_estimate_has_its_interval_alone(tmp_path: Path) -> None:
    found = energy_facts.of_run(measured.run(tmp_path / "run", {"estimate": 50.0}), AROUND)
    assert found.head.startswith("estimated, meter estimate")
    assert {line.value for line in (*found.lines, *found.derived)} == {"estimated"}
    assert all("–" in line.interval for line in (*found.lines, *found.derived))
    assert not any("100.0 J" in line.inputs for line in found.lines)


def test_no_meter_and_no_figure(tmp_path: Path) -> None:
    assert energy_facts.of_run(measured.run(tmp_path / "bare", {})).absent == "no meter"
    faulty = energy_facts.of_run(measured.run(tmp_path / "faulty", {"nvml": -5.0}))
    assert faulty.absent.startswith("no figure: power/nvml.csv")
    assert faulty.lines == ()


def test_the_report_shows_it(tmp_path: Path) -> None:
    meters = ({"nvml": 75.0, "rapl": 25.0}, {"estimate": 5.0}, {})
    shown = [RunResult(measured.run(tmp_path / str(n), each), DIGITS) for n, each in enumerate(meters)]
    page = report([], shown, tmp_path / "report.html", AROUND).read_text()
    text = (tmp_path / "report.md").read_text()
    assert page.count("meter nvml + rapl, scope board + package; not an official MLPerf power result") == 1
    assert page.count("<em>estimated</em>, meter estimate") == 1
    assert "Energy: no meter." in page and ": no meter." in text
    for each in (page, text):
        assert "share of accelerator" in each and "energy × PUE × grid intensity" in each
        assert "PUE 1.2 (given); grid intensity 100 g/kWh (given)" in each
    assert "| energy per sample | 2.000 | J |" in text


def test_a_grid_without_carbon_is_zero_grams(tmp_path: Path) -> None:
    around = Surroundings(Factors(grid_g_per_kwh=0), carbon.given(0))
    for meter in ("nvml", "estimate"):
        found = energy_facts.of_run(measured.run(tmp_path / meter, {meter: 50.0}), around)
        lines = [line for line in found.derived if line.name == "carbon of operation"]
        assert lines and all((line.value, line.interval, line.unit) == ("0", "", "g CO2e") for line in lines)


def test_a_clipped_end_is_said_and_why(tmp_path: Path) -> None:
    runs = [measured.run(tmp_path / str(watts), {"nvml": watts}) for watts in (10.0, 90.0)]
    found = energy_facts.section(gather(runs))
    assert "clipped at 0: too few or too noisy runs" in found.head
    assert all(line.interval.endswith(", clipped at 0") for line in found.lines if line.name == "energy")
    assert "clipped" not in energy_facts.of_run(runs[0]).head


def test_repeating_an_estimate_is_no_precision(tmp_path: Path) -> None:
    for meter, shown in (("nvml", True), ("estimate", False)):
        runs = [measured.run(tmp_path / f"{meter}{n}", {meter: watts}) for n, watts in enumerate((50.0, 50.1))]
        assert any(line.runs for line in energy_facts.section(gather(runs)).lines) == shown
