"""LoadGen's `mlperf_log_summary.txt` of every round: its figures under the keys of the detail log.

Logs before v1.0 state results here alone; later ones say everything twice, so the two can be held against each other.
"""

from __future__ import annotations

import re
from typing import Any

from loadgen_harness.plain_log import MODES, number

PLAIN = {
    "SUT name": "sut_name",
    "Samples per second": "result_samples_per_second",
    "Tokens per second": "result_tokens_per_second",
    "Scheduled samples per second": "result_scheduled_samples_per_sec",
    "Completed samples per second": "result_completed_samples_per_sec",
    "Completed tokens per second": "result_completed_tokens_per_second",
    "Tokens per second (inferred)": "result_inferred_tokens_per_second",
    "Completed tokens per second (inferred)": "result_inferred_completed_tokens_per_second",
    "Result is": "result_validity",
    "QPS w/ loadgen overhead": "result_qps_with_loadgen_overhead",
    "QPS w/o loadgen overhead": "result_qps_without_loadgen_overhead",
    "TPS w/ loadgen overhead": "result_token_throughput_with_loadgen_overhead",
}
VERDICTS = {
    "Performance constraints satisfied": "result_perf_constraints_met",
    "Min duration satisfied": "result_min_duration_met",
    "Min queries satisfied": "result_min_queries_met",
    "Early stopping satisfied": "early_stopping_met",
}
_SECTIONS = {
    "Per-query latency": "query",
    "Per-sample latency": "sample",
    "Intervals between each IssueQuery": "interval",
    "Recommendations": "advice",
    "Early Stopping Result": "estimate",
    "TTFT Early Stopping Result": "first token",
    "TPOT Early Stopping Result": "next tokens",
}
_ESTIMATES = {"90": "early_stopping_latency_ss", "99": "early_stopping_latency_ms"}
_ESTIMATE = re.compile(r"Early stopping (90|99)(?:\.0)?th percentile estimate")
_PERCENTILES = (
    (re.compile(r"(\d+\.\d+) percentile latency \(ns\)"), "result_{}_percentile_latency_ns"),
    (re.compile(r"(\d+\.\d+) percentile first token latency \(ns\)"), "result_first_token_{}_percentile_latency_ns"),
    (re.compile(r"(\d+\.\d+) percentile time to output token \(ns\)"), "result_time_per_output_token_{}_percentile_ns"),
    (re.compile(r"(\d+\.\d+) percentile"), "result_{}_percentile_num_intervals_between_queries"),
)
_EXTREMES = (
    (re.compile(r"(Min|Max|Mean) latency \(ns\)"), "result_{}_latency_ns"),
    (re.compile(r"(Min|Max|Mean) First Token latency \(ns\)"), "result_first_token_{}_latency_ns"),
    (re.compile(r"(Min|Max|Mean) Time (?:to|per) Output Token \(ns\)"), "result_time_to_output_token_{}"),
)
_COUNTED = re.compile(r"(No|\d{1,18}) (warning|error)s? encountered", re.IGNORECASE)
_LONGEST = 4096


def read(content: bytes) -> dict[str, Any]:
    """What a summary says; empty for one that says nothing. Never raises for what stands in it."""
    found: dict[str, Any] = {}
    section = ""
    for line in content.decode("utf-8", "replace").split("\n"):
        text = line.strip()[:_LONGEST]
        if text == "Test Parameters Used":
            section = "parameters"
        elif counted := _COUNTED.match(text):
            count = counted[1].lower()
            found[f"num_{counted[2].lower()}s"] = 0 if count == "no" else int(count)
        elif text.startswith("* ") and section == "advice":
            found["result_invalid_reason"] = f"{found.get('result_invalid_reason', '')}{text.removeprefix('* ')} "
        elif section != "parameters":
            section = _take(found, text.removeprefix("* "), "" if section == "advice" and text else section)
    return found


def _take(found: dict[str, Any], text: str, section: str) -> str:
    """One `name : value`; returns the section that the next line stands in."""
    name, colon, value = (part.strip() for part in text.partition(":"))
    if name in _SECTIONS:
        return _SECTIONS[name]
    if not colon:
        return section
    if name == "Scenario":
        found["effective_scenario"] = value.replace(" ", "")
    elif name == "Mode":
        found["effective_test_mode"] = MODES.get(value, value)
    elif name in VERDICTS:
        found[VERDICTS[name]] = value == "Yes"
    elif name in PLAIN:
        found[PLAIN[name]] = value if PLAIN[name] in ("sut_name", "result_validity") else number(value)
    else:
        _figure(found, name, number(value), section)
    return section


def _figure(found: dict[str, Any], name: str, value: int | float | str, section: str) -> None:
    """A percentile, its estimate, or the least, greatest or mean of something."""
    estimate = _ESTIMATE.fullmatch(name)
    if estimate and section in ("estimate", "first token"):  # the detail log keeps the first token's
        found[_ESTIMATES[estimate[1]]] = value
    for pattern, key in (*_PERCENTILES, *_EXTREMES):
        match = pattern.fullmatch(name)
        if match:
            text = key.format(match[1].lower())
            found[_of_queries(text) if section == "query" else text] = value
            return


def _of_queries(key: str) -> str:
    """The key of a latency that stands under "Per-query latency"."""
    if "token" in key:
        return key
    if key.endswith("_percentile_latency_ns"):
        return key.replace("_percentile_latency_ns", "_percentile_per_query_latency_ns")
    return key.removesuffix("_latency_ns") + "_query_latency_ns" if key.endswith("_latency_ns") else key
