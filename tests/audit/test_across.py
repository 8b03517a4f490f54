"""Faults that only two files of a result show together: each is found, a sound result has none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit.across import CHECKS, check
from audit.finding import Finding, Severity
from loadgen_harness import rounds
from loadgen_harness.run import Run
from loadgen_harness.types import Metric, Variant
from tests.audit import evidences, folders
from tests.audit.evidences import evidence


def found(findings: list[Finding]) -> list[tuple[str, str]]:
    """(check, key) of each."""
    return [(each.check, each.key) for each in findings]


def test_a_sound_result_has_no_finding(tmp_path: Path) -> None:
    assert list(check(evidence(tmp_path))) == []


def test_a_result_without_any_run_has_none_either(tmp_path: Path) -> None:
    empty = evidence(tmp_path, performance=None, accuracy=None, tests={}, system={})
    assert list(check(empty)) == []
    assert all(list(each(empty)) == [] for each in CHECKS)


DURING = {"power_begin": "11-22-2026 05:59:56.000", "power_end": "11-22-2026 05:59:59.000"}
PARTS: list[tuple[str, dict[str, Any], tuple[str, str]]] = [
    ("accuracy", {"loadgen_version": "5.1.0 @ 0"}, ("same-loadgen", "loadgen_version")),
    ("TEST01", {"loadgen_version": "6.0.16 @ 0"}, ("same-loadgen", "loadgen_version")),
    ("accuracy", {"sut_name": "Other"}, ("same-system", "sut_name")),
    ("TEST04", {"qsl_name": "Other"}, ("same-data", "qsl_name")),
    ("accuracy", {"qsl_reported_total_count": 9}, ("same-data", "qsl_reported_total_count")),
    ("accuracy", {"effective_performance_sample_count": 9}, ("same-data", "effective_performance_sample_count")),
    ("TEST01", {"effective_target_latency_ns": 7}, ("test-settings", "effective_target_latency_ns")),
    ("TEST04", {"effective_min_duration_ms": 9000}, ("test-settings", "effective_min_duration_ms")),
    ("performance", {"power_end": "11-22-2026 04:00:00.000"}, ("times", "power_end")),
    ("accuracy", {"power_begin": "11-22-2025 06:00:00.000"}, ("times", "power_end")),
    ("TEST01", DURING, ("overlap", "power_begin")),
]


@pytest.mark.parametrize(("part", "change", "expected"), PARTS, ids=lambda value: str(value)[:50])
def test_one_run_that_does_not_belong(
    tmp_path: Path, part: str, change: dict[str, Any], expected: tuple[str, str]
) -> None:
    findings = list(check(evidence(tmp_path, {part: change})))
    assert found(findings) == [expected]
    assert all(each.clause and each.fix and each.file.endswith("mlperf_log_detail.txt") for each in findings)


@pytest.mark.parametrize("part", ["performance", "accuracy", "TEST01"])
def test_the_odd_one_out_is_blamed(tmp_path: Path, part: str) -> None:
    """Not the many that agree, also where the performance run is the odd one."""
    (other,) = check(evidence(tmp_path / "size", {part: {"qsl_reported_total_count": 9}}))
    earlier = {"power_begin": "11-22-2019 06:00:00.000", "power_end": "11-22-2019 06:10:00.000"}
    (late,) = check(evidence(tmp_path / "time", {part: earlier}))
    name = {"performance": "performance/run_1"}.get(part, part)
    assert all(name in each.file or part in each.file for each in (other, late)), (other.file, late.file)
    assert other.found == "9" and late.found.startswith("2019-11-22")
    assert "quiet system" not in late.fix and "NTP" in late.fix


def test_sources_are_compared_too(tmp_path: Path) -> None:
    made = evidence(
        tmp_path,
        {part: {"loadgen_file_sha1": {"/loadgen.cc": "1" if part == "accuracy" else "0"}} for part in evidences.DAY},
    )
    assert found(list(check(made))) == [("same-loadgen", "loadgen_file_sha1")]


def test_tasks_with_other_data_for_performance_are_not_held_to_one_size(tmp_path: Path) -> None:
    limits = {"performance_sample_count": 20, "accuracy_sample_count": 10}
    toy = {"scenarios": {"Server": {}}, "limits": limits}
    tables = {"name": "tiny", "seeds": folders.SEEDS, "benchmarks": {"toy": toy}}
    made = evidence(tmp_path, {"accuracy": {"qsl_reported_total_count": 9}}, round=rounds.parse(tables))
    assert list(check(made)) == []


def test_nor_are_tasks_whose_accuracy_has_more_data(tmp_path: Path) -> None:
    variants = {"": Variant("toy-model", total_count=10), "AccuracyOnly": Variant("toy-model", total_count=99)}
    toy = replace(folders.benchmark(), variants=variants)
    made = evidence(tmp_path, {"accuracy": {"qsl_reported_total_count": 99}}, benchmark=toy)
    assert list(check(made)) == []
    other = evidence(tmp_path / "test", {"TEST01": {"qsl_reported_total_count": 99}}, benchmark=toy)
    assert found(list(check(other))) == [("same-data", "qsl_reported_total_count")]


def own(run: Run, **meta: Any) -> Run:
    """A run of this suite with this run.json."""
    run.file("run.json").write_text(json.dumps(meta))
    return Run(run.path)


def test_runs_of_this_suite_name_machine_and_code(tmp_path: Path) -> None:
    made = evidence(tmp_path)
    assert made.performance and made.accuracy
    one = own(made.performance, suite={"git": "abc"}, system={"host_processor_model_name": "A"}, model_sha256="1")
    same = own(made.accuracy, suite={"git": "abc"}, system={"host_processor_model_name": "A"}, model_sha256="1")
    assert list(check(replace(made, performance=one, accuracy=same))) == []
    other = own(made.accuracy, suite={"git": "abd"}, system={"host_processor_model_name": "B"}, model_sha256="2")
    assert found(list(check(replace(made, performance=one, accuracy=other)))) == [
        ("same-system", "model_sha256"),
        ("same-system", "suite.git"),
        ("same-system", "system.host_processor_model_name"),
    ]


def test_the_description_is_held_against_what_the_suite_saw(tmp_path: Path) -> None:
    made = evidence(tmp_path)
    assert made.performance
    run = own(made.performance, system={"accelerators_per_node": "4", "host_processors_per_node": "1"})
    (finding,) = check(replace(made, performance=run))
    assert (finding.check, finding.key, finding.found) == ("system-collected", "accelerators_per_node", "2")


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("2xA100", True),
        ("8xH100", False),
        ("H100x8", False),
        ("H100-SXM-80GBx2_TRT", True),
        ("dgx_1x_cpu", True),
        ("EPYC x86_64", True),
        ("RTX4090", True),
        ("MI300X", True),
    ],
)
def test_counts_in_names_are_counts_of_something(tmp_path: Path, name: str, fits: bool) -> None:
    findings = list(check(evidence(tmp_path, system_name=name)))
    assert found(findings) == ([] if fits else [("system-name", "system name")])


def test_counts_that_are_no_numbers_are_left_to_others(tmp_path: Path) -> None:
    system = {"accelerators_per_node": "N/A", "number_of_nodes": "", "host_processors_per_node": None}
    assert list(check(evidence(tmp_path, system=system, system_name="8xH100"))) == []


CONFS = [
    ("*.Server.target_qps = 100\n", []),
    ("*.Server.target_qps = 200\n", ["target_qps"]),
    ("*.*.target_qps = 200\n*.Server.target_qps = 100 # tuned\n", []),
    ("toy-model.Server.target_latency = 10\n*.Server.target_latency = 50\n", ["target_latency"]),
    ("other-model.Server.target_latency = 10\n", []),
    ("*.Offline.target_qps = 200\n", []),
    ("*.Server.min_duration = 60000\n", ["min_duration"]),
    ("nonsense\n*.Server.target_qps = many\n", []),
    ("*.Server.target_qps = " + "9" * 4000, []),
]


@pytest.mark.parametrize(("text", "keys"), CONFS, ids=lambda value: str(value)[:40])
def test_user_conf_is_what_loadgen_was_given(tmp_path: Path, text: str, keys: list[str]) -> None:
    path = tmp_path / "user.conf"
    path.write_text(text)
    given = {"performance": {"effective_target_qps": 100, "requested_min_duration_ms": 2000}}
    findings = list(check(evidence(tmp_path, given, files={"user.conf": path})))
    assert found(findings) == [("user-conf", key) for key in keys]
    assert all(each.severity is Severity.WARNING and each.line for each in findings)


def test_both_runs_generate_as_many_tokens(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.txt"
    benchmark = replace(folders.benchmark(), metrics=(Metric("TOKENS_PER_SAMPLE"),))
    rates = {"performance": {"result_completed_tokens_per_second": 29850.0}}  # 300 a sample
    for said, checks in (("290.5", []), ("200.0", ["tokens-per-sample"])):
        path.write_text(f"{{'tokens_per_sample': {said}}}\n")
        made = evidence(tmp_path / said, rates, benchmark=benchmark, files={"accuracy.txt": path})
        assert [each.check for each in check(made)] == checks


SPL = "Time,11-22-2026 05:59:{:02d}.000,Watts,100.0,Volts,1,Amps,1,PF,1,Mark,run_testing\n"


@pytest.mark.parametrize(
    ("seconds", "fits"), [(range(50, 60), True), (range(56, 60), True), (range(50, 55), False), (range(10), False)]
)
def test_power_covers_the_run(tmp_path: Path, seconds: range, fits: bool) -> None:
    made = evidence(tmp_path, power=tmp_path)
    assert made.performance
    made.performance.file("spl.txt").write_text("".join(map(SPL.format, seconds)))
    findings = list(check(made))
    assert found(findings) == ([] if fits else [("power-window", "Time")])
