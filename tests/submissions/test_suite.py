"""Scenarios of a benchmark: required, optional, one of several, by the kind of system."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen_harness import rounds
from submissions import suite


def told(folder: Path, benchmark: str, kind: str, round_: str = "v6.1") -> list[tuple[str, str, str]]:
    rules = rounds.load(round_).rules(benchmark)
    return [(f.key, f.found, f.wanted) for f in suite.check(folder, "x", {"system_type": kind}, rules)]


def scenarios(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).mkdir(parents=True)
    return folder


@pytest.mark.parametrize("choice", ["Server", "interactive"])
def test_one_of_two_scenarios_is_enough(tmp_path: Path, choice: str) -> None:
    assert told(scenarios(tmp_path, "Offline", choice), "llama2-70b-99.9", "datacenter") == []


def test_neither_of_two_is_too_few(tmp_path: Path) -> None:
    folder = scenarios(tmp_path, "Offline")
    wanted = [("scenario", "missing", "Interactive or Server")]
    assert told(folder, "llama2-70b-99.9", "datacenter") == wanted


def test_a_combined_system_has_the_scenarios_of_both_halves_or_its_own(tmp_path: Path) -> None:
    folder = scenarios(tmp_path, "Offline")
    assert told(folder, "3d-unet-99", "datacenter,edge") == [("scenario", "missing", "SingleStream")]
    missing = [wanted for _, _, wanted in told(folder, "resnet50", "edge,datacenter")]
    assert missing == ["MultiStream", "Server", "SingleStream"]


def test_only_what_can_be_inferred_is_said_to_be(tmp_path: Path) -> None:
    def fixes(kind: str, *there: str) -> dict[str, str]:
        rules, folder = rounds.load("v6.1").rules("resnet50"), scenarios(tmp_path / kind / "-".join(there), *there)
        return {f.wanted: f.fix for f in suite.check(folder, "x", {"system_type": kind}, rules)}

    assert fixes("edge", "SingleStream") == {
        "MultiStream": "run MultiStream too, or infer it", "Offline": "run Offline too, or infer it"
    }  # fmt: skip
    assert fixes("edge", "Offline")["MultiStream"] == "run MultiStream too"
    assert fixes("datacenter,edge", "SingleStream")["Server"] == "run Server too"


def test_a_scenario_too_many_and_a_suite_that_does_not_have_it(tmp_path: Path) -> None:
    folder = scenarios(tmp_path, "Offline", "Server")
    assert told(folder, "rgat", "datacenter") == [("Server", "present", "absent")]
    assert told(folder, "rgat", "edge") == [("system_type", "edge", "datacenter")]
    assert told(folder, "rgat", "") == [("system_type", "missing", "datacenter")]


def test_sources_that_differ_on_a_suite_are_quoted(tmp_path: Path) -> None:
    rules = rounds.load("v6.1").rules("deepseek-r1")
    (finding,) = suite.check(scenarios(tmp_path, "Offline"), "x", {"system_type": "datacenter"}, rules)
    assert (
        "sources differ: rules: ['Server', 'Offline'], checker: ['Offline', 'Server or Interactive']" in finding.clause
    )
