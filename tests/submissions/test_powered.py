"""Power logs: published ones are whole; each damage is its own finding."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from audit.finding import Finding
from loadgen_harness import rounds
from loadgen_harness.types import Division, Rules, Scenario
from submissions import layout
from submissions.powered import check
from submissions.subject import Subject
from tests.submissions.folders import RESNET50
from tests.submissions.mutations import put

PLACE = Path("closed/SiMa/results/davinci_dualm2/resnet50/Offline")


@pytest.fixture
def tree(shared: Path, tmp_path: Path) -> Path:
    """A copy of one published result with power."""
    source = shared / "published" / "v3.0" / PLACE
    if not source.is_dir():
        pytest.skip("no published trees in ../shared")
    shutil.copytree(source, tmp_path / PLACE)
    return tmp_path


def findings(tree: Path) -> list[Finding]:
    """What is wrong with its power logs."""
    place, round_ = layout.ScenarioFolder(tree / PLACE), rounds.load("v6.1")
    rules = Rules(targets=(), limits={}, suites={})
    return list(check(Subject(place, tree, RESNET50, Scenario.OFFLINE, rules, round_, Division.CLOSED)))


def changed(tree: Path, name: str, pattern: str, new: str) -> list[tuple[str, str]]:
    """(key, found) of each finding after a change of one file."""
    path = tree / PLACE / "performance" / name
    text, count = re.subn(pattern, new, path.read_text())
    assert count
    put(path, text)
    return [(each.key, each.found) for each in findings(tree)]


def test_published_power_logs_are_whole(tree: Path) -> None:
    assert findings(tree) == []


def test_a_log_that_was_merged_too_early_is_found(tree: Path) -> None:
    put(tree / PLACE / "performance/power/ptd_logs.txt", "Analyzer 1\n")
    assert [(each.key, each.found) for each in findings(tree)] == [("ranging", "not begun"), ("testing", "not begun")]


def test_a_test_that_never_ended_is_found(tree: Path) -> None:
    ended = r"(?s)(Go with mark '[^']*_testing'.*?)Completed test"
    assert changed(tree, "power/ptd_logs.txt", ended, r"\1") == [("testing", "not completed")]


def test_a_ranging_run_that_drew_more_is_found(tree: Path) -> None:
    ((key, found),) = changed(tree, "ranging/spl.txt", r"Watts,", "Watts,9")
    assert key == "Watts" and found.endswith(" W")


def test_a_ranging_run_without_logs_is_found(tree: Path) -> None:
    shutil.rmtree(tree / PLACE / "performance/ranging")
    assert [(each.key, each.found) for each in findings(tree)] == [("file", "missing")] * 2
