"""A log under two names is found, unless the rules let one run stand in both places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from audit.duplicates import check
from audit.evidence import Evidence
from loadgen_harness.run import Run
from loadgen_harness.types import Division, Scenario
from tests.audit import evidences
from tests.audit.evidences import evidence


def again(made: Evidence, root: Path) -> Evidence:
    """The same runs in another place."""
    for name, run in made.runs():
        (root / name).mkdir(parents=True)
        (root / name / "mlperf_log_detail.txt").write_bytes(run.file("mlperf_log_detail.txt").read_bytes())
    parts = {name: Run(root / name) for name, _ in made.runs()}
    tests = {name: run for name, run in parts.items() if name.startswith("TEST")}
    return replace(made, performance=parts["performance"], accuracy=parts.get("accuracy"), tests=tests)


def test_runs_of_their_own_have_no_finding(tmp_path: Path) -> None:
    assert list(check([evidence(tmp_path)])) == []
    assert list(check([])) == []


ALLOWED: dict[str, Callable[[Evidence], Evidence]] = {
    "the other division": lambda made: replace(made, division=Division.OPEN),
    "inferred": lambda made: replace(made, scenario=Scenario.OFFLINE),
    "lower accuracy": lambda made: replace(made, benchmark=replace(made.benchmark, name="toy-99.9")),
}


@pytest.mark.parametrize("kind", ALLOWED)
def test_where_one_run_may_stand_twice(tmp_path: Path, kind: str) -> None:
    made = evidence(tmp_path / "one")
    if kind == "lower accuracy":
        made = replace(made, benchmark=replace(made.benchmark, name="toy-99"))
    assert list(check([made, ALLOWED[kind](again(made, tmp_path / "two"))])) == []


REFUSED: dict[str, Callable[[Evidence], Evidence]] = {
    "another system": lambda made: replace(made, system_name="toy_8x"),
    "another submitter": lambda made: replace(made, submitter="Bcme"),
    "another benchmark": lambda made: replace(made, benchmark=replace(made.benchmark, name="talk")),
    "another scenario of the same kind": lambda made: replace(made, scenario=Scenario.INTERACTIVE),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_where_it_may_not(tmp_path: Path, kind: str) -> None:
    made = evidence(tmp_path / "one")
    findings = list(check([made, REFUSED[kind](again(made, tmp_path / "two"))]))
    assert [each.check for each in findings] == ["duplicate"] * 4
    assert all("two" in each.file or each.file.endswith("detail.txt") for each in findings)


def test_the_performance_log_in_the_place_of_a_test(tmp_path: Path) -> None:
    made = evidence(tmp_path)
    assert made.performance
    (finding,) = check([replace(made, tests={"TEST01": Run(made.performance.path)})])
    assert finding.check == "duplicate" and "performance" in finding.found


def test_an_edited_copy_is_still_one(tmp_path: Path) -> None:
    """Other time stamps with the same latencies, and other latencies with the same time stamps."""
    made = evidence(tmp_path / "one")
    times = {"power_begin": "11-23-2026 05:59:55.000", "power_end": "11-23-2026 05:59:58.000"}
    later = evidences.logged(tmp_path / "later", "performance", **times)
    faster = evidences.logged(tmp_path / "faster", "performance", **{"result_50.00_percentile_latency_ns": 9_999_999})
    for run in (later, faster):
        other = replace(made, system_name="toy_8x", performance=run, accuracy=None, tests={})
        assert [each.check for each in check([made, other])] == ["duplicate"]


def test_odd_values_never_raise(tmp_path: Path) -> None:
    odd = {"result_50.00_percentile_latency_ns": [1], "result_mean_latency_ns": {"a": 1}, "power_begin": None}
    made = evidence(tmp_path, {"performance": odd})
    assert [each.check for each in check([made, again(replace(made, tests={}, accuracy=None), tmp_path / "two")])] == []
