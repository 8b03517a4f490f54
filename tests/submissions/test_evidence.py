"""What stands behind a result is gathered whole, and nothing from outside the tree."""

from __future__ import annotations

import shutil
from pathlib import Path

from loadgen_harness import rounds
from loadgen_harness.types import Division, Scenario
from submissions.check import subjects
from submissions.evidence import evidence


def test_everything_behind_a_result_of_the_golden_tree(tree: Path) -> None:
    gathered = [evidence(each) for each in subjects(tree, rounds.load("v6.1"))]
    assert [(each.division, each.scenario) for each in gathered] == [
        (Division.CLOSED, Scenario.MULTI_STREAM),
        (Division.CLOSED, Scenario.OFFLINE),
        (Division.CLOSED, Scenario.SINGLE_STREAM),
        (Division.OPEN, Scenario.OFFLINE),
    ]
    one = gathered[0]
    assert [part for part, _ in one.runs()] == ["performance", "accuracy", "TEST01", "TEST04"]
    assert list(one.test_accuracy) == ["TEST01"]
    assert set(one.files) == {"user.conf", "README.md", "measurements.json", "accuracy.txt", "system.json"}
    assert one.system["submitter"] == "Acme" and one.system_name == "toybox_1x_cpu" and one.power is None
    assert one.name(one.files["user.conf"]).startswith("closed/Acme/results/toybox_1x_cpu/resnet50/MultiStream/")
    assert one.rules.tests == ("TEST01", "TEST04")


def test_each_run_is_read_once(tree: Path) -> None:
    (one, *_) = subjects(tree, rounds.load("v6.1"))
    assert evidence(one).performance is evidence(one).performance is one.performance


def test_what_is_missing_or_leads_outside_is_left_out(tree: Path, tmp_path: Path) -> None:
    (one, *_) = subjects(tree, rounds.load("v6.1"))
    shutil.move(one.place.accuracy.path, tmp_path / "outside")
    one.place.accuracy.path.symlink_to(tmp_path / "outside")
    one.place.user_conf.unlink()
    found = evidence(one)
    assert found.accuracy is None and "user.conf" not in found.files and "accuracy.txt" not in found.files
    assert found.performance
