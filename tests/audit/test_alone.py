"""Logs that stand alone: the round by their seeds, the demands of a named benchmark, else what all demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit import alone
from audit.finding import Finding, Severity
from loadgen_harness import rounds
from loadgen_harness.errors import UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario
from tests.audit.folders import performance, write

SINCE = {"qsl": "qsl_rng_seed", "sample_index": "sample_index_rng_seed", "schedule": "schedule_rng_seed"}


def logs(folder: Path, round_: str = "v6.1", **changes: Any) -> Run:
    """A SingleStream run of a round's seeds."""
    seeds = {f"effective_{key}": getattr(rounds.load(round_).seeds, name) for name, key in SINCE.items()}
    return write(folder, {**performance("SingleStream"), **seeds, **changes})


def named(found: tuple[Finding, ...], severity: Severity = Severity.ERROR) -> set[str]:
    return {finding.check for finding in found if finding.severity is severity}


@pytest.mark.parametrize("name", ["v5.0", "v5.1", "v6.0", "v6.1"])
def test_the_round_is_that_of_the_seeds(tmp_path: Path, name: str) -> None:
    judged = alone.check(logs(tmp_path, name), alone.Said())
    assert (judged.round.name, judged.round_from) == (name, "by its seeds")
    assert "seeds" not in named(judged.findings)


def test_the_round_that_was_asked_for_counts(tmp_path: Path) -> None:
    judged = alone.check(logs(tmp_path, "v6.1"), alone.Said(round="v5.1"))
    assert judged.round.name == "v5.1" and "seeds" in named(judged.findings)


def test_unknown_seeds_are_judged_by_the_newest_round(tmp_path: Path) -> None:
    judged = alone.check(write(tmp_path, performance("SingleStream")), alone.Said())
    assert judged.round.name == rounds.official()[-1] and "newest" in judged.round_from
    assert "seeds" in named(judged.findings)


def test_without_a_benchmark_what_every_benchmark_demands_is_asked(tmp_path: Path) -> None:
    judged = alone.check(logs(tmp_path), alone.Said())
    assert {"duration", "duration-setting"} <= named(judged.findings)  # three seconds are too short for all
    assert "accuracy-sample-count" not in named(judged.findings)
    assert [each.key for each in judged.findings if each.severity is Severity.NOTE and each.check == "round"] == [
        "benchmark"
    ]


def test_a_named_benchmark_is_judged_by_its_own_demands(tmp_path: Path) -> None:
    run = logs(tmp_path)
    for name in ("resnet", "resnet50"):
        judged = alone.check(run, alone.Said(benchmark=name))
        assert "performance-sample-count" in named(judged.findings)
        assert not [each for each in judged.findings if each.check == "round"]


def test_an_accuracy_text_beside_the_logs_is_judged(tmp_path: Path) -> None:
    run = logs(tmp_path, effective_test_mode="AccuracyOnly", effective_accuracy_sample_count=50_000)
    (tmp_path / "accuracy.txt").write_text("accuracy=70.000%, good=35000, total=50000\n")
    assert "accuracy" in named(alone.check(run, alone.Said(benchmark="resnet")).findings)
    (tmp_path / "accuracy.txt").write_text("accuracy=76.000%, good=38000, total=50000\n")
    assert "accuracy" not in named(alone.check(run, alone.Said(benchmark="resnet")).findings)


def test_interactive_must_be_said(tmp_path: Path) -> None:
    run = logs(tmp_path, effective_scenario="Server")
    by_log = alone.check(run, alone.Said(benchmark="llama2-70b-99.9"))
    as_said = alone.check(run, alone.Said(benchmark="llama2-70b-99.9", scenario=Scenario.INTERACTIVE))
    limits = [{f.wanted for f in each.findings if f.check == "latency-setting"} for each in (by_log, as_said)]
    assert limits[0] != limits[1]


@pytest.mark.parametrize(
    "said", [alone.Said(benchmark="resnet5"), alone.Said(round="v9"), alone.Said(benchmark="rgat")]
)
def test_unknown_names_are_refused(tmp_path: Path, said: alone.Said) -> None:
    with pytest.raises(UnknownName):
        alone.check(logs(tmp_path), said)


@pytest.mark.parametrize("text", ["", "\0\xff", "{}", ":::MLLOG nothing\n"])
def test_odd_logs_are_findings(tmp_path: Path, text: str) -> None:
    (tmp_path / "mlperf_log_detail.txt").write_text(text, encoding="latin-1")
    assert "readable" in named(alone.check(Run(tmp_path), alone.Said()).findings)
    assert "readable" in named(alone.check(Run(tmp_path), alone.Said(benchmark="resnet")).findings)


@pytest.mark.parametrize("scenario", list(Scenario))
@pytest.mark.parametrize("name", ["v5.0", "v5.1", "v6.0", "v6.1"])
def test_the_least_is_no_more_than_any_benchmark_demands(name: str, scenario: Scenario) -> None:
    round_ = rounds.load(name)
    least = alone.least(round_, scenario)
    own = rounds.load(rounds.OWN).benchmarks
    for benchmark, rules in round_.benchmarks.items():
        limits = rules.limits.get(scenario)
        if limits and benchmark not in own:
            for figure in ("min_query_count", "performance_sample_count", "samples_per_query", "min_duration_ms"):
                assert not getattr(limits, figure) or getattr(least, figure) <= getattr(limits, figure)


def test_a_log_of_a_round_without_rules_here_is_judged_by_what_always_holds(tmp_path: Path) -> None:
    name, seeds = next(iter(rounds.load("v5.0").earlier.items()))
    logged = {f"effective_{key}": getattr(seeds, each) for each, key in SINCE.items()}
    log = {**performance("SingleStream"), **logged}
    judged = alone.check(write(tmp_path / "good", log), alone.Said())
    assert judged.round.name == "" and judged.round_from == f"{name}, by its seeds"
    assert not {"seeds", "duration", "duration-setting"} & named(judged.findings)
    bad = alone.check(write(tmp_path / "bad", {**log, "result_validity": "INVALID"}), alone.Said())
    assert "validity" in named(bad.findings)
    (tmp_path / "bad/mlperf_log_detail.txt").write_bytes(b"\0")
    assert "readable" in named(alone.check(Run(tmp_path / "bad"), alone.Said()).findings)
