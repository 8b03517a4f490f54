"""Logs of v0.5 to v0.7: the plain syntax under today's keys, with the results of the summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.run import Run

TEXTS = """\
LoadgenVersionInfo:
version : .5a1 @ 5d8fe40806
git_log :

aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa Merge pull request #743: "x" : y

git_status :

SHA1 of files :

012aad77e5206c89d50718c46c119d1f3cb056b2 /.clang-format
b82905303c4756c4a2ab40ceed92cdddbf04bf2d /bindings/c_api.cc

Date + time of test: 2020-09-18T12:44:37Z
System Under Test (SUT) name: An FPGA: fast
Query Sample Library (QSL) name: images
QSL total size: 50000
*Refer to Effective Settings for actual value
 
Effective Settings:
Scenario : Multi Stream
Test mode : Performance
samples_per_query : 8
target_qps : 1e+06
target_latency (ns): 50000000
min_duration (ms): 60000
qsl_rng_seed : 12786827339337101903
print_timestamps : false
performance_issue_same : true
 
Requested Settings:
Scenario : Multi Stream
multi_stream_target_qps : 20
 
Starting performance mode:
Loading QSL : "set" : "[3,1,2]"
GeneratedQueries: "queries" : 12001, "samples per query" : 8, "duration" : 120010000000
ERROR : Ending early: Max query count reached. "query_count" : 5
WARNING : Logging allocation detected: "tid" : 9280, "reserved_entries" : 1024
Log Contention Counters:
3 : swap_request_slots_retry_count
POWER_BEGIN: "mode" : Performance, "time" : 09-18-2020 12:25:19.270
POWER_END: "mode" : Performance, "time" : 09-18-2020 12:29:55.952"""

SUMMARY = """\
================================================
MLPerf Results Summary
================================================
SUT name : An FPGA: fast
Scenario : Multi Stream
Mode     : Performance
Samples per query : 8
Result is : INVALID
  Performance constraints satisfied : NO
  Min duration satisfied : Yes
Recommendations:
 * Reduce samples per query to improve latency.

================================================
Additional Stats
================================================
Intervals between each IssueQuery:  "qps" : 20, "ms" : 50
50.00 percentile : 1
Per-query latency:  "target_ns" : 50000000, "target_ms" : 50
99.00 percentile latency (ns)   : 41000000

Per-sample latency:
Min latency (ns)                : 3
99.00 percentile latency (ns)   : 4.1e+07

================================================
Test Parameters Used
================================================
samples_per_query : 9
Result is : VALID

2 warnings encountered. See detailed log.

1 ERROR encountered. See detailed log."""


def log(texts: str) -> str:
    """Texts as LoadGen writes them; those of git and digests run on without a head."""
    lines, runs_on = [], False
    for number, text in enumerate(texts.split("\n")):
        named = ":" in text and not text[:40].isalnum()
        runs_on = runs_on and not named
        lines.append(text if runs_on or not text else f'"pid": 7, "tid": 8, "ts": {number}000000ns : {text}')
        runs_on = runs_on or text.startswith(("git", "SHA1"))
    return "\n".join(lines) + "\n"


def folder(path: Path, texts: str = TEXTS, summary: str = SUMMARY) -> Run:
    (path / "mlperf_log_detail.txt").write_text(log(texts).replace("ns :  \n", "ns : \n"))
    (path / "mlperf_log_summary.txt").write_text(summary)
    return Run(path)


VALUES: dict[str, Any] = {
    "loadgen_version": ".5a1 @ 5d8fe40806",
    "test_datetime": "2020-09-18T12:44:37Z",
    "sut_name": "An FPGA: fast",
    "qsl_name": "images",
    "qsl_reported_total_count": 50000,
    "effective_scenario": "MultiStream",
    "effective_test_mode": "PerformanceOnly",
    "effective_samples_per_query": 8,
    "effective_target_qps": 1_000_000.0,
    "effective_target_latency_ns": 50_000_000,
    "effective_min_duration_ms": 60_000,
    "effective_qsl_rng_seed": 12786827339337101903,
    "effective_print_timestamps": False,
    "effective_performance_issue_same": True,
    "requested_scenario": "MultiStream",
    "requested_multi_stream_target_qps": 20,
    "loaded_qsl_set": [3, 1, 2],
    "generated_query_count": 12001,
    "generated_samples_per_query": 8,
    "generated_query_duration": 120010000000,
    "logger_swap_request_slots_retry_count": 3,
    "power_begin": "09-18-2020 12:25:19.270",
    "result_validity": "INVALID",
    "result_perf_constraints_met": False,
    "result_min_duration_met": True,
    "result_invalid_reason": "Reduce samples per query to improve latency. ",
    "result_50.00_percentile_num_intervals_between_queries": 1,
    "result_99.00_percentile_per_query_latency_ns": 41_000_000,
    "result_min_latency_ns": 3,
    "result_99.00_percentile_latency_ns": 41_000_000,
    "num_errors": 1,
    "num_warnings": 2,
}


@pytest.mark.parametrize("key", VALUES)
def test_todays_keys_and_words(tmp_path: Path, key: str) -> None:
    found = folder(tmp_path).log[key]
    assert found == VALUES[key]
    assert isinstance(found, bool) == isinstance(VALUES[key], bool)


def test_the_rest_of_the_run(tmp_path: Path) -> None:
    run = folder(tmp_path)
    assert run.damage == ()
    assert (run.syntax, run.loadgen_version, run.scenario) == ("plain", ".5a1", "MultiStream")
    assert dict(run.loadgen_sources) == {
        "/.clang-format": "012aad77e5206c89d50718c46c119d1f3cb056b2",
        "/bindings/c_api.cc": "b82905303c4756c4a2ab40ceed92cdddbf04bf2d",
    }
    assert run.log_errors == ('error_generic_message: Ending early: Max query count reached. "query_count" : 5',)
    assert len(run.log_warnings) == 1
    assert run.duration_s == pytest.approx(276.682)
    assert not run.valid
    assert run.result is not None
    assert (run.result.name, run.result.value) == ("Streams", 8.0)
    number = next(n for n, line in enumerate(log(TEXTS).split("\n"), 1) if "QSL total size" in line)
    assert run.line("qsl_reported_total_count") == number
    assert run.time_ms("qsl_reported_total_count") == number - 1


def test_reading_audit_config_counts_as_a_warning(tmp_path: Path) -> None:
    run = folder(tmp_path, "Found Audit Config file (audit.config). Overriding TestSettings from audit.config file.")
    assert any("audit.config" in warning for warning in run.log_warnings)


def test_the_detail_log_wins(tmp_path: Path) -> None:
    run = folder(tmp_path, "System Under Test (SUT) name: this", "SUT name : that")
    assert run.sut_name == "this"
    assert run.summary["sut_name"] == "that"


@pytest.mark.parametrize("line", ['"pid": x', "torn", '"pid": 1, "tid": 2, "ts": 3ms : version : 4', "\0\0\0"])
def test_a_line_that_is_none_is_damage(tmp_path: Path, line: str) -> None:
    (tmp_path / "mlperf_log_detail.txt").write_text(log("version : .5a1 @ x") + line + "\n")
    assert Run(tmp_path).damage == ("mlperf_log_detail.txt line 2: not a LoadGen record",)


def test_a_summary_of_nothing(tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe\0", b":\n:::\n* \n", b"Result is\n", b"* Early stopping 90th percentile estimate:"):
        (tmp_path / "mlperf_log_summary.txt").write_bytes(content)
        assert set(Run(tmp_path).summary) <= {"early_stopping_latency_ss"}
