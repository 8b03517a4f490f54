"""A run that cannot become valid is known before its end, by counts that LoadGen's own verdict bears out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadgen_harness import doomed, metrics
from loadgen_harness.launch import Status, launch
from loadgen_harness.progress import Phase, State
from loadgen_harness.settings import TestSettings
from loadgen_harness.types import Division, Scenario
from tests.fakes import tiny

SERVER = TestSettings(
    "Server",
    "PerformanceOnly",
    server_target_qps=100.0,
    server_target_latency_ns=15_000_000,
    min_duration_ms=60_000,
    min_query_count=100,
)
STREAM = replace(SERVER, use_token_latencies=True, ttft_latency=2_000_000, tpot_latency=1_000_000)


def state(late: int, slow: int = 0, completed: int = 3000) -> State:
    return State(Phase.TESTING, 6000, completed, completed, late, slow)


def test_the_bar_is_no_lower_than_any_schedule() -> None:
    """100 queries/s for 60 s: 6,000 on average; six standard deviations more, and their allowance."""
    bar = doomed.bar(SERVER)
    assert bar is not None
    assert bar.queries == 6000 + 465 + 36  # 6 x sqrt(6000) = 464.8
    assert bar.needed == 459
    assert bar.allowed == metrics.early_stopping_allowance(bar.queries, 0.99)
    assert metrics.early_stopping_passes(bar.queries, bar.allowed or 0, 0.99)
    assert not metrics.early_stopping_passes(bar.queries, (bar.allowed or 0) + 1, 0.99)


def test_one_more_than_allowed_is_the_end() -> None:
    bar = doomed.bar(SERVER)
    assert bar is not None
    assert bar.allowed is not None
    assert doomed.reason(SERVER, 0, state(bar.allowed)) == ""
    said = doomed.reason(SERVER, 0, state(bar.allowed + 1))
    assert f"{bar.allowed + 1} of 3000 queries took longer than 15 ms" in said
    assert f"at 100 queries/s early stopping allows {bar.allowed}" in said
    assert "\n" not in said


def test_tokens_have_two_limits() -> None:
    assert doomed.limits(STREAM) == doomed.Limits(0, 2_001_000, 1_002_000)
    assert "longer than 2 ms to the first token" in doomed.reason(STREAM, 0, state(100, 10))
    assert "ms per token" in doomed.reason(STREAM, 0, state(10, 100))
    assert doomed.reason(STREAM, 0, state(10, 10)) == ""


def test_where_no_limit_applies() -> None:
    for other in (replace(SERVER, mode=mode) for mode in ("AccuracyOnly", "SubmissionRun", "FindPeakPerformance")):
        assert doomed.limits(other) is None
        assert doomed.bar(other) is None
        assert doomed.reason(other, 0, state(3000)) == ""
    offline = TestSettings("Offline", "PerformanceOnly")
    assert doomed.limits(offline) is None
    assert doomed.reason(offline, 0, state(3000)) == ""


def test_too_few_queries_whatever_comes() -> None:
    few = replace(SERVER, min_duration_ms=1000, server_target_qps=10)
    said = doomed.reason(few, 0, state(0))
    assert "it can never be valid: LoadGen will issue 100 queries at most, and early stopping needs 459" in said
    single = TestSettings("SingleStream", "PerformanceOnly", min_duration_ms=10, min_query_count=20)
    assert "issue 22 queries at most, and early stopping needs 64" in doomed.reason(single, 0, state(0))
    assert doomed.reason(single, 0, state(0), calibrated=True) == ""


def test_equal_issue_rounds_up() -> None:
    plain, equal = doomed.bar(SERVER), doomed.bar(replace(SERVER, sample_concatenate_permutation=True), 1000)
    assert plain is not None
    assert equal is not None
    assert equal.queries == plain.queries + 1000
    capped = doomed.bar(replace(SERVER, max_query_count=500))
    assert capped is not None
    assert capped.queries == 500


def test_a_huge_run_is_not_judged_but_costs_nothing() -> None:
    bar = doomed.bar(replace(SERVER, server_target_qps=2e6))
    assert bar is not None
    assert bar.allowed == bar.queries


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("driver", ["native", "python"])
def test_counted_as_loadgen_counts(tmp_path: Path, driver: str) -> None:
    """About half of the samples come late; the counter never says more than LoadGen, and nearly as many."""
    seen: list[Status] = []
    spec = tiny(
        tmp_path / "run",
        scenario=Scenario.SERVER,
        driver=driver,
        division=Division.OPEN,
        options={"latency_us": "4000"},
        overrides={"target_qps": 200, "target_latency": 8, "min_duration": 1000, "min_query_count": 97},
    )
    run = launch(spec, on_progress=seen.append)
    late = run.log["result_overlatency_query_count"]
    assert not run.valid
    assert late > 10
    assert 0.8 * late <= seen[-1].late <= late
    assert seen[-1].slow == 0
    assert run.samples is not None
    issued = len(run.samples)
    bar = doomed.bar(TestSettings(**run.meta["settings"]))
    assert bar is not None
    assert issued <= bar.queries


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("driver", ["native", "python"])
def test_tokens_are_counted_as_loadgen_counts(tmp_path: Path, driver: str) -> None:
    seen: list[Status] = []
    spec = tiny(
        tmp_path / "run",
        benchmark="tiny_stream",
        backend="null_stream",
        scenario=Scenario.INTERACTIVE,
        driver=driver,
        division=Division.OPEN,
        options={"slots": "2", "tpot_ms": "2"},
        overrides={"ttft_latency": 4, "tpot_latency": 1, "target_qps": 200, "min_duration": 500},
    )
    run = launch(spec, on_progress=seen.append)
    samples = run.samples
    assert samples is not None
    begun = samples["scheduled"] if samples["scheduled"].any() else samples["issued"]
    late = int((samples["first_token"] - begun > 4_001_000).sum())
    slow = int(((samples["done"] - samples["first_token"]) // (samples["tokens"] - 1) > 1_002_000).sum())
    assert late > 10
    assert slow > 10
    assert 0.8 * late <= seen[-1].late <= late
    assert 0.8 * slow <= seen[-1].slow <= slow
