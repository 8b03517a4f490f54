"""Where others used the machine, `audit reproduce` accuses nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audit.auditee import reproduce
from audit.auditee.report import Ruling
from audit.auditee.subject import carry_out
from audit.finding import errors
from loadgen_harness.run import Run
from tests.audit.test_auditee import System, noisy, subject


def loaded(run: Run, cores: float) -> Run:
    """The run as on a machine of four processors of which others took so many."""
    record = json.loads(run.file("run.json").read_text())
    run.file("run.json").write_text(json.dumps(record | {"load": {"other_cores": cores, "cores": 4, "seconds": 9.0}}))
    return Run(run.path)


@pytest.mark.parametrize(
    ("before", "meanwhile", "ruling"),
    [
        (0.0, 0.1, Ruling.FAIL),
        (0.0, 1.2, Ruling.OPEN),
        (None, 1.2, Ruling.OPEN),
        (1.2, 1.2, Ruling.FAIL),  # the claim was made beside as much
    ],
)
def test_load_of_others_accuses_nobody(tmp_path: Path, before: float | None, meanwhile: float, ruling: Ruling) -> None:
    audited = subject(tmp_path, System())
    if before is not None:
        loaded(audited.run, before)
        audited = replace(audited, run=Run(audited.run.path))
    slow = carry_out(reproduce.plan(audited), System(lambda spec: 2 * noisy(spec)))
    report = reproduce.judge(audited, {name: loaded(run, meanwhile) for name, run in slow.items()})
    assert report.ruling is ruling
    assert ("other processes took 30% of the processors" in report.sentence) == (ruling is Ruling.OPEN)
    assert bool(errors(report.findings)) == (ruling is Ruling.FAIL)


def test_invalid_repetitions_beside_load_accuse_nobody_either(tmp_path: Path) -> None:
    audited = subject(tmp_path, System())
    runs = {name: loaded(run, 2.0) for name, run in carry_out(reproduce.plan(audited), System(valid=False)).items()}
    report = reproduce.judge(audited, runs)
    assert report.ruling is Ruling.OPEN and not errors(report.findings)
    assert "machine that does nothing else" in report.findings[0].fix
