"""The round files state what they must, whole and consistent in themselves."""

from __future__ import annotations

import pytest

from audit.compliance import _settings
from loadgen_harness import metrics, rounds
from loadgen_harness.types import Scenario

V61 = rounds.load("v6.1")
NAMES = [(round_, name) for round_ in rounds.official() for name in sorted(rounds.load(round_).benchmarks)]
EXEMPT = ("e2e-rag-qna", "e2e-rag-db")


def test_v61_names_its_source_and_knows_every_benchmark() -> None:
    assert "b66003e1" in V61.source and V61.checker_version == "v6.1" and V61.loadgen_version == "6.0.17"
    assert len(V61.benchmarks.keys() - rounds.load("mini").benchmarks.keys()) == 21 and "resnet50" in V61.benchmarks
    assert V61.seeds.qsl == 2085463073848966840 and V61.accuracy_scenarios == ()


@pytest.mark.parametrize(("round_", "name"), NAMES)
def test_every_scenario_of_a_suite_has_limits(round_: str, name: str) -> None:
    rules = rounds.load(round_).benchmarks[name]
    assert rules.suites and rules.targets
    for suite in rules.suites.values():
        assert suite.required and set(suite.any_of) <= set(suite.optional)
        assert {*suite.required, *suite.optional} <= rules.limits.keys()


@pytest.mark.parametrize(("round_", "name"), NAMES)
def test_limits_are_the_rounds(round_: str, name: str) -> None:
    for scenario, limits in rounds.load(round_).benchmarks[name].limits.items():
        assert limits.min_duration_ms == (0 if name in EXEMPT else 600_000)
        usual = {"SingleStream": 0.9, "Offline": 0.0}.get(scenario.value, 0.99)
        assert limits.percentile == (0.999 if name == "pointpainting" else usual)
        assert limits.performance_sample_count > 0 and limits.accuracy_sample_count > 0
        if scenario is Scenario.OFFLINE:
            assert limits.min_query_count > 1
        if scenario.loadgen == "Server":
            assert limits.target_latency_ms or (limits.ttft_ms and limits.tpot_ms and limits.token_latencies)


@pytest.mark.parametrize(("round_", "name"), NAMES)
def test_early_stopping_can_be_met_with_the_fewest_queries(round_: str, name: str) -> None:
    for limits in rounds.load(round_).benchmarks[name].limits.values():
        if limits.percentile and limits.min_query_count:
            assert limits.min_query_count >= metrics.early_stopping_minimum(1, limits.percentile)


@pytest.mark.parametrize(("round_", "name"), NAMES)
def test_every_compliance_test_has_its_sampling(round_: str, name: str) -> None:
    rules = rounds.load(round_).benchmarks[name]
    assert set(rules.test_settings) <= set(rules.tests) or name in rounds.load("mini").benchmarks
    for test in rules.tests:
        settings = _settings.merged(test, rules)
        assert settings.get("performance_issue_same") or settings["accuracy_log_sampling_target"] > 0


@pytest.mark.parametrize(("round_", "name"), NAMES)
def test_targets_lie_beside_their_reference_on_the_right_side(round_: str, name: str) -> None:
    for target in rounds.load(round_).benchmarks[name].targets:
        better = target.target <= target.reference if target.higher_is_better else target.target >= target.reference
        assert better and (target.upper is None or target.upper >= target.reference)


@pytest.mark.parametrize(("round_", "name"), NAMES)
def test_a_benchmark_has_its_names_and_a_result_in_every_scenario(round_: str, name: str) -> None:
    rules = rounds.load(round_).benchmarks[name]
    if name in rounds.load("mini").benchmarks:
        return
    assert rules.title and rules.model_names[""] and rules.limits.keys() <= rules.results.keys()
    assert all(each.note and each.key for each in rules.disagreements)
