"""TEST01 and TEST04 on small run folders written by hand, and what all compliance tests have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.compliance.test01 import TEST as TEST01
from audit.compliance.test04 import TEST as TEST04
from audit.compliance.test06 import TEST as TEST06
from audit.finding import Severity
from audit.verdict import ComplianceTest
from loadgen_harness import registry, rounds
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario
from tests.audit import folders
from tests.audit.folders import MS, ROUND
from tests.audit.trials import ENTRIES, accurate, audited, mean_score, reference, summed


def test_each_is_a_plugin_under_its_file_name() -> None:
    found = {name: registry.load(registry.TESTS, name) for name in registry.names(registry.TESTS)}
    assert {name: test.name for name, test in found.items()} == {name: name.upper() for name in found}
    assert found.keys() == {"test01", "test04", "test06", "test07", "test08", "test09"}


def test_they_apply_where_the_round_says() -> None:
    toy, talk = folders.benchmark("toy"), folders.benchmark("talk")
    assert TEST01.applies(toy, Scenario.SERVER, ROUND) and TEST04.applies(toy, Scenario.OFFLINE, ROUND)
    assert not TEST06.applies(toy, Scenario.SERVER, ROUND) and TEST06.applies(talk, Scenario.INTERACTIVE, ROUND)
    mini, digits = rounds.load("mini"), folders.benchmark("digits")
    assert TEST01.applies(digits, Scenario.OFFLINE, mini) and not TEST01.applies(digits, Scenario.SERVER, mini)
    assert not TEST01.applies(folders.benchmark("nothing"), Scenario.OFFLINE, ROUND)


def test_a_rounds_settings_reach_the_config() -> None:
    text = TEST01.config(folders.benchmark("digits"), rounds.load("mini"))
    assert "*.*.accuracy_log_sampling_target = 128\n" in text
    assert TEST06.config(folders.benchmark("talk"), ROUND).splitlines()[2:] == [
        "*.*.accuracy_log_sampling_target = 100",
        "*.*.min_query_count = 100",
        "*.*.min_duration = 0",
        "*.*.sample_concatenate_permutation = 0",
    ]


def test_test01_passes_on_equal_responses(tmp_path: Path) -> None:
    run = audited(tmp_path, "TEST01", ENTRIES[2:5] + ENTRIES[2:3])
    verdict = TEST01.verify(reference(tmp_path), accurate(tmp_path), run)
    assert verdict.passed and verdict.findings == ()
    assert set(verdict.files) == {"verify_accuracy.txt", "verify_performance.txt"}
    assert all(text.rstrip().endswith("TEST PASS") for text in verdict.files.values())
    assert str(tmp_path) not in "".join(verdict.files.values())


@pytest.mark.parametrize("responses", [[], None, [folders.response(3, b"\0\0\0\0")], [folders.response(99, b"1234")]])
def test_test01_fails_on_other_or_no_responses(tmp_path: Path, responses: list[dict[str, Any]] | None) -> None:
    verdict = TEST01.verify(reference(tmp_path), accurate(tmp_path), audited(tmp_path, "TEST01", responses))
    assert not verdict.passed and [f.key for f in verdict.findings] == ["data"]
    assert "TEST FAIL" in verdict.files["verify_accuracy.txt"]


def test_test01_compares_every_byte_of_a_response(tmp_path: Path) -> None:
    other = np.float32(3).tobytes()[:3] + b"\x41"
    verdict = TEST01.verify(
        reference(tmp_path), accurate(tmp_path), audited(tmp_path, "TEST01", [folders.response(3, other)])
    )
    assert not verdict.passed


@pytest.mark.parametrize(("factor", "passes"), [(1.005, True), (1.02, False)])
def test_test01_falls_back_to_accuracy_within_one_percent(tmp_path: Path, factor: float, passes: bool) -> None:
    near = [folders.response(index, np.float32(index * factor).tobytes()) for index in range(2, 6)]
    run = audited(tmp_path, "TEST01", near)
    verdict = TEST01.verify(reference(tmp_path), accurate(tmp_path), run, score=mean_score)
    assert verdict.passed is passes
    assert [f.severity for f in verdict.findings] == [Severity.WARNING if passes else Severity.ERROR]
    assert verdict.files["accuracy/baseline_accuracy.txt"].startswith("accuracy=3.500%")
    assert not TEST01.verify(reference(tmp_path), accurate(tmp_path), run).passed


def test_test01_wants_its_audit_config_and_an_accuracy_run(tmp_path: Path) -> None:
    plain = folders.write(tmp_path / "plain", folders.performance("Server"), responses=ENTRIES)
    verdict = TEST01.verify(reference(tmp_path), accurate(tmp_path), plain)
    assert {f.key for f in verdict.findings} == {"audit.config", "effective_accuracy_log_sampling_target"}
    assert not TEST01.verify(reference(tmp_path), None, audited(tmp_path, "TEST01", ENTRIES)).passed


@pytest.mark.parametrize(("scenario", "key"), [
    ("SingleStream", "early_stopping_latency_ss"), ("MultiStream", "early_stopping_latency_ms"),
    ("Server", "result_completed_samples_per_sec"), ("Offline", "result_samples_per_second"),
])  # fmt: skip
def test_test04_fails_where_one_sample_is_faster(tmp_path: Path, scenario: str, key: str) -> None:
    before = folders.performance(scenario)[key]
    faster = before / 1.12 if "latency" in key else before * 1.12
    good = TEST04.verify(reference(tmp_path, scenario), None, audited(tmp_path, "TEST04", scenario=scenario))
    assert good.passed and set(good.files) == {"verify_performance.txt"}
    run = audited(tmp_path, "TEST04", scenario=scenario, **{key: faster})
    bad = TEST04.verify(reference(tmp_path, scenario), None, run)
    assert not bad.passed and [f.key for f in bad.findings] == ["score"]
    wider = {"performance_tolerance_percent": 15, "performance_issue_same": 1, "performance_issue_same_index": 3}
    assert TEST04.verify(reference(tmp_path, scenario), None, run, settings=wider).passed


def test_very_short_latencies_may_differ_by_twenty_percent(tmp_path: Path) -> None:
    short = reference(tmp_path, "SingleStream", early_stopping_latency_ss=200_000)
    run = audited(tmp_path, "TEST04", scenario="SingleStream", early_stopping_latency_ss=170_000)
    assert TEST04.verify(short, None, run).passed


@pytest.mark.parametrize("change", [
    {"result_validity": "INVALID"}, {"effective_scenario": "Offline"}, {"effective_target_latency_ns": 60 * MS},
    {"effective_performance_issue_same_index": 0}, {"effective_performance_issue_unique": True},
])  # fmt: skip
def test_test04_wants_like_and_valid_runs(tmp_path: Path, change: dict[str, Any]) -> None:
    verdict = TEST04.verify(reference(tmp_path), None, audited(tmp_path, "TEST04", **change))
    assert not verdict.passed and "TEST FAIL" in verdict.files["verify_performance.txt"]


FAULTS: list[tuple[dict[str, Any], set[str]]] = [
    ({"num_errors": 2}, {"num_errors"}),
    ({"result_completed_samples_per_sec": float("nan")}, {"result_completed_samples_per_sec", "damaged"}),
    ({"result_completed_samples_per_sec": "99.5"}, {"result_completed_samples_per_sec"}),
    ({"result_completed_samples_per_sec": 10**400}, {"result_completed_samples_per_sec"}),
]


@pytest.mark.parametrize("test", [TEST01, TEST04], ids=["TEST01", "TEST04"])
@pytest.mark.parametrize(("change", "keys"), FAULTS)
def test_runs_with_errors_or_no_figure_are_not_compared(
    tmp_path: Path, test: ComplianceTest, change: dict[str, Any], keys: set[str]
) -> None:
    run = audited(tmp_path, test.name, ENTRIES, **change)
    verdict = test.verify(reference(tmp_path), accurate(tmp_path), run)
    assert not verdict.passed and {finding.key for finding in verdict.findings} == keys


@pytest.mark.parametrize("test", [TEST01, TEST04], ids=["TEST01", "TEST04"])
def test_without_a_reference_nothing_is_compared(tmp_path: Path, test: ComplianceTest) -> None:
    verdict = test.verify(None, accurate(tmp_path), audited(tmp_path, test.name, ENTRIES))
    assert not verdict.passed and [finding.found for finding in verdict.findings] == ["no reference run"]


def test_a_damaged_line_of_a_log_is_no_like_run(tmp_path: Path) -> None:
    run = audited(tmp_path, "TEST01", ENTRIES)
    with run.file("mlperf_log_detail.txt").open("a") as log:
        log.write(":::MLLOG {\n")
    verdict = TEST01.verify(reference(tmp_path), accurate(tmp_path), Run(run.path))
    assert [finding.key for finding in verdict.findings] == ["damaged"]


@pytest.mark.parametrize(("change", "key"), [
    ({"Result_is": "INVALID"}, "result_validity"), ({"Scenario": "Offline"}, "effective_scenario"),
    ({"score": "88.8"}, "result_completed_samples_per_sec"), ({"score": "none"}, "result_completed_samples_per_sec"),
])  # fmt: skip
def test_test04_wants_both_logs_to_tell_the_same(tmp_path: Path, change: dict[str, str], key: str) -> None:
    run = summed(audited(tmp_path, "TEST04"), **change)
    verdict = TEST04.verify(reference(tmp_path), None, run)
    assert key in {finding.key for finding in verdict.findings}
    assert {finding.file for finding in verdict.findings} == {"mlperf_log_summary.txt"}
    run.file("mlperf_log_summary.txt").unlink()
    missing = TEST04.verify(reference(tmp_path), None, Run(run.path))
    assert {finding.found for finding in missing.findings} == {"missing in the test run"}


def test_no_metric_at_all_is_no_agreement(tmp_path: Path) -> None:
    near = [folders.response(3, np.float32(3.01).tobytes())]
    run = audited(tmp_path, "TEST01", near)
    assert not TEST01.verify(reference(tmp_path), accurate(tmp_path), run, score=lambda responses: []).passed


def test_settings_come_from_the_runs_own_round(tmp_path: Path) -> None:
    near = [folders.response(3, ENTRIES[3] and bytes.fromhex(ENTRIES[3]["data"]))]
    run = audited(tmp_path, "TEST01", near, effective_accuracy_log_sampling_target=128)
    assert not TEST01.verify(reference(tmp_path), accurate(tmp_path), run).passed
    ours = folders.own(run, benchmark="digits", round="mini", test="TEST01", scenario="Server")
    assert TEST01.verify(reference(tmp_path), accurate(tmp_path), ours).passed


@pytest.mark.parametrize("test", [TEST01, TEST04], ids=["TEST01", "TEST04"])
def test_a_log_that_states_its_verdict_twice_is_not_compared(tmp_path: Path, test: ComplianceTest) -> None:
    log = audited(tmp_path, test.name, ENTRIES).file("mlperf_log_detail.txt")
    verdict = next(line for line in log.read_text().splitlines() if '"result_validity"' in line)
    log.write_text(f"{verdict.replace('VALID', 'INVALID')}\n{log.read_text()}")
    found = test.verify(reference(tmp_path), accurate(tmp_path), Run(log.parent)).findings
    assert [(finding.key, finding.found) for finding in found] == [
        ("result_validity", "stated more than once in the test run")
    ]
