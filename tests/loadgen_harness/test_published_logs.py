"""Run against every log in ../shared/published: its figures are those of the summary that LoadGen wrote beside it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.run import Run

LATENCIES = r"(\d+\.\d\d) percentile {} \(ns\) +: (\S+)"
# What stands in a summary, and under which key Run must give it; {} takes the first group where there are two.
FIGURES = {
    r"SUT name : (.*)": "sut_name",
    r"Scenario : (.*)": "effective_scenario",
    r"Mode     : (.*)": "effective_test_mode",
    r"Samples per second: (\S+)": "result_samples_per_second",
    r"Tokens per second: (\S+)": "result_tokens_per_second",
    r"Scheduled samples per second : (\S+)": "result_scheduled_samples_per_sec",
    r"Completed samples per second    : (\S+)": "result_completed_samples_per_sec",
    r"Completed tokens per second: (\S+)": "result_completed_tokens_per_second",
    r"Result is : (\S+)": "result_validity",
    r"  Performance constraints satisfied : (\S+)": "result_perf_constraints_met",
    r"  Min duration satisfied : (\S+)": "result_min_duration_met",
    r"  Min queries satisfied : (\S+)": "result_min_queries_met",
    r"  Early stopping satisfied: (\S+)": "early_stopping_met",
    r" \* Early stopping 90(?:\.0)?th percentile estimate: (\d+)": "early_stopping_latency_ss",
    r" \* Early stopping 99(?:\.0)?th percentile estimate: (\d+)": "early_stopping_latency_ms",
    r"QPS w/ loadgen overhead         : (\S+)": "result_qps_with_loadgen_overhead",
    r"QPS w/o loadgen overhead        : (\S+)": "result_qps_without_loadgen_overhead",
    r"TPS w/ loadgen overhead         : (\S+)": "result_token_throughput_with_loadgen_overhead",
    r"M(in|ax) latency \(ns\)                : (\d+)": "result_m{}_latency_ns",
    r"M(ean) latency \(ns\)               : (\d+)": "result_m{}_latency_ns",
    LATENCIES.format("latency"): "result_{}_percentile_latency_ns",
    LATENCIES.format("first token latency"): "result_first_token_{}_percentile_latency_ns",
    LATENCIES.format("time to output token"): "result_time_per_output_token_{}_percentile_ns",
    r"M(in|ax) First Token latency \(ns\)                : (\d+)": "result_first_token_m{}_latency_ns",
    r"M(ean) First Token latency \(ns\)               : (\d+)": "result_first_token_m{}_latency_ns",
    r"M(in|ax) Time (?:to|per) Output Token \(ns\)                : (\d+)": "result_time_to_output_token_m{}",
    r"(samples_per_query|target_qps|max_async_queries|m(?:in|ax)_query_count) : (\S+)": "effective_{}",
    r"(qsl|sample_index|schedule|accuracy_log)_rng_seed : (\d+)": "effective_{}_rng_seed",
    r"(target_latency) \(ns\): (\d+)": "effective_{}_ns",
    r"(min|max)_duration \(ms\): (\d+)": "effective_{}_duration_ms",
    r"(accuracy_log_probability|accuracy_log_sampling_target) : (\S+)": "effective_{}",
    r"(print_timestamps|performance_issue_\w+|performance_sample_count) : (\S+)": "effective_{}",
}
WORDS = {
    "Single Stream": "SingleStream",
    "Performance": "PerformanceOnly",
    "Yes": True,
    "NO": False,
    "true": True,
    "false": False,
}
OF_QUERIES = {"_percentile_latency_ns": "_percentile_per_query_latency_ns", "_latency_ns": "_query_latency_ns"}
TREES = ("published", "golden-v6.1")


def figures(summary: str) -> dict[str, str]:
    """Key to text of all figures of a summary; under "Per-query latency" they are those of queries.

    Of token benchmarks the log's estimate is that of the first token.
    """
    found: dict[str, str] = {}
    summary = re.sub(r"TPOT Early Stopping Result:(\n \*.*)+", "", summary)
    of_queries = False
    for line in summary.split("\n"):
        of_queries = (of_queries or line.startswith("Per-query latency")) and "====" not in line
        for pattern, key in FIGURES.items():
            match = re.fullmatch(pattern, line.rstrip("\r"))
            if match:
                key = key.format(match[1])
                ends = [end for end in OF_QUERIES if key.endswith(end)] if of_queries and "token" not in key else []
                key = key.removesuffix(ends[0]) + OF_QUERIES[ends[0]] if ends else key
                found[key] = match[match.lastindex or 1]
    return found


def same(found: Any, text: str) -> bool:
    """Whether a value is what the summary rounded: to two digits behind the point, or to six in all."""
    if isinstance(found, str) or text in WORDS:
        return bool(found == WORDS.get(text, text))
    return found is not None and found == pytest.approx(float(text), rel=6e-6, abs=0.0051)


@dataclass(frozen=True)
class Read:
    """A folder with what Run reads in it, and LoadGen's summary."""

    path: Path
    run: Run
    summary: str


@pytest.fixture(scope="module")
def runs(shared: Path) -> list[Read]:
    """Every folder with a detail log."""
    paths = sorted(path.parent for tree in TREES for path in (shared / tree).rglob("mlperf_log_detail.txt"))
    return [Read(path, Run(path), (path / "mlperf_log_summary.txt").read_text()) for path in paths]


def test_every_figure_of_every_summary(runs: list[Read]) -> None:
    wrong: list[str] = []
    compared: Counter[str] = Counter()
    for each in runs:
        stated = figures(each.summary)
        compared.update(stated.keys())
        for key, text in stated.items():
            if not same(each.run.log.get(key), text):
                wrong.append(f"{each.path}: {key} is {each.run.log.get(key)}, summary says {text}")
    assert wrong == []
    assert compared.total() > 5_000
    assert len(compared) > 45


def test_errors_and_warnings_are_counted_as_loadgen_did(runs: list[Read]) -> None:
    for each in runs:
        run, errors, warnings = each.run, counted(each.summary, "error"), counted(each.summary, "warning")
        promoted = run.syntax == "plain" and any("Found Audit Config" in text for text in run.log_warnings)
        assert (run.error_count, len(run.log_warnings) - promoted) == (errors, warnings), each.path
        assert len(run.log_errors) == errors


def counted(summary: str, word: str) -> int:
    match = re.search(rf"^(No|\d+) {word}s? encountered", summary, re.MULTILINE | re.IGNORECASE)
    return 0 if match is None or match[1] == "No" else int(match[1])


def test_nothing_is_damaged_but_what_was_truncated(runs: list[Read]) -> None:
    for each in runs:
        run = each.run
        assert [text for text in run.damage if not text.startswith("mlperf_log_accuracy.json: ")] == [], each.path
        assert run.syntax == ("plain" if "v0.7" in each.path.parts else "mllog")
        assert run.scenario in ("SingleStream", "MultiStream", "Server", "Offline")
        assert run.mode in ("PerformanceOnly", "AccuracyOnly")


def test_the_summary_reader_agrees_with_the_detail_log(runs: list[Read]) -> None:
    """`Run.summary` and `Run.log` of one run; logs before v1.0 have results in the summary alone."""
    compared = 0
    for run in (each.run for each in runs):
        for key, value in run.summary.items():
            if key in run.log and key != "result_invalid_reason":
                compared += 1
                near = pytest.approx(value, rel=6e-6, abs=0.0051) if type(value) is float else value
                assert run.log[key] == near, (run.path, key)
    assert compared > 4_000


def test_power_windows_and_versions(runs: list[Read]) -> None:
    for run in (each.run for each in runs):
        if "power_end" in run.log:
            assert run.power_window is not None, run.path
            assert run.duration_s is not None and 0 <= run.duration_s < 200_000
        assert re.fullmatch(r"\d*\.\d\w*(\.\d+)?", run.loadgen_version), run.path
        assert len(run.loadgen_sources) > 20
        assert all(re.fullmatch("[0-9a-f]{40}", digest) for digest in run.loadgen_sources.values())
        assert run.line("effective_scenario") > 10
        assert run.qsl_name == run.log["qsl_name"]


@pytest.mark.parametrize(
    ("folder", "key", "value"),
    [
        ("v0.7/closed/IVATech/results/iva-fpga-1/resnet/SingleStream/performance/run_1", "Latency", 12.230138),
        ("v0.7/closed/IVATech/results/iva-fpga-1/resnet/Offline/performance/run_1", "Samples/s", 88.8239),
    ],
)
def test_old_results(shared: Path, folder: str, key: str, value: float) -> None:
    result = Run(shared / "published" / folder).result
    assert result is not None
    assert (result.name, result.value) == (key, value)
