"""The energy of a campaign's table: joules in all, per sample and per token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.assess import Assessment
from loadgen_harness.campaign import Outcome
from loadgen_harness.plan import Job
from loadgen_harness.run import Run
from submissions.record import RunResult
from tests.fakes import tiny
from tests.power.folders import BEGIN, METER, steady, write_log, write_power
from tests.submissions.folders import DIGITS

END = BEGIN + 2.0


def cells(folder: Path, about: dict[str, Any], **log: Any) -> tuple[str, ...]:
    """The cells of a run of 100 samples that took 40 J."""
    write_power(write_log(folder, end=END, **log), steady(20.0), "meter", about)
    run = Run(folder)
    return Assessment(Outcome(Job("k", tiny(folder), 1.0), run), RunResult(run, DIGITS), None, "", {}).energy_cells


@pytest.mark.parametrize(
    ("estimated", "wanted"),
    [(True, ("estimated", "20–60", "0.20–0.60", "0.050–0.15")), (False, ("meter", "40.0", "0.400", "0.100"))],
)
def test_energy_per_sample_and_token(estimated: bool, wanted: tuple[str, ...], tmp_path: Path) -> None:
    """An estimate shows its interval alone."""
    log = {"result_tokens_per_second": 200.0}
    assert cells(tmp_path / "run", {**METER, "estimated": estimated}, **log) == wanted


def test_no_tokens_and_no_meter(tmp_path: Path) -> None:
    assert cells(tmp_path / "one", METER)[2:] == ("0.20–0.60", "")
    run = Run(write_log(tmp_path / "two", end=END))
    assert (
        Assessment(Outcome(Job("k", tiny(tmp_path), 1.0), run), RunResult(run, DIGITS), None, "", {}).energy_cells == ()
    )
