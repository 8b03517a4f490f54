"""What people see of the harness tax: in a campaign, by the verb, and how the table's cells read."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import pytest

from audit.tax import Share, Tax, of
from loadgen_harness import taxes
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario
from tests.fakes import environment, lgh
from tests.submissions.folders import Made, make

PLAN = """
round = "tiny"
tax = 0.1

[[benchmark]]
name = "tiny"
driver = "python"
scenarios = ["SingleStream"]
"""
ADDED = {"samples": 600, "mean_ns": 41_000.0, "p99_ns": 212_000.0, "ceiling": 1_234_567.0, "layout": "thread"}


@pytest.mark.usefixtures("plugin")
def test_a_campaign_and_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    command = lgh("campaign", "plan.toml", "--output", "out", "--only", "performance")
    done = subprocess.run(
        command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done
    assert "[3/3] tiny/SingleStream/tax" in done.stdout  # beside the accuracy run that --only leaves out
    assert "Harness tax" in done.stdout
    folder = tmp_path / "out" / "runs" / "tiny" / "SingleStream" / "performance"
    first = of(Run(folder))
    assert first and first.seconds == 0.1 and not first.error
    assert "  tax      tiny/SingleStream" not in done.stdout  # SingleStream has no limit to warn of
    assert "warning tax" not in done.stdout
    assert taxes.tax_(argparse.Namespace(runs=[folder], seconds=0.2)) == 0
    shown = capsys.readouterr().out
    second = of(Run(folder))
    assert second and second.seconds == 0.2
    assert "Harness tax" in shown and "not visible" in shown and "wanted at most" not in shown


def test_more_than_two_percent_of_a_limit_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for added, warned in ((10_000_000.0, True), (10_000.0, False)):
        made = Made(Scenario.SERVER, 200, 1.0, limit_ms=100.0, tax={**ADDED, "p99_ns": added})
        taxes.warn("mine/Server", make(tmp_path / f"{added:.0f}", made))
        assert ("wanted at most 2 %" in capsys.readouterr().out) == warned


def test_cells() -> None:
    gil = {"waits": 1234, "over_1ms": 2}
    row = taxes.row("r", Tax(mean_ns=41_250, p99_ns=212_000, ceiling=1_234_567, gil=gil), None)
    assert row == ("r", "41.2", "212", "–", "1.23M", "2 of 1234")
    row = taxes.row("r", Tax(mean_ns=1, ceiling=None), Share("mean", 1, "the run's own mean", 400, "mean"))
    assert taxes.row("r", Tax(mean_ns=1), Share("mean", 1, "the limit", 4000, "limit"))[3] == "<0.1% limit"
    assert row == ("r", "0.0", "–", "0.25% mean", "–", "not visible")
    assert [taxes.brief(rate) for rate in (0, 12.3, 999, 57_340, 8e6)] == ["0", "12.3", "999", "57.3k", "8M"]


def test_a_table_of_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = {"taxed": ADDED, "failed": {"error": "no"}, "none": {}}
    runs = [(name, make(tmp_path / name, Made(Scenario.SERVER, 9, 1.0, tax=tax))) for name, tax in made.items()]
    taxes.table(runs[1:])
    assert capsys.readouterr().out == ""
    taxes.table(runs)
    shown = capsys.readouterr().out
    assert "not visible with the Python driver" in shown and "GIL >" not in shown
    taxes.table([("seen", make(tmp_path / "seen", Made(Scenario.SERVER, 9, 1.0, tax={**ADDED, "gil": {"waits": 1}})))])
    assert "GIL > 1 ms" in capsys.readouterr().out
    assert "taxed" in shown and "failed" not in shown and "none" not in shown


@pytest.mark.parametrize(("limit_ms", "red"), [(10.0, True), (11.0, False)])
def test_only_too_much_is_said(limit_ms: float, red: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taxes.warn("r", make(tmp_path / "run", Made(Scenario.SERVER, 9, 1.0, limit_ms=limit_ms, tax=ADDED)))
    assert ("p99 212.0 µs: 2.1% of the latency limit" in capsys.readouterr().out) == red
