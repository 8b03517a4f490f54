"""`lgh report RUN…`: which folders are runs, what stands beside them, and where the report may go."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadgen_harness import reports, road
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Scenario
from submissions.report import ENDINGS
from tests.submissions.folders import Made, golden, make

FACTORS = {"pue": None, "country": None, "grid": None, "price": None, "wue": None, "embodied": None, "factors": None}
ONE = Made(Scenario.SERVER, 100, 2.0)


def call(monkeypatch: pytest.MonkeyPatch, *runs: Path, output: Path | None = None) -> int:
    monkeypatch.setattr("loadgen_harness.energetics.surroundings_of", lambda args: road.NONE_GIVEN)
    args: Any = SimpleNamespace(runs=list(runs), output=output, campaign=None, round=None)
    return road.report(args)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.iterdir()}


def test_runs_are_found_below_and_left_overs_are_none(tmp_path: Path) -> None:
    made = [make(tmp_path / name, ONE) for name in ("b/performance", "a/performance")]
    make(tmp_path / "a" / "performance.failed", ONE)
    shutil.copytree(made[0].path, tmp_path / "b" / "performance" / "inside")  # nothing below a run is one
    (tmp_path / "c").symlink_to(tmp_path / "a")
    assert [run.path for run in reports.runs_in([tmp_path])] == [made[1].path, made[0].path]
    assert len(reports.runs_in([tmp_path, made[0].path, tmp_path / "a"])) == 2  # each once


def test_what_holds_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no run"):
        reports.runs_in([tmp_path])
    with pytest.raises(BadInput, match="is no folder"):
        reports.runs_in([tmp_path / "none"])


def test_a_run_is_never_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path / "runs" / "one", ONE)
    before = state(run.path)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert call(monkeypatch, run.path) == 0
    assert {path.name for path in here.iterdir()} == {f"report{ending}" for ending in ENDINGS}
    for inside in (run.path, run.path / "power", run.path / "new" / "deep"):
        with pytest.raises(BadInput, match="is a run, to which nothing is added"):
            call(monkeypatch, run.path, output=inside)
    monkeypatch.chdir(run.path)
    with pytest.raises(BadInput, match="--output"):
        call(monkeypatch, run.path)
    assert state(run.path) == before


def test_a_report_is_made_anew_but_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, output = make(tmp_path / "run", ONE), tmp_path / "out"
    assert call(monkeypatch, run.path, output=output) == 0
    (output / "report.md").write_text("old")
    assert call(monkeypatch, run.path, output=output) == 0
    assert (output / "report.md").read_text() != "old"
    other = tmp_path / "other"
    other.mkdir()
    (other / "report.md").write_text("my own notes")
    with pytest.raises(BadInput, match=r"report\.md is there and no report of ours"):
        call(monkeypatch, run.path, output=other)
    (other / "report.json").write_text('{"kind": "something else"}')
    with pytest.raises(BadInput, match="no report of ours"):
        call(monkeypatch, run.path, output=other)
    assert (other / "report.md").read_text() == "my own notes" and len(list(other.iterdir())) == 2


def test_runs_of_ours_and_of_others_in_one_report(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "runs" / "invalid", Made(Scenario.SERVER, 100, 2.0, valid=False))
    make(tmp_path / "runs" / "offline", Made(Scenario.OFFLINE, 300, 2.0))
    golden(shared, tmp_path / "runs" / "foreign", "SingleStream", "performance")
    assert call(monkeypatch, tmp_path / "runs", output=tmp_path / "out") == 0
    results = json.loads((tmp_path / "out" / "report.json").read_text())["results"]
    assert {each["run"]: (each["benchmark"], each["scenario"], each["valid"]) for each in results} == {
        "foreign": ("foreign", "SingleStream", True),
        "invalid": ("digits", "Server", False),
        "offline": ("digits", "Offline", True),
    }
    rows = list(csv.DictReader((tmp_path / "out" / "report.csv").read_text().splitlines()))
    assert [row["run"] for row in rows] == ["foreign", "invalid", "offline"]
    assert float(rows[0]["metric_value"]) < 1 and rows[0]["metric_unit"] == "s"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "INVALID" in page and "minimum duration not met" in page


def test_a_run_in_a_tree_of_others_has_the_name_of_its_benchmark(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "open" / "work" / "closed" / "Acme" / "results" / "toybox" / "resnet50" / "SingleStream"
    golden(shared, system / "performance" / "run_1", "SingleStream", "performance")
    golden(shared, system / "accuracy", "SingleStream", "accuracy")
    golden(shared, tmp_path / "open" / "notes", "SingleStream", "performance")
    assert call(monkeypatch, tmp_path / "open", output=tmp_path / "out") == 0
    results = json.loads((tmp_path / "out" / "report.json").read_text())["results"]
    assert [each["benchmark"] for each in results] == ["notes", "resnet50", "resnet50"]


def test_accuracy_stands_beside_the_performance_of_its_own_kind(tmp_path: Path) -> None:
    """The accuracy of another scenario is not this run's."""
    performance = make(tmp_path / "a", Made(Scenario.OFFLINE, 300, 2.0))
    other = make(tmp_path / "b", Made(Scenario.SERVER, 300, 2.0))
    scored = make(tmp_path / "c", Made(Scenario.OFFLINE, 300, 2.0, mode="AccuracyOnly"))
    assert reports._kind(performance) == reports._kind(scored) != reports._kind(other)
