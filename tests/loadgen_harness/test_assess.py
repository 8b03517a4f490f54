"""What a campaign's runs amount to: energy in all, per sample and per token, and checks across the runs of a result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audit import across
from loadgen_harness.assess import Assessment, evidence_of
from loadgen_harness.campaign import Outcome
from loadgen_harness.plan import Job
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario
from submissions.record import RunResult
from tests.fakes import tiny
from tests.power.folders import BEGIN, METER, steady, write_log, write_power
from tests.submissions.folders import DIGITS, Made, make

END = BEGIN + 2.0


def cells(folder: Path, about: dict[str, Any], **log: Any) -> tuple[str, ...]:
    """The cells of a run of 100 samples that took 40 J."""
    write_power(write_log(folder, end=END, **log), steady(20.0), "meter", about)
    run = Run(folder)
    return Assessment(Outcome(Job("k", tiny(folder), 1.0), run), RunResult(run, DIGITS), None, "", {}).energy_cells


@pytest.mark.parametrize(
    ("estimated", "wanted"),
    [(True, ("estimated", "20–60", "0.20–0.60", "0.050–0.150")), (False, ("meter", "40.0", "0.400", "0.100"))],
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


def test_runs_of_one_result_are_held_against_each_other(tmp_path: Path) -> None:
    """Another model in the accuracy run than in the performance run."""
    performance = make(tmp_path / "performance", Made(Scenario.SINGLE_STREAM, 200, 2.0))
    accuracy = make(tmp_path / "accuracy", Made(Scenario.SINGLE_STREAM, 200, 2.0, mode="AccuracyOnly"))
    before = list(across.check(evidence_of(performance, accuracy, {})))
    record = accuracy.file("run.json")
    record.write_text(json.dumps({**accuracy.meta, "model_sha256": "34" * 32}))
    after = across.check(evidence_of(performance, Run(accuracy.path), {}))
    [found] = [finding for finding in after if finding not in before]
    assert (found.check, found.key, found.file) == ("same-system", "model_sha256", "accuracy/run.json")
