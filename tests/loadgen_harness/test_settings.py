"""Settings: the round's demands in LoadGen's fields and units, and what a division lets through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadgen_harness import rounds, settings
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.types import Benchmark, Division, Limits, Round, RunSpec, Scenario, Seeds, TestMode, Variant
from loadgen_harness.types import Rules as RoundRules

BENCHMARK = Benchmark(
    name="b",
    title="",
    checker_name="b",
    variants={"": Variant("model"), "Interactive": Variant("model-interactive")},
    metrics=(),
    sample="",
    response_dtype="",
    backends=("null",),
    precisions=("fp32",),
)
LIMITS = {
    Scenario.SINGLE_STREAM: Limits(min_duration_ms=2000, min_query_count=64, percentile=0.9),
    Scenario.MULTI_STREAM: Limits(min_duration_ms=2000, min_query_count=662, percentile=0.99, samples_per_query=8),
    Scenario.SERVER: Limits(
        min_duration_ms=2000, min_query_count=1001, percentile=0.99, target_latency_ms=20, performance_sample_count=40
    ),
    Scenario.INTERACTIVE: Limits(min_duration_ms=1000, percentile=0.9, ttft_ms=500, tpot_ms=30.5, token_latencies=True),
    Scenario.OFFLINE: Limits(min_duration_ms=2000, min_query_count=100, percentile=0.99, equal_issue=True),
}
ROUND = Round("r", Seeds(1, 2, 3), {"b": RoundRules((), LIMITS, {}, user_conf={Scenario.OFFLINE: {"target_qps": 50}})})


def made(scenario: Scenario, **changes: object) -> settings.Plan:
    spec = RunSpec("b", "null", scenario, TestMode.PERFORMANCE, Path("out"), round="r")
    return settings.plan(replace(spec, **changes), BENCHMARK, ROUND)  # type: ignore[arg-type]


def test_single_stream() -> None:
    found = made(Scenario.SINGLE_STREAM, overrides={"target_latency": 0.25}).settings
    assert (found.scenario, found.mode) == ("SingleStream", "PerformanceOnly")
    assert (found.min_duration_ms, found.min_query_count) == (2000, 64)
    assert found.single_stream_target_latency_percentile == 0.9
    assert found.single_stream_expected_latency_ns == 250_000
    assert (found.qsl_rng_seed, found.sample_index_rng_seed, found.schedule_rng_seed) == (1, 2, 3)


def test_multi_stream() -> None:
    found = made(Scenario.MULTI_STREAM, overrides={"target_latency": 2}).settings
    assert found.multi_stream_samples_per_query == 8
    assert found.multi_stream_target_latency_percentile == 0.99
    assert found.multi_stream_expected_latency_ns == 2_000_000


def test_server() -> None:
    found = made(Scenario.SERVER, overrides={"target_qps": 120, "coalesce_queries": 1}).settings
    assert found.server_target_latency_ns == 20_000_000
    assert found.server_target_qps == 120
    assert found.server_coalesce_queries is True
    assert found.performance_sample_count_override == 40
    assert not found.use_token_latencies


def test_interactive_is_server_under_another_name() -> None:
    plan = made(Scenario.INTERACTIVE, overrides={"target_qps": 3})
    assert (plan.settings.scenario, plan.model_name) == ("Server", "model-interactive")
    assert "*.Server.target_qps = 3\n" in plan.user_conf
    assert "Interactive" not in plan.user_conf
    assert (plan.settings.ttft_latency, plan.settings.tpot_latency) == (500_000_000, 30_500_000)
    assert plan.settings.use_token_latencies is True


def test_offline() -> None:
    found = made(Scenario.OFFLINE).settings
    assert found.offline_expected_qps == 50  # the round's hint
    assert found.sample_concatenate_permutation is True
    assert found.min_query_count == 100
    assert made(Scenario.OFFLINE, overrides={"target_qps": 80}).settings.offline_expected_qps == 80


def test_types_are_loadgens() -> None:
    found = made(Scenario.SERVER, overrides={"target_qps": 120, "min_query_count": 2000.0}).settings
    assert type(found.min_query_count) is int
    assert type(found.server_target_qps) is float
    assert type(found.sample_concatenate_permutation) is bool


@pytest.mark.parametrize("division", [Division.CLOSED, Division.NETWORK])
@pytest.mark.parametrize("key", settings.FLOORS)
def test_a_floor_may_be_raised_not_lowered(division: Division, key: str) -> None:
    floor = {"min_duration": 2000, "min_query_count": 1001, "performance_sample_count_override": 40}[key]
    field = {"min_duration": "min_duration_ms"}.get(key, key)
    raised = made(Scenario.SERVER, division=division, overrides={key: floor + 1})
    assert getattr(raised.settings, field) == floor + 1
    assert raised.locked == ()
    lowered = made(Scenario.SERVER, division=division, overrides={key: floor - 1})
    assert getattr(lowered.settings, field) == floor
    assert lowered.locked == (f"{key} = {floor - 1} is not allowed in this division: the round's {floor} is used",)


@pytest.mark.parametrize("key", settings.LOCKED)
def test_locked_keys_are_refused_and_listed(key: str) -> None:
    plain, tried = made(Scenario.SERVER), made(Scenario.SERVER, overrides={key: 3})
    assert tried.settings == plain.settings
    assert len(tried.locked) == 1
    assert tried.locked[0].startswith(f"{key} = 3 is not allowed")
    assert f".{key} = 3" not in tried.user_conf


def test_the_latency_limit_is_locked_in_server_alone() -> None:
    assert made(Scenario.SERVER, overrides={"target_latency": 50}).locked
    assert not made(Scenario.SINGLE_STREAM, overrides={"target_latency": 50}).locked


def test_a_locked_key_with_the_rounds_own_value_is_no_breach() -> None:
    assert not made(Scenario.SERVER, overrides={"target_latency": 20, "target_latency_percentile": 99}).locked


def test_open_lets_everything_through() -> None:
    chosen = {"min_query_count": 5, "min_duration": 10, "target_latency": 1000, "target_latency_percentile": 50}
    plan = made(Scenario.SERVER, division=Division.OPEN, overrides=chosen | {"performance_issue_same": 1})
    assert plan.locked == ()
    found = plan.settings
    assert (found.min_query_count, found.min_duration_ms) == (5, 10)
    assert (found.server_target_latency_ns, found.server_target_latency_percentile) == (1_000_000_000, 0.5)
    assert found.performance_issue_same is True


def test_the_command_line_beats_the_file_beats_the_round(tmp_path: Path) -> None:
    path = tmp_path / "user.conf"
    path.write_text("*.Offline.target_qps = 60\nmodel.Offline.min_query_count = 200\n", encoding="utf-8")
    found = made(Scenario.OFFLINE, user_conf=path, overrides={"target_qps": 70}).settings
    assert (found.offline_expected_qps, found.min_query_count) == (70, 200)
    assert made(Scenario.OFFLINE, user_conf=path).settings.offline_expected_qps == 60


@pytest.mark.parametrize("scenario", [s for s in Scenario if s.loadgen != "Server"])
def test_find_peak_is_for_server(scenario: Scenario) -> None:
    with pytest.raises(BadInput, match="--scenario Server"):
        made(scenario, mode=TestMode.FIND_PEAK)
    assert made(Scenario.SERVER, mode=TestMode.FIND_PEAK).settings.mode == "FindPeakPerformance"


def test_a_scenario_without_limits() -> None:
    text = replace(ROUND, benchmarks={"b": RoundRules((), {Scenario.OFFLINE: Limits()}, {})})
    spec = RunSpec("b", "null", Scenario.SERVER, TestMode.PERFORMANCE, Path("out"))
    with pytest.raises(UnknownName, match="Offline"):
        settings.plan(spec, BENCHMARK, text)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"target_qbs": 3}, "did you mean 'target_qps'"),
        ({"target_qps": 0}, "more than 0"),
        ({"target_qps": -2}, "from 0 up"),
        ({"min_duration": float("nan")}, "from 0 up"),
        ({"min_duration": float("inf")}, "from 0 up"),
        ({"min_duration": "long"}, "from 0 up"),
    ],
)
def test_impossible_overrides(overrides: dict[str, float], complaint: str) -> None:
    with pytest.raises((BadInput, UnknownName), match=complaint):
        made(Scenario.SERVER, overrides=overrides)


@pytest.mark.parametrize("scenario", Scenario)
def test_a_real_round(scenario: Scenario) -> None:
    """The mini round's digits keep the round's seeds in every scenario that it has."""
    from loadgen_harness import registry

    round_ = rounds.load("mini")
    if scenario not in round_.rules("digits").limits:
        return
    spec = RunSpec("digits", "null", scenario, TestMode.PERFORMANCE, Path("out"))
    found = settings.plan(spec, registry.load(registry.BENCHMARKS, "digits"), round_).settings
    assert found.qsl_rng_seed == round_.seeds.qsl
    assert found.min_duration_ms == round_.limits("digits", scenario).min_duration_ms
