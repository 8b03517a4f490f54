"""Every rule sees its one fault, and only that, on small run folders written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit.case import Claim
from audit.finding import Finding, Severity
from audit.rules import check
from loadgen_harness.run import Run
from loadgen_harness.types import Division, Scenario, TestMode
from tests.audit import folders
from tests.audit.folders import AUDIT_WARNING, MS, ROUND

SCENARIOS = ("SingleStream", "MultiStream", "Server", "Offline")


def checks(findings: list[Finding]) -> list[str]:
    """The names of the checks that spoke."""
    return [finding.check for finding in findings]


def judge(run: Run, name: str = "toy", claim: Claim | None = None) -> list[Finding]:
    """All findings under the tiny round."""
    return list(check(run, folders.benchmark(name), ROUND, claim))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_good_foreign_run_has_no_finding(tmp_path: Path, scenario: str) -> None:
    assert judge(folders.write(tmp_path, folders.performance(scenario))) == []


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_good_run_of_ours_has_no_finding(tmp_path: Path, scenario: str) -> None:
    run = folders.write(tmp_path, folders.performance(scenario))
    run = folders.own(
        run, folders.samples(scenario), scenario=scenario, mode="PerformanceOnly", division="closed", test=""
    )
    assert judge(run) == []


ONE_FAULT: list[tuple[str, dict[str, Any], str]] = [
    ("SingleStream", {"result_validity": "INVALID"}, "validity"),
    ("SingleStream", {"early_stopping_met": False}, "early-stopping"),
    ("SingleStream", {"num_errors": 2}, "loadgen-errors"),
    ("SingleStream", {"effective_test_mode": "FindPeakPerformance"}, "mode"),
    ("SingleStream", {"effective_qsl_rng_seed": 0}, "seeds"),
    ("Server", {"effective_schedule_rng_seed": 34}, "seeds"),
    ("SingleStream", {"effective_min_duration_ms": 1999}, "duration-setting"),
    ("Offline", {"effective_max_duration_ms": 1000}, "duration-setting"),
    ("Server", {"effective_max_query_count": 5}, "duration-setting"),
    ("MultiStream", {"power_end": "11-22-2026 04:59:56.500"}, "duration"),
    ("Server", {"result_scheduled_samples_per_sec": 200}, "duration"),
    ("SingleStream", {"result_qps_with_loadgen_overhead": 200.0}, "duration"),
    ("SingleStream", {"effective_min_query_count": 10}, "query-count"),
    (
        "Server",
        {"result_query_count": 99, "result_scheduled_samples_per_sec": 40, "result_completed_samples_per_sec": 39.9},
        "query-count",
    ),
    ("MultiStream", {"effective_samples_per_query": 4}, "samples-per-query"),
    ("Offline", {"effective_samples_per_query": 99, "result_samples_per_second": 33}, "samples-per-query"),
    ("Offline", {"effective_performance_sample_count": 7}, "performance-sample-count"),
    ("SingleStream", {"effective_target_latency_percentile": 0.5}, "percentile"),
    ("Server", {"effective_target_latency_ns": 51 * MS}, "latency-setting"),
    ("Server", {"result_90.00_percentile_latency_ns": 51 * MS}, "latency"),
    ("Server", {"effective_performance_issue_same": True}, "audit-settings"),
    ("Server", {"effective_accuracy_log_sampling_target": 128}, "audit-settings"),
    ("Offline", {"result_samples_per_second": 110}, "consistency"),
    ("SingleStream", {"early_stopping_latency_ss": 11 * MS}, "early-stopping-figures"),
    ("SingleStream", {"result_min_duration_met": False}, "verdict"),
    ("Server", {"result_completed_samples_per_sec": 101}, "rates"),
    ("Server", {"effective_target_qps": 200, "result_scheduled_samples_per_sec": 100}, "rates"),
    ("Server", {"result_overlatency_query_count": 40}, "early-stopping-figures"),
    ("Server", {"result_95.00_percentile_latency_ns": 11 * MS}, "percentiles"),
    ("MultiStream", {"effective_max_async_queries": 2}, "locked-setting"),
    ("Server", {"effective_accuracy_log_probability": 0.5}, "locked-setting"),
    ("Offline", {"effective_sample_concatenate_permutation": True}, "locked-setting"),
    ("Offline", {"loadgen_git_status_message": " M loadgen.cc"}, "loadgen-modified"),
    ("Offline", {"loadgen_file_sha1": {"/results.cc": "00"}}, "loadgen-sources"),
    ("Offline", {"loadgen_version": "5.1.2 @ 0"}, "loadgen-version"),
]


@pytest.mark.parametrize(("scenario", "change", "expected"), ONE_FAULT, ids=lambda value: str(value)[:60])
def test_one_fault_one_finding(tmp_path: Path, scenario: str, change: dict[str, Any], expected: str) -> None:
    findings = judge(folders.write(tmp_path, {**folders.performance(scenario), **change}))
    assert checks(findings) == [expected]
    assert findings[0].clause and findings[0].fix and findings[0].file == "mlperf_log_detail.txt"
    assert findings[0].key in change or expected == "validity"


def test_an_error_line_is_found(tmp_path: Path) -> None:
    findings = judge(folders.write(tmp_path, folders.performance("Server"), errors=["something broke"]))
    assert checks(findings) == ["loadgen-errors"]
    assert "something broke" in findings[0].found


def test_a_forgotten_audit_config_is_found(tmp_path: Path) -> None:
    assert checks(judge(folders.write(tmp_path, folders.performance("Server"), warnings=[AUDIT_WARNING]))) == [
        "audit-config"
    ]


def test_the_claim_decides_scenario_and_mode(tmp_path: Path) -> None:
    run = folders.write(tmp_path, folders.performance("SingleStream"))
    wrong = Claim(Scenario.SINGLE_STREAM, TestMode.ACCURACY)
    assert checks(judge(run, claim=wrong)) == ["mode"]
    assert "scenario" in checks(judge(run, claim=Claim(Scenario.SERVER)))


def test_a_search_for_the_peak_is_no_result_whatever_it_claims(tmp_path: Path) -> None:
    run = folders.write(tmp_path, {**folders.performance("Server"), "effective_test_mode": "FindPeakPerformance"})
    assert checks(judge(run, claim=Claim(Scenario.SERVER, TestMode.FIND_PEAK))) == ["mode"]


def test_open_relaxes_samples_per_query_to_a_note(tmp_path: Path) -> None:
    change = {"effective_samples_per_query": 99, "result_samples_per_second": 33}
    run = folders.write(tmp_path, {**folders.performance("Offline"), **change})
    findings = judge(run, claim=Claim(Scenario.OFFLINE, division=Division.OPEN))
    assert [(f.check, f.severity) for f in findings] == [("samples-per-query", Severity.NOTE)]


@pytest.mark.parametrize("test", ["TEST01", "TEST04"])
def test_a_compliance_run_is_held_to_its_audit_config(tmp_path: Path, test: str) -> None:
    claim = Claim(Scenario.SERVER, test=test)
    good = folders.audited(folders.performance("Server"), test)
    assert judge(folders.write(tmp_path / "good", good, warnings=[AUDIT_WARNING]), claim=claim) == []
    assert checks(judge(folders.write(tmp_path / "unread", good), claim=claim)) == ["audit-config"]
    key = "effective_performance_issue_same" if test == "TEST04" else "effective_accuracy_log_sampling_target"
    bad = folders.write(tmp_path / "bad", {**good, key: 0}, warnings=[AUDIT_WARNING])
    assert checks(judge(bad, claim=claim)) == ["audit-settings"]


INTERACTIVE = Claim(Scenario.INTERACTIVE, TestMode.PERFORMANCE)
TOKEN_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"requested_server_ttft_latency": 100 * MS}, "latency-setting"),
    ({"result_first_token_90.00_percentile_latency_ns": 31 * MS}, "latency"),
    ({"result_time_per_output_token_90.00_percentile_ns": 11 * MS}, "latency"),
    ({"requested_use_token_latencies": False}, "token-latencies"),
    ({"effective_sample_concatenate_permutation": False}, "equal-issue"),
]


@pytest.mark.parametrize(("change", "expected"), TOKEN_FAULTS)
def test_interactive_has_its_own_limits(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    assert judge(folders.write(tmp_path / "good", folders.talking()), "talk", INTERACTIVE) == []
    bad = folders.write(tmp_path / "bad", {**folders.talking(), **change})
    assert checks(judge(bad, "talk", INTERACTIVE)) == [expected]


def test_a_slow_server_run_passes_as_server_and_fails_as_interactive(tmp_path: Path) -> None:
    slow = {"requested_server_ttft_latency": 100 * MS, "requested_server_tpot_latency": 20 * MS}
    run = folders.write(tmp_path, {**folders.talking(), **slow})
    assert judge(run, "talk", Claim(Scenario.SERVER)) == []
    assert checks(judge(run, "talk", INTERACTIVE)) == ["latency-setting", "latency-setting"]


def test_a_short_token_test_is_not_held_to_durations(tmp_path: Path) -> None:
    short = {
        "effective_min_duration_ms": 0,
        "result_validity": "INVALID",
        "early_stopping_met": False,
        "power_end": "11-22-2026 04:59:55.400",
        "result_scheduled_samples_per_sec": 760,
        "result_completed_samples_per_sec": 750,
        "effective_sample_concatenate_permutation": False,
    }
    run = folders.write(tmp_path, folders.audited({**folders.talking(), **short}, "TEST06"), warnings=[AUDIT_WARNING])
    assert judge(run, "talk", Claim(Scenario.INTERACTIVE, test="TEST06")) == []
    assert judge(run, "talk", INTERACTIVE) != []


def test_an_accuracy_run(tmp_path: Path) -> None:
    values = folders.common("Offline", "AccuracyOnly")
    entries = [folders.response(index, bytes([index])) for index in range(10)]
    assert judge(folders.write(tmp_path / "good", values, responses=entries)) == []
    short = folders.write(tmp_path / "short", {**values, "effective_accuracy_sample_count": 9}, responses=entries[:9])
    assert checks(judge(short)) == ["accuracy-sample-count"]
    twice = folders.write(tmp_path / "twice", values, responses=[*entries[:9], entries[0]])
    assert checks(judge(twice)) == ["responses"]
    empty = folders.write(tmp_path / "empty", values, responses=[*entries[:9], folders.response(9, b"")])
    assert [(f.check, f.severity) for f in judge(empty)] == [("empty-responses", Severity.WARNING)]


def test_an_unknown_benchmark_or_scenario_is_one_finding(tmp_path: Path) -> None:
    run = folders.write(tmp_path, folders.performance("Server"))
    assert checks(judge(run, "nothing")) == ["round"]
    assert checks(judge(run, "toy", Claim(Scenario.INTERACTIVE))) == ["round"]


@pytest.mark.parametrize("content", [None, "", "not a log", ":::MLLOG {", ':::MLLOG {"key": 1}', ":::MLLOG []"])
def test_damage_is_a_finding_never_an_exception(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "mlperf_log_detail.txt").write_text(content)
    assert checks(judge(Run(tmp_path))) == ["readable"]


@pytest.mark.parametrize("key", sorted(folders.performance("Server")))
@pytest.mark.parametrize("value", [None, "x", [1], {"a": 1}])
def test_odd_values_never_raise(tmp_path: Path, key: str, value: object) -> None:
    run = folders.write(tmp_path, {**folders.performance("Server"), key: value})
    assert isinstance(judge(run), list)
