"""Whatever the latencies, figures computed as LoadGen does contradict nothing; a changed one does."""

from __future__ import annotations

import math
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import figures, spans, stopping
from audit.case import Case, Claim
from audit.finding import Finding, Severity
from loadgen_harness import metrics
from loadgen_harness.types import Scenario
from tests.audit import folders
from tests.audit.folders import MS, ROUND

FRACTIONS = (0.50, 0.90, 0.95, 0.97, 0.99, 0.999)
TAIL = 0.9
BEGAN = datetime(2026, 11, 22, 5)
STAMP = "%m-%d-%Y %H:%M:%S.%f"
runs = st.builds(
    lambda count, spread, seed: np.random.default_rng(seed).lognormal(0, spread, count) * 10 * MS + 1000,
    st.integers(70, 3000),
    st.floats(0, 2.5),
    st.integers(0, 2**32),
)


def printed(rate: float) -> float:
    """A rate as LoadGen writes it."""
    return float(f"{rate:.6g}")


def family(latencies: np.ndarray, form: str, ends: str) -> dict[str, int]:
    """Percentiles by LoadGen's rank, least, mean and most."""
    ordered = np.sort(latencies)
    values = {form.format(f"{each * 100:.2f}"): int(ordered[int(len(ordered) * each)]) for each in FRACTIONS}
    extremes = {"min": int(ordered[0]), "max": int(ordered[-1]), "mean": int(ordered.sum()) // len(ordered)}
    return values | {ends.format(name): value for name, value in extremes.items()}


def sentence(latencies: np.ndarray) -> tuple[str, int]:
    """early_stopping_result of a stream and its estimate."""
    allowed = metrics.early_stopping_allowance(len(latencies), TAIL) or 1
    estimate = metrics.early_stopping_estimate(latencies, TAIL) or 0
    text = (
        f" * Processed at least 64 queries ({len(latencies)}).  * Would discard {allowed - 1} highest latency queries."
    )
    return f"{text}  * Early stopping 90.0th percentile estimate: {estimate}", estimate


def stream(latencies: np.ndarray) -> dict[str, Any]:
    """A SingleStream run of these latencies, one after another."""
    text, estimate = sentence(latencies)
    issued = float(latencies[:-1].sum()) / 1e9
    return {
        **family(latencies, "result_{}_percentile_latency_ns", "result_{}_latency_ns"),
        "result_qps_with_loadgen_overhead": printed((len(latencies) - 1) / issued),
        "result_qps_without_loadgen_overhead": printed(1e9 / (int(latencies.sum()) // len(latencies))),
        "early_stopping_result": text,
        "early_stopping_latency_ss": estimate,
    }


def streams(latencies: np.ndarray) -> dict[str, Any]:
    """A MultiStream run whose queries took so long."""
    text, estimate = sentence(latencies)
    queries = family(latencies, "result_{}_percentile_per_query_latency_ns", "result_{}_query_latency_ns")
    return {**queries, "early_stopping_result": text, "early_stopping_latency_ms": estimate}


def server(latencies: np.ndarray) -> dict[str, Any]:
    """A Server run with arrivals at random and a limit in the middle of the latencies."""
    count, target = len(latencies), 100.0
    due = np.cumsum(np.random.default_rng(count).exponential(1 / target, count))
    limit = int(np.median(latencies))
    over = int(np.count_nonzero(latencies > limit))
    return {
        **family(latencies, "result_{}_percentile_latency_ns", "result_{}_latency_ns"),
        "effective_target_qps": target,
        "effective_target_latency_ns": limit,
        "result_scheduled_samples_per_sec": printed((count - 1) / due[-1]),
        "result_completed_samples_per_sec": printed((count - 1) / (due[-1] + latencies[-1] / 1e9)),
        "result_overlatency_query_count": over,
        "early_stopping_met": count >= metrics.early_stopping_minimum(over, TAIL),
        "result_perf_constraints_met": False,
        "result_validity": "INVALID",
    }


def offline(latencies: np.ndarray) -> dict[str, Any]:
    """An Offline run whose samples were done one after another."""
    done = np.cumsum(latencies)
    return {
        **family(done, "result_{}_percentile_latency_ns", "result_{}_latency_ns"),
        "generated_samples_per_query": len(done),
        "effective_samples_per_query": len(done),
        "result_query_count": 1,
        "result_samples_per_second": printed(len(done) / (done[-1] / 1e9)),
    }


MADE = {"SingleStream": stream, "MultiStream": streams, "Server": server, "Offline": offline}
LIMITS = {name: ROUND.rules("toy").limits[Scenario(name)] for name in MADE}


def contradictions(scenario: str, latencies: np.ndarray, **changes: Any) -> list[Finding]:
    """What the figures of a run with these latencies, and then some changed, say against each other."""
    values = MADE[scenario](latencies)
    length = float(latencies.sum()) / 1e9
    if scenario == "Server":
        length = (len(latencies) - 1) / values["result_completed_samples_per_sec"]
    ended = (BEGAN + timedelta(seconds=math.ceil(length * 1000) / 1000)).strftime(STAMP)
    times = {"power_begin": BEGAN.strftime(STAMP), "power_end": ended}
    kept = {
        key: value for key, value in folders.performance(scenario).items() if not key.startswith(("result_", "early_"))
    }
    log = {**kept, "result_query_count": len(latencies), "result_validity": "VALID", **values, **times, **changes}
    with tempfile.TemporaryDirectory() as folder:
        run = folders.write(Path(folder), log)
        case = Case(run, folders.benchmark(), ROUND, Claim(Scenario(scenario)), LIMITS[scenario])
        found = [each for check in (*figures.CHECKS, *spans.CHECKS, *stopping.CHECKS) for each in check(case)]
    return [each for each in found if each.severity is Severity.ERROR and each.check != "times"]


@pytest.mark.parametrize("scenario", MADE)
@settings(max_examples=40, deadline=None)
@given(latencies=runs)
def test_what_loadgen_computes_agrees_with_itself(scenario: str, latencies: np.ndarray) -> None:
    assert contradictions(scenario, latencies.astype(np.int64)) == []


CHANGES = [
    ("SingleStream", "result_qps_without_loadgen_overhead", 1.01, "rates"),
    ("SingleStream", "result_mean_latency_ns", 0.5, "percentiles"),
    ("SingleStream", "early_stopping_latency_ss", 0.99, "early-stopping-figures"),
    ("MultiStream", "result_99.00_percentile_per_query_latency_ns", 0.5, "percentiles"),
    ("MultiStream", "early_stopping_latency_ms", 0.99, "early-stopping-figures"),
    ("Server", "result_overlatency_query_count", 0.3, "early-stopping-figures"),
    ("Server", "result_completed_samples_per_sec", 1.2, "rates"),
    ("Server", "result_scheduled_samples_per_sec", 1.5, "rates"),
    ("Offline", "result_max_latency_ns", 0.5, "percentiles"),
    ("Offline", "generated_samples_per_query", 2, "rates"),
]


@pytest.mark.parametrize(("scenario", "key", "factor", "check"), CHANGES)
def test_a_changed_figure_contradicts_the_rest(scenario: str, key: str, factor: float, check: str) -> None:
    latencies = (np.random.default_rng(5).lognormal(0, 0.3, 2000) * 10 * MS).astype(np.int64)
    value = MADE[scenario](latencies)[key] * factor
    changed = {key: int(value) if key.endswith(("_ns", "_count", "_query")) else printed(value)}
    assert check in {each.check for each in contradictions(scenario, latencies, **changed)}


def test_a_sum_past_64_bits_is_not_held_against_the_mean() -> None:
    """LoadGen's sum of latencies wraps around in long Offline runs of many samples."""
    latencies = np.full(100, 10 * MS)
    huge = {"generated_samples_per_query": 10**11, "effective_samples_per_query": 10**11, "result_mean_latency_ns": 7}
    assert "percentiles" not in {each.check for each in contradictions("Offline", latencies, **huge)}


@pytest.mark.parametrize("key", ["result_query_count", "early_stopping_result", "result_mean_latency_ns"])
@pytest.mark.parametrize("value", [10**400, -1, 0, 1e308, float("nan"), "x" * 100, "(9" * 99, None])
@pytest.mark.parametrize("scenario", MADE)
def test_odd_figures_never_raise(scenario: str, key: str, value: object) -> None:
    latencies = np.arange(1, 200) * MS
    assert isinstance(contradictions(scenario, latencies, **{key: value}), list)
