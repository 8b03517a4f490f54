"""Targets have a direction, a range and a division; accuracy.txt is written as the official checker reads it."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import accuracy
from audit.finding import Severity
from loadgen_harness import rounds
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Division, Metric, Scenario, Score
from tests.audit import folders

V61 = rounds.load("v6.1")


def scored(**values: float) -> list[Score]:
    """Scores of 50,000 samples."""
    return [Score(name, value, value - 1, value + 1, 50000, "Wilson") for name, value in values.items()]


def missed(benchmark: str, **values: float) -> list[str]:
    """Which metrics miss their target under v6.1."""
    return [finding.key for finding in accuracy.judge(scored(**values), V61.rules(benchmark))]


@pytest.mark.parametrize(("value", "passes"), [(76.46, True), (75.6954, True), (75.695, False), (math.nan, False)])
def test_a_target_is_reached_or_missed(value: float, passes: bool) -> None:
    assert missed("resnet50", acc=value) == ([] if passes else ["acc"])


def test_normalised_entropy_is_better_when_lower() -> None:
    rest = {"DLRM_ACC": 0.6965, "DLRM_AUC": 0.7866}
    assert missed("dlrm-v3", DLRM_NE=0.80, **rest) == []
    assert missed("dlrm-v3", DLRM_NE=1.5, **rest) == ["DLRM_NE"]


@pytest.mark.parametrize(("length", "passes"), [(265.1, True), (323.8, True), (264.9, False), (324.0, False)])
def test_a_range_bounds_from_both_sides(length: float, passes: bool) -> None:
    rouge = {"ROUGE1": 45.0, "ROUGE2": 23.0, "ROUGEL": 29.0}
    assert missed("llama2-70b-99.9", TOKENS_PER_SAMPLE=length, **rouge) == ([] if passes else ["TOKENS_PER_SAMPLE"])


def test_a_missing_metric_is_found() -> None:
    assert missed("bert-99") == ["F1"]


def test_open_turns_a_miss_into_a_note() -> None:
    findings = list(accuracy.judge(scored(acc=1.0), V61.rules("resnet50"), division=Division.OPEN))
    assert [finding.severity for finding in findings] == [Severity.NOTE]


@pytest.mark.parametrize(("scenario", "passes"), [(Scenario.INTERACTIVE, True), (Scenario.SERVER, False)])
def test_a_target_may_hold_for_some_scenarios(scenario: Scenario, passes: bool) -> None:
    scores = scored(F1_HIERARCHICAL=0.7805)
    assert (not list(accuracy.judge(scores, V61.rules("qwen3-vl-235b-a22b"), scenario=scenario))) is passes


def test_the_official_line_of_resnet50() -> None:
    benchmark = folders.benchmark("resnet50", Metric("acc", "%"))
    assert accuracy.text(scored(acc=76.502), benchmark) == "accuracy=76.502%, good=38251, total=50000\n"


OFFICIAL = {name: line for name, line in accuracy.OFFICIAL.items()}


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_every_official_line_is_read_back(name: str) -> None:
    text = accuracy.text(scored(**{"exact_match": 80.5, name: 78.125}))
    read = accuracy.read(text, [Metric(name)])[name]
    assert read == pytest.approx(78.125, abs=0.5 if name == "GEN_LEN" else 0.006)
    assert re.match(accuracy.OFFICIAL[name].pattern, text.splitlines()[-1])


def test_our_own_metrics_have_a_plain_form_or_their_own() -> None:
    plain = folders.benchmark("toy", Metric("lee_pearson"))
    assert accuracy.text(scored(lee_pearson=0.65512), plain) == "lee_pearson=0.65512\n"
    shaped = Metric("accuracy", "%", pattern="accuracy={value:.3f}%, good={correct}, total={n}")
    text = accuracy.text(scored(accuracy=98.8), folders.benchmark("toy", shaped))
    assert text == "accuracy=98.800%, good=49400, total=50000\n"
    assert accuracy.read(text, [shaped]) == {"accuracy": 98.8}
    assert accuracy.read("nothing here\n", [shaped, Metric("x")]) == {}


@settings(max_examples=50)
@given(st.floats(-1e6, 1e6))
def test_plain_values_survive_the_file(value: float) -> None:
    text = accuracy.text(scored(own=value))
    assert accuracy.read(text, [Metric("own")])["own"] == pytest.approx(value, rel=1e-5, abs=1e-12)


def test_what_cannot_be_stated_is_refused_in_a_sentence() -> None:
    with pytest.raises(BadInput, match="exact_match"):
        accuracy.text(scored(F1=90.0))
    with pytest.raises(BadInput, match="nan"):
        accuracy.text(scored(acc=math.nan))


def test_the_hash_is_one_line_however_often_it_is_added() -> None:
    once = accuracy.with_hash("accuracy=1%\n", "ab12")
    assert once == "accuracy=1%\n\nhash=ab12\n" and accuracy.recorded_hash(once) == "ab12"
    assert accuracy.with_hash(once, "cd34") == "accuracy=1%\n\nhash=cd34\n"
    assert accuracy.recorded_hash("accuracy=1%\n") == ""
