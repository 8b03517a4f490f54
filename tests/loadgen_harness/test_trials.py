"""Short runs of a plan's layouts tell whether what it expects lets every run last its minimum."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from audit.finding import Finding, Severity
from loadgen_harness import plan, preflight, trials
from loadgen_harness.errors import RunFailed
from loadgen_harness.launch import launch
from loadgen_harness.plan import Job
from loadgen_harness.run import Run
from loadgen_harness.types import Division
from tests.loadgen_harness.plans import jobs, written

EDGE = {"system_type": "edge"}


def job(folder: Path, scenario: str, overrides: str = "", **more: str) -> Job:
    """The performance run of a plan whose system takes 2 ms for a batch."""
    found = jobs(folder, scenario, kind="performance", overrides=overrides, **more)[0]
    return replace(found, spec=replace(found.spec, options={"latency_us": "2000"}))


def check(one: Job, rate: float) -> list[Finding]:
    """Findings where the short run was this fast."""
    return list(trials.check([one], EDGE, {}, lambda _: rate))


@pytest.mark.parametrize(("qps", "severity"), [
    (400, Severity.ERROR), (900, Severity.ERROR), (950, Severity.WARNING), (1050, None), (1200, None), (1600, None),
    (1900, Severity.WARNING),
])  # fmt: skip
def test_offline_must_last_its_minimum(tmp_path: Path, qps: int, severity: Severity | None) -> None:
    found = check(job(tmp_path, "Offline", f"target_qps = {qps}"), 1000)
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all("target_qps = 1200" in each.wanted and "Set target_qps = 1200" in each.fix for each in found)


@pytest.mark.parametrize(("ms", "severity"), [
    (20, Severity.ERROR), (4.1, Severity.ERROR), (3.9, None), (2, None), (0.1, None), (0.01, Severity.WARNING),
])  # fmt: skip
def test_single_stream_must_not_run_out_of_queries(tmp_path: Path, ms: float, severity: Severity | None) -> None:
    found = check(job(tmp_path, "SingleStream", f"target_latency = {ms}"), 500)
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert all("target_latency = 1.667" in each.fix for each in found)


def test_multi_stream_has_eight_samples_a_query(tmp_path: Path) -> None:
    assert check(job(tmp_path, "MultiStream", "target_latency = 31"), 500) == []
    assert [each.severity for each in check(job(tmp_path, "MultiStream", "target_latency = 33"), 500)] == [
        Severity.ERROR
    ]


def test_few_samples_of_a_slow_system_are_the_rounds_to_decide(tmp_path: Path) -> None:
    """24,576 samples of Offline take longer than 600 s at 10 a second whatever is expected."""
    assert check(job(tmp_path, "Offline", "target_qps = 12"), 10) == []
    assert check(job(tmp_path, "Offline", "target_qps = 1"), 10) == []


def test_only_what_cannot_measure_itself_is_tried(tmp_path: Path) -> None:
    assert trials.wanted(job(tmp_path, "Offline", "target_qps = 1"), EDGE)
    assert not trials.wanted(job(tmp_path, "Offline"), EDGE)
    assert trials.wanted(job(tmp_path, "Offline"), {"system_type": "datacenter,edge"})
    assert not trials.wanted(job(tmp_path, "Server", "target_qps = 1"), EDGE)
    assert not trials.wanted(job(tmp_path, "Offline", "target_qps = 1", round="mini", name="digits"), EDGE)
    audited = jobs(tmp_path, "Offline", kind="TEST01", overrides="target_qps = 1")[0]
    assert not trials.wanted(audited, EDGE)


def test_no_room_for_a_short_run_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    found = list(trials.check([job(tmp_path, "Offline", "target_qps = 1")], EDGE, {}))
    assert [(each.check, each.key) for each in found] == [("calibration", "run")]


def test_a_short_run_that_fails_is_a_finding(tmp_path: Path) -> None:
    def fails(_: Job) -> float:
        raise RunFailed("the model is missing")

    found = list(trials.check([job(tmp_path, "Offline", "target_qps = 1")], EDGE, {}, fails))
    assert [(each.check, each.severity, each.found) for each in found] == [
        ("calibration", Severity.ERROR, "the model is missing")
    ]


@pytest.mark.alone
@pytest.mark.parametrize(("scenario", "samples_per_s"), [("SingleStream", 500), ("Offline", 500)])
def test_a_short_run_measures_the_speed(
    tmp_path: Path, scenario: str, samples_per_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "TRIAL_S", 0.5)
    rate = trials.measured(job(tmp_path, scenario))
    assert 0.5 * samples_per_s < rate <= samples_per_s * 1.01
    assert not (tmp_path / "out").exists()


def run_of(one: Job, folder: Path, **overrides: float) -> tuple[Run, trials.Judged]:
    """A run of a second of a job under an expectation, and what is foretold of it at the speed that it had."""
    spec = replace(
        one.spec, division=Division.OPEN, overrides={"min_query_count": 64, "min_duration": 1000, **overrides}
    )
    run = launch(replace(spec, output=folder / "run"))
    return run, trials.judged(replace(one, spec=spec), trials._pace(run)[0])


def test_loadgen_ends_offline_when_it_was_foretold(tmp_path: Path) -> None:
    run, foretold = run_of(job(tmp_path, "Offline"), tmp_path, target_qps=100)
    assert foretold.lasts_s == pytest.approx(trials._pace(run)[1], rel=0.1)
    assert foretold.lasts_s < foretold.least_s and not run.valid


def test_loadgen_runs_out_of_queries_when_it_was_foretold(tmp_path: Path) -> None:
    one = job(tmp_path, "SingleStream")
    run, foretold = run_of(one, tmp_path, target_latency=2)
    assert foretold.lasts_s == foretold.least_s and run.valid
    wrong = {"min_duration": 1000, "min_query_count": 64, "target_latency": 20}
    spec = replace(one.spec, division=Division.OPEN, overrides=wrong)
    assert trials.judged(replace(one, spec=spec), 500).lasts_s == pytest.approx(0.2)
    with pytest.raises(RunFailed, match="Ran out of generated queries"):
        run_of(one, tmp_path / "again", target_latency=20)


def test_preflight_measures_and_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "TRIAL_S", 0.5)
    one = job(tmp_path, "Offline", "target_qps = 20")
    chosen = plan.read(written(tmp_path, "Offline", overrides="target_qps = 20"))
    for wanted in (True, False):
        found = list(preflight.findings(preflight.Flight(chosen, [one], tmp_path, trials=wanted)))
        assert [each.key for each in found if each.check == "calibration"] == ["target_qps"] * wanted
