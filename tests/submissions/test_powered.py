"""Power logs in a tree: published ones are whole; what is wrong with a session is found where it lies."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from audit.finding import Finding, Severity
from loadgen_harness import rounds
from loadgen_harness.types import Division, Rules, Scenario
from power.simulator import MARK
from submissions import check as checks
from submissions import layout, powered
from submissions.subject import Subject
from tests.submissions.folders import RESNET50
from tests.submissions.mutations import put

PLACE = Path("closed/SiMa/results/davinci_dualm2/resnet50/Offline")
OLD = {"power-sources", "power-replies", "power-device"}  # what code and PTDaemon of v3.0 had otherwise than today's


@pytest.fixture
def tree(shared: Path, tmp_path: Path) -> Path:
    """A copy of one published result with power."""
    source = shared / "published" / "v3.0" / PLACE
    if not source.is_dir():
        pytest.skip("no published trees in ../shared")
    shutil.copytree(source, tmp_path / PLACE)
    for name in ("analyzer_table.md", "power_settings.csv"):
        put(tmp_path / PLACE.parent / name, "| key | value |\n")
    return tmp_path


def subject(tree: Path) -> Subject:
    """The result, as if it were of today's round."""
    place, round_ = layout.ScenarioFolder(tree / PLACE), rounds.load("v6.1")
    rules = Rules(targets=(), limits={}, suites={})
    return Subject(place, tree, RESNET50, Scenario.OFFLINE, rules, round_, Division.CLOSED)


def findings(tree: Path) -> list[Finding]:
    """What is wrong with its power logs, but for what every session of that time has."""
    found = [each for each in powered.check(subject(tree)) if each.check not in OLD]
    return [each for each in found if each.severity is Severity.ERROR]


def changed(tree: Path, name: str, pattern: str, new: str) -> set[tuple[str, str]]:
    """(check, key) of each finding after a change of one file."""
    path = tree / PLACE / "performance" / name
    text, count = re.subn(pattern, new, path.read_text())
    assert count
    put(path, text)
    return {(each.check, each.key) for each in findings(tree)}


def test_published_power_logs_are_whole(tree: Path) -> None:
    assert findings(tree) == []


def test_files_are_named_from_the_root_of_the_tree(tree: Path) -> None:
    put(tree / PLACE / "performance/power/server.log", "edited\n")
    (found,) = findings(tree)
    assert found.file == f"{PLACE.as_posix()}/performance/power/server.log"


def test_a_log_that_was_merged_too_early_is_found(tree: Path) -> None:
    put(tree / PLACE / "performance/power/ptd_logs.txt", "Analyzer 1\n")
    found = {(each.check, each.key, each.found) for each in findings(tree)}
    assert {("power-log", "ranging", "not begun"), ("power-log", "testing", "not begun")} <= found


def test_a_test_that_never_ended_is_found(tree: Path) -> None:
    ended = r"(?s)(Go with mark '[^']*_testing'.*?)Completed test"
    assert ("power-log", "testing") in changed(tree, "power/ptd_logs.txt", ended, r"\1")


def test_a_ranging_run_that_drew_more_is_found(tree: Path) -> None:
    found = changed(tree, "ranging/spl.txt", r"Watts,", "Watts,9")
    assert found == {("power-ranging", "Watts"), ("power-digest", "sha1")}


def test_a_ranging_run_without_logs_is_found(tree: Path) -> None:
    shutil.rmtree(tree / PLACE / "performance/ranging")
    assert {("power", "file")} <= {(each.check, each.key) for each in findings(tree)}


@pytest.mark.parametrize("name", powered.DESCRIBED)
def test_analyzer_and_power_management_must_be_described(tree: Path, name: str) -> None:
    for path in (tree / PLACE.parent).glob(f"{name}.*"):
        path.unlink()
    assert [(each.check, each.key) for each in findings(tree)] == [("power", name)]


def test_a_link_out_of_the_tree_is_not_followed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "server.json"
    path = tree / PLACE / "performance/power/server.json"
    path.rename(outside)
    path.symlink_to(outside)
    assert "power-record" in {each.check for each in findings(tree)}


def test_the_simulators_mark_is_refused_in_a_round_without_rules(tree: Path) -> None:
    path = tree / PLACE / "performance/run_1/spl.txt"
    put(path, path.read_text().replace(",Mark,", f",Simulated,{MARK},Mark,"))
    found = [each for each in checks.check(tree) if each.check == "power-simulated"]
    assert [(each.severity, each.file) for each in found] == [(Severity.ERROR, path.relative_to(tree).as_posix())]


def test_a_session_of_a_round_without_rules_is_checked_too(tree: Path) -> None:
    """Its files, phases and samples depend on no round; what does is left out, and a note says so."""
    before = [each for each in checks.check(tree) if each.check.startswith("power")]
    assert {each.severity for each in before} == {Severity.NOTE} and "power-sources" in {each.check for each in before}
    path = tree / PLACE / "performance/run_1/spl.txt"
    put(path, "".join(path.read_text().splitlines(keepends=True)[::10]))
    after = {(each.check, each.severity) for each in checks.check(tree) if each.check.startswith("power")}
    assert {("power-digest", Severity.ERROR), ("power-samples", Severity.WARNING)} <= after
