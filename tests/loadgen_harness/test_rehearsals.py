"""Rehearsals: does a plan tell LoadGen what the round demands, seen by one query of each run?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from audit.finding import Finding, Severity
from loadgen_harness import rehearsals
from loadgen_harness.child import bridge_missing
from loadgen_harness.types import Scenario
from tests.loadgen_harness.plans import jobs


def keys(found: Iterable[Finding]) -> set[tuple[str, str]]:
    return {(each.check, each.key) for each in found}


@pytest.mark.parametrize(
    ("scenario", "kind"), [("MultiStream", "TEST04"), ("Offline", "accuracy"), ("Server", "accuracy")]
)
def test_runs_of_an_official_scenario_are_the_rounds(tmp_path: Path, scenario: str, kind: str) -> None:
    assert rehearsals.rehearsed(jobs(tmp_path, scenario, kind=kind)[0]) == []


def test_a_plan_is_checked_run_by_run_with_its_model(tmp_path: Path) -> None:
    assert list(rehearsals.check(jobs(tmp_path, kind="performance"))) == []


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(("driver", "scenario"), [("native", "Interactive"), ("python", "Server"), ("", "Offline")])
def test_token_latencies_are_rehearsed_with_tokens(tmp_path: Path, driver: str, scenario: str) -> None:
    job = jobs(tmp_path, scenario, kind="performance", name="tiny_stream", round="tiny")[0]
    if driver == "native" and bridge_missing():
        pytest.skip("the native bridge is not built here")
    assert rehearsals.rehearsed(replace(job, spec=replace(job.spec, driver=driver))) == []


def test_settings_that_the_round_does_not_allow(tmp_path: Path) -> None:
    short = "min_duration = 20000, performance_sample_count_override = 64"
    found = rehearsals.rehearsed(jobs(tmp_path, kind="performance", division="open", overrides=short)[0])
    assert keys(found) == {
        ("duration-setting", "effective_min_duration_ms"),
        ("performance-sample-count", "effective_performance_sample_count"),
    }
    duration = next(each for each in found if each.check == "duration-setting")
    assert (duration.found, duration.wanted) == ("20000", ">= 600000")
    assert duration.file == "resnet50/SingleStream/performance"
    assert duration.clause and duration.fix


def test_seeds_are_compared_and_nothing_else_is_found(tmp_path: Path) -> None:
    job = jobs(tmp_path, kind="TEST01")[0]
    reseeded = replace(job, spec=replace(job.spec, seed=7))
    assert {check for check, _ in keys(rehearsals.rehearsed(reseeded))} == {"seeds"}


def test_what_the_division_refuses_is_said(tmp_path: Path) -> None:
    refused = jobs(tmp_path, kind="performance", overrides="min_duration = 20000")[0]
    found = list(rehearsals.asked(refused))
    assert keys(found) == {("plan-setting", "user.conf")}
    assert found[0].severity is Severity.WARNING
    rate = jobs(tmp_path, "Server", kind="performance")[0]
    assert keys(rehearsals.asked(rate)) == {("plan-setting", "target_qps")}
    assert list(rehearsals.asked(jobs(tmp_path, "Server", kind="accuracy")[0])) == []


def test_a_most_number_of_queries_is_seen_though_a_rehearsal_has_its_own(tmp_path: Path) -> None:
    def found(scenario: str, most: int) -> list[tuple[Severity, str, str]]:
        rate = ", target_qps = 20" if scenario == "Server" else ""
        of = jobs(tmp_path, scenario, kind="performance", division="open", overrides=f"max_query_count = {most}{rate}")
        return [(each.severity, each.key, each.wanted) for each in rehearsals.asked(of[0])]

    assert found("SingleStream", 60) == [(Severity.ERROR, "max_query_count", "0, or at least 64")]
    assert found("Server", 300) == [(Severity.ERROR, "max_query_count", "0, or at least 459")]
    assert found("Server", 500) == [(Severity.WARNING, "max_query_count", "0, or at least 459")]
    assert found("Offline", 1) == [(Severity.ERROR, "max_query_count", "0, or at least 24576")]


def test_a_model_name_that_loadgen_does_not_know(tmp_path: Path) -> None:
    official = ("v6.1", "resnet50", Scenario.SINGLE_STREAM)
    assert rehearsals.known_to_loadgen(*official, "resnet50") == []
    wrong = rehearsals.known_to_loadgen(*official, "resnet")
    assert [(each.severity, each.found, each.wanted) for each in wrong] == [(Severity.ERROR, "resnet", "resnet50")]
    absent = rehearsals.known_to_loadgen("v6.1", "qwen3.6-27b", Scenario.SINGLE_STREAM, "qwen3.6-27b")
    assert [each.severity for each in absent] == [Severity.WARNING]


def test_a_run_that_cannot_begin_is_a_finding(tmp_path: Path) -> None:
    job = jobs(tmp_path, kind="performance")[0]
    broken = replace(job, spec=replace(job.spec, data_dir=tmp_path))
    found = rehearsals.rehearsed(broken)
    assert keys(found) == {("rehearsal", "run")}
    assert "real ImageNet images" in found[0].found


def test_no_room_for_a_rehearsal_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    monkeypatch.setattr(rehearsals, "SEEN", {})
    found = list(rehearsals.check(jobs(tmp_path, kind="performance")))
    assert keys(found) == {("rehearsal", "run"), ("model-name", "model name")}
    assert "temporary files" in found[0].found
