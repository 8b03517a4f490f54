"""The 600-second runs of the golden tree: good ones are clean, one fault is one finding, verdicts are official."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audit import accuracy
from audit.case import Claim
from audit.compliance import _settings
from audit.compliance.test01 import TEST as TEST01
from audit.compliance.test04 import TEST as TEST04
from audit.finding import Finding
from audit.requested import pairs
from audit.rules import check
from loadgen_harness import rounds
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Metric, Scenario, TestMode, Variant

RESNET50 = Benchmark(
    name="resnet50",
    title="Image classification",
    checker_name="resnet",
    variants={"": Variant("resnet50")},
    metrics=(Metric("acc", "%"),),
    sample="one image",
    response_dtype="float32",
    backends=("null",),
    precisions=("fp32",),
)
SCENARIOS = ("SingleStream", "MultiStream", "Offline")
PERFORMANCE = "performance/run_1"


@pytest.fixture(scope="session")
def tree(shared: Path) -> Path:
    """The golden tree's resnet50 folder."""
    folder = shared / "golden-v6.1/closed/Acme/results/toybox_1x_cpu/resnet50"
    if not folder.is_dir():
        pytest.skip("no golden-v6.1 tree in ../shared")
    return folder


@pytest.fixture(scope="session")
def full(shared: Path) -> Path:
    """The golden tree's accuracy logs before truncation."""
    folder = shared / "golden-v6.1-full-accuracy"
    if not folder.is_dir():
        pytest.skip("no golden-v6.1-full-accuracy in ../shared")
    return folder


def judge(folder: Path, scenario: str, mode: TestMode = TestMode.PERFORMANCE, test: str = "") -> list[Finding]:
    """All findings of one folder of the tree under v6.1."""
    claim = Claim(Scenario(scenario), mode, Division.CLOSED, test)
    return list(check(Run(folder), RESNET50, rounds.load("v6.1"), claim))


def changed(source: Path, target: Path, changes: dict[str, object]) -> Path:
    """A copy of a run folder with some values of its detail log replaced."""
    target.mkdir(parents=True)
    lines = (source / "mlperf_log_detail.txt").read_text().splitlines()
    asked = pairs(Run(source).scenario)  # a setting in effect is what was asked for, too
    changes = {asked.get(key, key): value for key, value in changes.items()} | changes
    for number, line in enumerate(lines):
        record = json.loads(line.removeprefix(":::MLLOG "))
        if record["key"] in changes:
            lines[number] = ":::MLLOG " + json.dumps({**record, "value": changes[record["key"]]})
    (target / "mlperf_log_detail.txt").write_text("\n".join(lines) + "\n")
    return target


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_good_runs_have_no_finding(tree: Path, scenario: str) -> None:
    assert judge(tree / scenario / PERFORMANCE, scenario) == []
    assert judge(tree / scenario / "accuracy", scenario, TestMode.ACCURACY) == []
    for test in ("TEST01", "TEST04"):
        assert judge(tree / scenario / test / PERFORMANCE, scenario, test=test) == []


def test_the_open_run_has_no_finding(shared: Path, tree: Path) -> None:
    folder = shared / "golden-v6.1/open/Acme/results/toybox_1x_cpu/my-toy-net/Offline" / PERFORMANCE
    claim = Claim(Scenario.OFFLINE, TestMode.PERFORMANCE, Division.OPEN)
    assert list(check(Run(folder), RESNET50, rounds.load("v6.1"), claim)) == []


FAULTS: list[tuple[str, dict[str, object], tuple[str, ...]]] = [
    ("SingleStream", {"result_validity": "INVALID"}, ("validity",)),
    ("SingleStream", {"early_stopping_met": False}, ("early-stopping",)),
    ("MultiStream", {"num_errors": 1}, ("loadgen-errors",)),
    ("Offline", {"effective_qsl_rng_seed": 2465351861681999779}, ("seeds",)),
    ("Offline", {"effective_sample_index_rng_seed": 0}, ("seeds",)),
    ("Offline", {"effective_schedule_rng_seed": 16159082839903944937}, ("seeds",)),
    ("SingleStream", {"effective_min_duration_ms": 60000}, ("duration-setting",)),
    ("SingleStream", {"effective_max_duration_ms": 20000}, ("duration-setting",)),
    ("SingleStream", {"power_end": "11-22-2026 05:00:15.250"}, ("duration", "rates")),
    ("Offline", {"power_end": "11-22-2026 05:12:00.000"}, ("duration", "rates")),
    ("MultiStream", {"effective_min_query_count": 100}, ("query-count",)),
    ("MultiStream", {"result_query_count": 661}, ("query-count", "rates", "early-stopping-figures", "verdict")),
    ("MultiStream", {"effective_samples_per_query": 1}, ("samples-per-query",)),
    ("SingleStream", {"effective_performance_sample_count": 64}, ("performance-sample-count",)),
    ("SingleStream", {"effective_target_latency_percentile": 0.5}, ("percentile", "early-stopping-figures")),
    ("MultiStream", {"effective_performance_issue_same": True}, ("audit-settings",)),
    ("Offline", {"effective_accuracy_log_sampling_target": 4096}, ("audit-settings",)),
    ("Offline", {"result_samples_per_second": 4807.58}, ("consistency",)),
    ("MultiStream", {"early_stopping_latency_ms": 1531046}, ("early-stopping-figures",)),
    ("Offline", {"loadgen_version": "5.0.0 @ 0"}, ("loadgen-version",)),
]


@pytest.mark.parametrize(("scenario", "change", "expected"), FAULTS, ids=lambda value: str(value)[:60])
def test_one_fault_has_its_findings_and_no_other(
    tree: Path, tmp_path: Path, scenario: str, change: dict[str, object], expected: tuple[str, ...]
) -> None:
    source = tree / scenario / PERFORMANCE
    if expected[0] == "duration" and scenario == "Offline":
        change = {**change, "power_begin": "11-22-2026 05:11:50.000"}
    assert tuple(f.check for f in judge(changed(source, tmp_path / "run", change), scenario)) == expected


def test_another_mode_in_the_place_of_a_performance_run_is_found(tree: Path, tmp_path: Path) -> None:
    folder = changed(tree / "Offline" / PERFORMANCE, tmp_path / "run", {"effective_test_mode": "AccuracyOnly"})
    assert {finding.check for finding in judge(folder, "Offline")} == {"mode"}


def test_a_second_line_of_the_same_figure_is_found(tree: Path, tmp_path: Path) -> None:
    """In LoadGen's own words, so that nothing but its being there twice is odd."""
    source, target = tree / "Offline" / PERFORMANCE, tmp_path / "run"
    target.mkdir()
    lines = (source / "mlperf_log_detail.txt").read_text().splitlines()
    (again,) = (line for line in lines if '"result_samples_per_second"' in line)
    (target / "mlperf_log_detail.txt").write_text("\n".join([*lines, again, ""]))
    assert Run(target).repeated == {"result_samples_per_second"}
    assert [(f.check, f.key) for f in judge(target, "Offline")] == [("repeated", "result_samples_per_second")]
    assert Run(source).repeated == frozenset()


def test_a_run_in_the_wrong_place_is_found(tree: Path) -> None:
    found = {finding.check for finding in judge(tree / "SingleStream" / PERFORMANCE, "Server")}
    assert "scenario" in found
    assert [f.check for f in judge(tree / "Offline" / "TEST01" / PERFORMANCE, "Offline")] == [
        "audit-config",
        "audit-settings",
        "audit-settings",
    ]
    assert {f.check for f in judge(tree / "Offline" / "TEST04" / PERFORMANCE, "Offline", test="TEST01")} == {
        "audit-settings"
    }


def test_a_short_accuracy_run_is_found(tree: Path, tmp_path: Path) -> None:
    folder = changed(tree / "Offline/accuracy", tmp_path / "run", {"effective_accuracy_sample_count": 5000})
    assert [f.check for f in judge(folder, "Offline", TestMode.ACCURACY)] == ["accuracy-sample-count"]


def whole(tree: Path, full: Path, scenario: str, target: Path, test: str = "") -> Run:
    """A run folder as it was before truncation: the tree's logs with the full accuracy log."""
    logs = tree / scenario / test / PERFORMANCE if test else tree / scenario / "accuracy"
    shutil.copytree(logs, target)
    shutil.copy(full / scenario / test / "accuracy" / "mlperf_log_accuracy.json", target / "mlperf_log_accuracy.json")
    return Run(target)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_test01_agrees_with_the_official_script(tree: Path, full: Path, tmp_path: Path, scenario: str) -> None:
    reference = Run(tree / scenario / PERFORMANCE)
    accurate = whole(tree, full, scenario, tmp_path / "accuracy")
    verdict = TEST01.verify(reference, accurate, whole(tree, full, scenario, tmp_path / "audit", "TEST01"))
    official = tree / scenario / "TEST01"
    lines = (official / "verify_performance.txt").read_text().splitlines()
    assert verdict.passed and not verdict.findings
    assert verdict.files["verify_accuracy.txt"] == (official / "verify_accuracy.txt").read_text()
    assert verdict.files["verify_performance.txt"].splitlines() == [line for line in lines if "log_parser" not in line]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_test04_agrees_with_the_official_script(tree: Path, scenario: str) -> None:
    verdict = TEST04.verify(Run(tree / scenario / PERFORMANCE), None, Run(tree / scenario / "TEST04" / PERFORMANCE))
    official = (tree / scenario / "TEST04/verify_performance.txt").read_text()
    assert verdict.passed and verdict.files == {"verify_performance.txt": official}


def test_test01_fails_on_the_truncated_log(tree: Path) -> None:
    verdict = TEST01.verify(
        Run(tree / "Offline" / PERFORMANCE), Run(tree / "Offline/accuracy"), Run(tree / "Offline/TEST01" / PERFORMANCE)
    )
    assert not verdict.passed
    assert (
        "TEST FAIL" in verdict.files["verify_accuracy.txt"] and "TEST PASS" in verdict.files["verify_performance.txt"]
    )


def test_a_changed_response_fails_test01(tree: Path, full: Path, tmp_path: Path) -> None:
    audit = whole(tree, full, "Offline", tmp_path / "audit", "TEST01")
    entries = json.loads(audit.file("mlperf_log_accuracy.json").read_text())
    entries[7]["data"] = "0000C8C2"
    audit.file("mlperf_log_accuracy.json").write_text(json.dumps(entries))
    accurate = whole(tree, full, "Offline", tmp_path / "accuracy")
    verdict = TEST01.verify(Run(tree / "Offline" / PERFORMANCE), accurate, Run(audit.path))
    assert not verdict.passed and "num_perf_log_data_mismatch = 1\n" in verdict.files["verify_accuracy.txt"]


@pytest.mark.parametrize(("test", "rate", "passes"), [
    ("TEST01", 44.0, True), ("TEST01", 43.0, False), ("TEST01", 52.0, True), ("TEST01", 53.0, False),
    ("TEST04", 20.0, True), ("TEST04", 52.0, True), ("TEST04", 53.0, False),
])  # fmt: skip
def test_the_tolerance_is_ten_percent(
    tree: Path, full: Path, tmp_path: Path, test: str, rate: float, passes: bool
) -> None:
    folder = changed(tree / "Offline" / test / PERFORMANCE, tmp_path / "slow", {"result_samples_per_second": rate})
    summary = (tree / "Offline" / test / PERFORMANCE / "mlperf_log_summary.txt").read_text()
    said = re.sub(r"(?m)^Samples per second: .*", f"Samples per second: {rate}", summary)
    (folder / "mlperf_log_summary.txt").write_text(said)
    shutil.copy(full / "Offline/TEST01/accuracy/mlperf_log_accuracy.json", folder / "mlperf_log_accuracy.json")
    verify: Callable[..., object] = (TEST01 if test == "TEST01" else TEST04).verify
    accurate = whole(tree, full, "Offline", tmp_path / "accuracy")
    verdict = verify(Run(tree / "Offline" / PERFORMANCE), accurate, Run(folder))
    assert getattr(verdict, "passed") is passes  # noqa: B009


def test_the_accuracy_file_is_the_official_one(tree: Path, full: Path, tmp_path: Path) -> None:
    text = (tree / "Offline/accuracy/accuracy.txt").read_text()
    assert accuracy.read(text, RESNET50.metrics) == {"acc": 76.502}
    digest = hashlib.sha256((full / "Offline/accuracy/mlperf_log_accuracy.json").read_bytes()).hexdigest()
    assert accuracy.recorded_hash(text) == digest
    assert accuracy.with_hash("accuracy=76.502%, good=38251, total=50000\n", digest) == text


def test_the_audit_configs_are_the_official_ones() -> None:
    round_ = rounds.load("v6.1")
    assert TEST01.config(RESNET50, round_).splitlines() == [
        "*.*.mode = 2",
        "*.*.accuracy_log_rng_seed = 720381539243781796",
        "*.*.accuracy_log_sampling_target = 4096",
    ]
    assert TEST04.config(RESNET50, round_).splitlines() == [
        "*.*.mode = 2",
        "*.*.performance_issue_unique = 0",
        "*.*.performance_issue_same = 1",
        "*.*.performance_issue_same_index = 3",
    ]
    assert _settings.merged("", round_.rules("resnet50")) == {}
