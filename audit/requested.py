"""The settings that were asked for against those in effect: LoadGen logs both, and takes most of them over as they are.

What audit.config changes is changed before either is logged (loadgen/test_settings_internal.cc derives the second from
the first).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audit.case import Case, Check
from audit.finding import Finding
from loadgen_harness.types import TestMode

CLAUSE = "inference_rules.adoc, LoadGen Operation: LoadGen derives the settings in effect from those asked for"
FIX = "Submit the log as LoadGen wrote it, or repeat the run."
PRINTED = 2e-5  # relative: a rate of six digits
EQUAL = (
    "scenario",
    "test_mode",
    "min_duration_ms",
    "max_duration_ms",
    "min_query_count",
    "max_query_count",
    "qsl_rng_seed",
    "sample_index_rng_seed",
    "schedule_rng_seed",
    "accuracy_log_rng_seed",
    "accuracy_log_probability",
    "accuracy_log_sampling_target",
    "print_timestamps",
    "performance_issue_unique",
    "performance_issue_same",
    "performance_issue_same_index",
    "sample_concatenate_permutation",
)
OVERRIDES = ("performance_sample_count", "accuracy_sample_count")  # 0 leaves the library's own
OWN: Mapping[str, Mapping[str, str]] = {  # per scenario: in effect -> asked for
    "SingleStream": {"target_latency_percentile": "single_stream_target_latency_percentile"},
    "MultiStream": {
        "target_latency_percentile": "multi_stream_target_latency_percentile",
        "samples_per_query": "multi_stream_samples_per_query",
    },
    "Server": {
        "target_qps": "server_target_qps",
        "target_latency_ns": "server_target_latency_ns",
        "target_latency_percentile": "server_target_latency_percentile",
        "max_async_queries": "server_max_async_queries",
    },
    "Offline": {"target_qps": "offline_expected_qps"},
}
EXPECTED = {"SingleStream": "single_stream_expected_latency_ns", "MultiStream": "multi_stream_expected_latency_ns"}


def pairs(scenario: str) -> dict[str, str]:
    """Keys of settings in effect -> keys of those asked for that hold the same value."""
    overrides = {name: f"{name}_override" for name in OVERRIDES}
    named = {**{name: name for name in EQUAL}, **overrides, **OWN.get(scenario, {})}
    if scenario == "Offline":
        del named["min_query_count"]  # one query of as many samples
    return {f"effective_{name}": f"requested_{asked}" for name, asked in named.items()}


def taken_over(case: Case) -> Iterator[Finding]:
    """What was asked for is in effect."""
    log, scenario = case.log, case.run.scenario
    if case.run.mode == TestMode.FIND_PEAK.value:
        return  # LoadGen sets the rate of each of its runs
    whole_sets = scenario == "SingleStream" and log.get("requested_sample_concatenate_permutation")
    for effective, asked in pairs(scenario).items():
        wanted, found = log.get(effective), log.get(asked)
        if wanted is None or found is None or (whole_sets and effective == "effective_min_query_count"):
            continue
        unset = asked.endswith("_override") and not found
        if not unset and not _same(wanted, found):
            yield _finding(case, asked, f"{wanted}, as {effective}")
    yield from _expected(case)


def _expected(case: Case) -> Iterator[Finding]:
    """Streams: the rate is 1 over the latency that was expected."""
    key = f"requested_{EXPECTED.get(case.run.scenario, '')}"
    latency, rate = case.number(key), case.number("effective_target_qps")
    if latency and rate and abs(latency * rate / 1e9 - 1) > PRINTED:
        yield _finding(case, key, f"{1e9 / rate:.6g}, 1 over effective_target_qps")


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        numbers = isinstance(one, int | float) and isinstance(other, int | float)
        return numbers and abs(one - other) <= PRINTED * abs(one)
    return bool(str(one).replace(" ", "") == str(other).replace(" ", "") or one == other)


def _finding(case: Case, key: str, wanted: str) -> Finding:
    return case.finding("requested", key, f"{wanted}: one of the two was edited", clause=CLAUSE, fix=FIX)


CHECKS: tuple[Check, ...] = (taken_over,)
