"""Official benchmarks as values: their names, LoadGen's names, metrics with their directions, counts of the round."""

from __future__ import annotations

import pytest

from audit import accuracy, known
from loadgen_harness import rounds
from loadgen_harness.types import Scenario, TestMode

RETIRED = {"v5.0": ("gptj-99", "retinanet"), "v5.1": ("dlrm-v2-99.9", "mixtral-8x7b"), "v6.0": ("llama3.1-405b",)}


@pytest.mark.parametrize("name", rounds.official())
def test_every_official_benchmark_is_there_and_none_of_ours(name: str) -> None:
    round_ = rounds.load(name)
    found = known.benchmarks(round_)
    assert {each.name for each in found.values()} == round_.benchmarks.keys() - rounds.load("mini").benchmarks.keys()
    assert all(folder == each.checker_name for folder, each in found.items())
    assert found["resnet"].name == "resnet50" and found["bert-99.9"].name == "bert-99.9"


@pytest.mark.parametrize("name", rounds.official())
def test_their_metrics_are_the_rounds_and_can_be_read(name: str) -> None:
    round_ = rounds.load(name)
    for benchmark in known.benchmarks(round_).values():
        targets = {target.metric: target for target in round_.rules(benchmark.name).targets}
        assert [metric.name for metric in benchmark.metrics] == list(targets)
        for metric in benchmark.metrics:
            assert metric.higher_is_better is targets[metric.name].higher_is_better
            assert metric.name in accuracy.OFFICIAL, metric


def test_lower_is_better_for_one_metric_alone() -> None:
    lower = [
        (name, metric.name)
        for name, benchmark in known.benchmarks(rounds.load("v6.1")).items()
        for metric in benchmark.metrics
        if not metric.higher_is_better
    ]
    assert lower == [("dlrm-v3", "DLRM_NE")]


def test_interactive_is_another_model_to_loadgen() -> None:
    round_ = rounds.load("v6.1")
    benchmark = known.benchmarks(round_)["llama2-70b-99.9"]
    names = {
        scenario: benchmark.variant(scenario, TestMode.PERFORMANCE, round_=round_).model_name
        for scenario in (Scenario.SERVER, Scenario.INTERACTIVE, Scenario.OFFLINE)
    }
    assert names == {"Server": "llama2-70b", "Interactive": "llama2-70b-interactive", "Offline": "llama2-70b"}
    assert benchmark.streaming and not known.benchmarks(round_)["resnet"].streaming


def test_counts_come_from_the_round_and_may_differ_by_scenario() -> None:
    round_ = rounds.load("v6.1")
    benchmark = known.benchmarks(round_)["qwen3-vl-235b-a22b"]
    counts = [
        benchmark.variant(scenario, TestMode.ACCURACY, round_=round_).total_count
        for scenario in (Scenario.OFFLINE, Scenario.INTERACTIVE)
    ]
    assert counts == [48_289, 8_000]


@pytest.mark.parametrize("name", RETIRED)
def test_a_retired_benchmark_belongs_to_its_rounds_alone(name: str) -> None:
    for benchmark in RETIRED[name]:
        assert benchmark in known.benchmarks(rounds.load(name))
        assert benchmark not in known.benchmarks(rounds.load("v6.1"))
