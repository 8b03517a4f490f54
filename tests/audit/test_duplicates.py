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
    made = replace(evidence(tmp_path / "one"), root=tmp_path)
    findings = list(check([made, REFUSED[kind](again(made, tmp_path / "two"))]))
    (finding,) = findings
    assert (finding.check, finding.key) == ("duplicate", "log")
    assert finding.file == "two/performance/mlperf_log_detail.txt"
    assert finding.found == "the same runs as in one: performance, accuracy, TEST01, TEST04"


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


@pytest.mark.parametrize(("moved", "told"), [(0, 1), (7, 1), (100, 1), (101, 0), (5000, 0)])
def test_latencies_moved_by_nanoseconds_are_still_a_copy(tmp_path: Path, moved: int, told: int) -> None:
    """All of them by 7 ns, or some of them by up to 100 ns; two runs of one system are 4,750 ns apart at least."""
    made = evidence(tmp_path / "one", tests={}, accuracy=None)
    figures = evidences.latencies("performance")
    for name, keys in (("all", set(figures)), ("some", {"result_50.00_percentile_latency_ns"})):
        edited = {key: value + (moved if key in keys else 0) for key, value in figures.items()}
        times = {"power_begin": "11-23-2026 05:59:55.001", "power_end": "11-23-2026 05:59:58.001"}
        run = evidences.logged(tmp_path / name, "performance", **times, **edited)
        other = replace(made, system_name="toy_8x", performance=run)
        assert len(list(check([made, other]))) == (1 if name == "all" else told)


def test_few_latencies_prove_nothing(tmp_path: Path) -> None:
    """Two runs may well share the figures that a short log has."""
    few = {key: 10_000_000 for key in evidences.latencies("performance") if "percentile" in key}
    times = {"power_begin": "11-23-2026 05:59:55.001", "power_end": "11-23-2026 05:59:58.001"}
    first = evidences.logged(tmp_path / "one", "performance", **few)
    second = evidences.logged(tmp_path / "two", "performance", **few, **times, result_max_latency_ns=20_000_007)
    made = evidence(tmp_path / "whole", performance=first, tests={}, accuracy=None)
    assert list(check([made, replace(made, system_name="toy_8x", performance=second)])) == []


@pytest.mark.parametrize(("stamps", "told"), [((), 0), ((600.123456,), 1)])
def test_the_same_stamps_of_time_are_a_copy(tmp_path: Path, stamps: tuple[float, ...], told: int) -> None:
    """Two different ones after the first millisecond, each to the nanosecond; all else in the copy was edited."""
    made = evidence(tmp_path / "whole", tests={}, accuracy=None)

    def stamped(name: str, shift: int) -> Run:
        figures = {key: value + shift * number**2 for number, (key, value) in enumerate(latencies.items())}
        path = evidences.logged(tmp_path / name, "performance", **figures, power_end=f"{name}").path
        log = path / "mlperf_log_detail.txt"
        lines = log.read_text().splitlines()
        lines = [line.replace("10000.0", str(stamp)) for stamp, line in zip(stamps, lines, strict=False)] + lines[1:]
        log.write_text("\n".join(line for line in lines if '"power_begin"' not in line) + "\n")
        return Run(path)

    latencies = evidences.latencies("performance")
    one = replace(made, performance=stamped("one", 0))
    other = replace(made, performance=stamped("two", 5000), system_name="toy_8x")
    assert len(list(check([one, other]))) == told


def test_a_copy_that_may_stand_there_is_not_told_by_a_third_one(tmp_path: Path) -> None:
    """The open result is the closed one's run, which another system copied."""
    made = replace(evidence(tmp_path / "one"), root=tmp_path)
    copy = replace(again(made, tmp_path / "two"), system_name="toy_8x")
    opened = replace(again(made, tmp_path / "three"), division=Division.OPEN)
    (finding,) = check([made, copy, opened])
    assert finding.file.startswith("two/")


def test_odd_values_never_raise(tmp_path: Path) -> None:
    odd = {"result_50.00_percentile_latency_ns": [1], "result_mean_latency_ns": {"a": 1}, "power_begin": None}
    made = evidence(tmp_path, {"performance": odd})
    assert [each.check for each in check([made, again(replace(made, tests={}, accuracy=None), tmp_path / "two")])] == []
