"""Rows of results: official figures in short, accuracy beside its bounds in its unit, verdicts of each alone."""

from __future__ import annotations

import pytest

from audit.finding import Finding, Severity
from audit.result_rows import Figures, Quality, qualities, rows, shown
from loadgen_harness.types import Metric, Rules, Scenario, Target

RULES = Rules(targets=(Target("acc", 75.7, 76.46), Target("ROUGEL", 10.0, 11.0, upper=12.0)), limits={}, suites={})


def fault(check: str = "seeds", official: str = "") -> Finding:
    return Finding(check, Severity.ERROR, "f", "k", "1", "2", "c", "x", official=official)


def test_verdicts_of_each_result_alone() -> None:
    found = {"a/b/c": [fault(official="rejects")], "": [fault()]}
    made = rows(("a/b/c", "a/b/d"), {}, found, predicted=True)
    assert [(row.rules, row.official) for row in made] == [("rejects", "rejects"), ("accepts", "accepts")]
    assert {row.official for row in rows(("a/b/c",), {}, found, predicted=False)} == {""}


def test_the_name_of_a_result_in_three_parts() -> None:
    (row,) = rows(("closed/Acme/box/resnet50/Offline",), {}, {}, predicted=False)
    assert row.parts == ("closed/Acme/box", "resnet50", "Offline")
    (row,) = rows(("resnet50/Offline",), {}, {}, predicted=False)
    assert row.parts == ("", "resnet50", "Offline")


@pytest.mark.parametrize(
    ("figures", "cell"),
    [
        (Figures(0.25, "Latency (ms)"), "0.25 ms"),
        (Figures(1234567.0, "Samples/s"), "1.23457e+06 Samples/s"),
        (Figures(2.0, "Latency (ms)", inferred_from="SingleStream"), "2 ms, inferred from SingleStream"),
        (Figures(), "–"),
    ],
)
def test_a_figure_in_short(figures: Figures, cell: str) -> None:
    (row,) = rows(("a/b",), {"a/b": figures}, {}, predicted=False)
    assert row.cells[3] == cell


def test_columns_in_which_nothing_stands_are_left_out() -> None:
    columns, cells = shown(rows(("a/b",), {"a/b": Figures(1.0, "Queries/s", power="41 W")}, {}, predicted=False))
    assert columns == ("benchmark", "scenario", "result", "power", "rules")
    assert cells == [("a", "b", "1 Queries/s", "41 W", "accepts")]


def test_accuracy_beside_its_targets() -> None:
    said = qualities("accuracy=76.0%, good=3, total=4\n", (Metric("acc", "%"),), RULES, Scenario.OFFLINE)
    assert [(each.metric, each.value) for each in said] == [("acc", 76.0), ("ROUGEL", None)]
    assert [each.words for each in said] == ["acc 76 (>= 75.7)", "ROUGEL – (>= 10, <= 12)"]


def test_accuracy_without_rules_is_stated_all_the_same() -> None:
    none = Rules(targets=(), limits={}, suites={})
    assert qualities("accuracy=76.0%\n", (Metric("acc", "%"),), none, None) == (Quality("acc", 76.0, ""),)


def test_lower_may_be_better() -> None:
    low = Rules(targets=(Target("acc", 2.0, 1.9, higher_is_better=False),), limits={}, suites={})
    assert qualities("", (), low, None)[0].wanted == "<= 2"
