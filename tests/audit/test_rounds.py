"""The round files state what they must, whole and consistent in themselves."""

from __future__ import annotations

import pytest

from audit.compliance import _settings
from loadgen_harness import rounds
from loadgen_harness.types import Scenario

V61 = rounds.load("v6.1")
NAMES = sorted(V61.benchmarks)


def test_v61_names_its_source_and_knows_every_benchmark() -> None:
    assert "b66003e1" in V61.source and V61.checker_version == "v6.1" and V61.loadgen_version == "6.0.17"
    assert len(V61.benchmarks.keys() - rounds.load("mini").benchmarks.keys()) == 21 and "resnet50" in V61.benchmarks
    assert V61.seeds.qsl == 2085463073848966840 and V61.accuracy_scenarios == ()


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_of_a_suite_has_limits(name: str) -> None:
    rules = V61.benchmarks[name]
    assert rules.suites and rules.targets
    for suite in rules.suites.values():
        assert suite.required and set(suite.any_of) <= set(suite.optional)
        assert {*suite.required, *suite.optional} <= rules.limits.keys()


@pytest.mark.parametrize("name", NAMES)
def test_limits_are_the_rounds(name: str) -> None:
    for scenario, limits in V61.benchmarks[name].limits.items():
        assert limits.min_duration_ms == (0 if name.startswith("e2e-rag") else 600_000)
        assert limits.percentile == {"SingleStream": 0.9, "Offline": 0.0}.get(scenario.value, 0.99)
        assert limits.performance_sample_count > 0 and limits.accuracy_sample_count > 0
        if scenario is Scenario.OFFLINE:
            assert limits.min_query_count > 1
        if scenario.loadgen == "Server":
            assert limits.target_latency_ms or (limits.ttft_ms and limits.tpot_ms and limits.token_latencies)


@pytest.mark.parametrize("name", NAMES)
def test_every_compliance_test_has_its_sampling(name: str) -> None:
    rules = V61.benchmarks[name]
    assert set(rules.test_settings) <= set(rules.tests)
    for test in rules.tests:
        settings = _settings.merged(test, rules)
        assert settings.get("performance_issue_same") or settings["accuracy_log_sampling_target"] > 0


def test_targets_lie_beside_their_reference_on_the_right_side() -> None:
    for rules in V61.benchmarks.values():
        for target in rules.targets:
            better = target.target <= target.reference if target.higher_is_better else target.target >= target.reference
            assert better and (target.upper is None or target.upper >= target.reference)
