"""What may be inferred is offered with its figure and made only where it is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadgen_harness import rounds
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario
from submissions import offers
from submissions.generate import Entry
from tests.submissions.folders import RESNET50, golden

ROUND = rounds.load("v6.1")


@pytest.fixture
def streams(shared: Path, tmp_path: Path) -> list[Entry]:
    """SingleStream and MultiStream, measured."""
    both = (Scenario.SINGLE_STREAM, Scenario.MULTI_STREAM)
    runs = {each: golden(shared, tmp_path / each.value, each.value, "performance") for each in both}
    return [Entry(RESNET50, scenario, run, accuracy=run) for scenario, run in runs.items()]


def figures(found: list[offers.Offer]) -> dict[str, float]:
    return {each.name: round(each.figure.value, 2) for each in found}


def test_the_edge_suite_is_offered_other_scenarios(streams: list[Entry]) -> None:
    assert figures(offers.offers(streams[:1], ROUND, "edge")) == {
        "resnet50/MultiStream=SingleStream": 165.73,
        "resnet50/Offline=SingleStream": 49.42,
    }
    assert figures(offers.offers(streams, ROUND, "datacenter,edge")) == {
        "resnet50/Offline=SingleStream": 49.42,
        "resnet50/Offline=MultiStream": 79.79,
    }
    assert not offers.offers(streams, ROUND, "datacenter")
    elsewhere = replace(ROUND.rules("resnet50"), suites={"datacenter": ROUND.rules("rgat").suites["datacenter"]})
    without = replace(ROUND, benchmarks={**ROUND.benchmarks, "resnet50": elsewhere})
    assert not offers.offers(streams, without, "datacenter,edge")  # the edge suite does not have it
    assert not offers.offers([replace(each, accuracy=None) for each in streams], ROUND, "edge")  # it would lack one


def test_only_what_is_asked_for_is_made_and_labelled(streams: list[Entry]) -> None:
    offered = offers.offers(streams, ROUND, "edge")
    assert offers.chosen([], offered) == []
    (made,) = offers.chosen(["Offline=MultiStream"], offered)
    assert made.scenario is Scenario.OFFLINE and made.performance.scenario == "MultiStream"
    assert made.inferred.startswith("Inferred from MultiStream, not measured: 79.7882 Samples/s")
    with pytest.raises(BadInput, match=r"more than one result: ask for resnet50/Offline=SingleStream or"):
        offers.chosen(["Offline"], offered)
    with pytest.raises(BadInput, match="'Server' cannot be inferred"):
        offers.chosen(["Server"], offered)
    assert len(offers.chosen(["MultiStream", "resnet50/MultiStream"], offers.offers(streams[:1], ROUND, "edge"))) == 1


def strict(run: Run) -> Entry:
    """The same run, said to be of a benchmark with the 99.9 % target."""
    return Entry(
        replace(RESNET50, name="bert-99.9", checker_name="bert-99.9"), Scenario.SINGLE_STREAM, run, accuracy=run
    )


def test_the_stricter_target_stands_for_the_other(streams: list[Entry]) -> None:
    offered = offers.offers([strict(streams[0].performance)], ROUND, "datacenter")
    assert figures(offered) == {"bert-99/SingleStream=bert-99.9": 20.34}
    (made,) = offers.chosen(["bert-99"], offered)
    assert made.benchmark.name == made.folder == "bert-99" and "bert-99.9, not measured" in made.inferred
    edge = offers.offers([strict(streams[0].performance)], ROUND, "edge")
    assert {each.name for each in edge} > {"bert-99.9/Offline=SingleStream", "bert-99/Offline=SingleStream"}
    assert [each.folder for each in offers.chosen(["Offline"], edge)] == ["bert-99.9"]
    assert not [each for each in edge if each.entry.scenario is Scenario.MULTI_STREAM]  # bert has none
