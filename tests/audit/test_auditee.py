"""Audits of an auditee: what they run, what they conclude."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.auditee import answers, cache, order, perturb, reproduce, speed
from audit.auditee.models import Broken
from audit.auditee.report import COLUMNS, Ruling, at_most, between
from audit.auditee.statistics import Ratio
from audit.auditee.subject import Subject, carry_out, spec_of
from audit.finding import Severity, errors
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Result, Run
from loadgen_harness.samples import DTYPE
from loadgen_harness.types import Division, Metric, RunSpec, Scenario, Score, TestMode
from tests.audit import folders

MS = 1_000_000
SAMPLES = 10  # of the toy data set

RESULT = Result("Samples/s", 100.0, "samples/s", "result_samples_per_second")
LATENCY = Result("Latency", 10.0, "ms", "early_stopping_latency_ss")


@pytest.mark.parametrize(
    ("speeds", "ruling"),
    [
        ([1.0, 1.001, 0.999], Ruling.PASS),
        ([0.99, 0.991, 0.992], Ruling.PASS),  # slower, but not materially
        ([1.2, 1.21, 1.22], Ruling.PASS),  # faster is no fault of the claim
        ([0.95, 0.951, 0.952], Ruling.FAIL),
        ([0.95, 1.0, 1.05], Ruling.OPEN),
        ([0.90, 0.94, 0.98], Ruling.OPEN),  # the claim may have been the best of such runs
        ([0.97, 0.985], Ruling.OPEN),
    ],
)
def test_a_claim_stands_falls_or_stays_open(speeds: list[float], ruling: Ruling) -> None:
    row = reproduce.compared(speeds, RESULT, 0.02)
    assert row.ruling is ruling
    assert bool(row.more) is (ruling is Ruling.OPEN)
    assert len(row.cells()) == len(COLUMNS)


def test_two_percent_of_a_latency_is_two_percent_of_the_latency() -> None:
    """10.19 ms for 10 ms claimed is within 2 %, a rate of 98.1 for 100 too; 10.21 and 97.9 are not."""
    for result, good, bad in ((LATENCY, 10 / 10.19, 10 / 10.21), (RESULT, 0.981, 0.979)):
        assert reproduce.compared([good] * 3, result, 0.02).ruling is Ruling.PASS
        assert reproduce.compared([bad] * 3, result, 0.02).ruling is Ruling.FAIL


@pytest.mark.parametrize(
    ("low", "high", "ruling"),
    [(0.9, 1.05, "pass"), (1.05, 1.3, "undecided"), (1.11, 1.3, "FAIL"), (0.5, 2, "undecided")],
)
def test_a_ratio_beyond_its_bound_is_accused_with_its_whole_interval(low: float, high: float, ruling: str) -> None:
    row = at_most("x", Ratio(math.sqrt(low * high), low, high, 3, 0.1), accused=1.1, cleared=1.1)
    assert row.ruling == ruling


@pytest.mark.parametrize(
    ("low", "high", "ruling"),
    [(0.95, 1.05, "pass"), (0.7, 0.8, "FAIL"), (1.2, 1.3, "FAIL"), (0.85, 1.0, "undecided"), (0.5, 2, "undecided")],
)
def test_a_ratio_between_two_bounds(low: float, high: float, ruling: str) -> None:
    assert between("x", Ratio(math.sqrt(low * high), low, high, 3, 0.1), 0.9, 1.1).ruling == ruling


def test_numbers_are_the_same_bit_by_bit_and_floats_as_far_as_rounding_goes() -> None:
    one, close, far = (np.array([1.0, 100.0 * factor], "<f4").tobytes() for factor in (1, 1.00001, 1.1))
    assert answers.same(one, close, "float32")
    assert not answers.same(one, far, "float32")
    assert not answers.same(one, one[:4], "float32")
    assert not answers.same(b"\1\0\0\0", b"\2\0\0\0", "int32")
    assert not answers.same(one, close, "int32")
    assert not answers.same(one, np.array([np.nan, 1.0], "<f4").tobytes(), "float32")


def score(value: float, low: float, high: float, metric: str = "accuracy") -> Score:
    return Score(metric, value, low, high, 100, "Wilson")


def test_accuracy_fell_where_intervals_do_not_touch() -> None:
    benchmark = folders.benchmark()
    assert answers.fell([score(90, 80, 95)], [score(10, 5, 20)], benchmark)
    assert not answers.fell([score(90, 80, 95)], [score(79, 70, 85)], benchmark)
    assert not answers.fell([score(10, 5, 20)], [score(90, 80, 95)], benchmark)
    lower = folders.benchmark(metric=Metric("accuracy", higher_is_better=False))
    assert answers.fell([score(10, 5, 20)], [score(90, 80, 95)], lower)


Answer = Callable[[RunSpec, int], bytes]


def number(spec: RunSpec, index: int) -> bytes:
    return np.float32(index).tobytes()


@dataclass
class System:
    """A launcher without LoadGen: latency in ms and answers of a run as functions of its spec."""

    latency_ms: Callable[[RunSpec], float] = lambda spec: 10.0
    answer: Answer = number
    valid: bool = True

    def __call__(self, spec: RunSpec) -> Run:
        accuracy = spec.mode is TestMode.ACCURACY
        latency = self.latency_ms(spec) * MS
        values = folders.common("SingleStream", spec.mode.value) if accuracy else folders.performance("SingleStream")
        if not accuracy:
            values |= {"early_stopping_latency_ss": latency, "result_validity": "VALID" if self.valid else "INVALID"}
        logged = range(SAMPLES) if accuracy else range(0, SAMPLES, 3) if spec.test else ()
        entries = [folders.response(index, self.answer(spec, index)) for index in logged]
        run = folders.write(spec.output, values, responses=entries)
        table = np.zeros(50, DTYPE)
        table["issued"] = 1 + np.arange(50) * 20 * MS
        table["done"] = table["issued"] + int(latency)
        table["batch"] = 1
        np.save(run.file("samples.npy"), table)
        run.file("user.conf").write_text("*.SingleStream.target_latency = 9.5\n*.SingleStream.min_duration = 300\n")
        text = {
            key: str(getattr(spec, key)) for key in ("benchmark", "backend", "scenario", "mode", "round", "division")
        }
        record = {"spec": text | {"seed": spec.seed}, "benchmark": {"model_name": "toy-model"}, "driver": "native"}
        run.file("run.json").write_text(json.dumps(record))
        return Run(spec.output)


def right(responses: Mapping[int, bytes]) -> Sequence[Score]:
    """The share of right answers; BadInput for answers of another size."""
    if any(len(data) != 4 for data in responses.values()):
        raise BadInput("the accuracy log cannot be scored.")
    share = 100 * sum(data == np.float32(index).tobytes() for index, data in responses.items()) / len(responses)
    return [score(share, max(share - 20, 0), min(share + 20, 100))]


def subject(tmp_path: Path, system: System, runs: int = 3) -> Subject:
    spec = RunSpec("toy", "null", Scenario.SINGLE_STREAM, TestMode.PERFORMANCE, tmp_path / "claimed", round="tiny")
    return Subject(system(spec), folders.benchmark(), tmp_path / "audit", runs, right)


def test_a_spec_is_rebuilt_from_its_run(tmp_path: Path) -> None:
    spec = spec_of(subject(tmp_path, System()).run)
    assert (spec.benchmark, spec.scenario, spec.mode) == ("toy", Scenario.SINGLE_STREAM, TestMode.PERFORMANCE)
    assert spec.driver == "native"
    assert spec.overrides == {"target_latency": 9.5, "min_duration": 300}  # what was calibrated is not measured anew
    assert spec.user_conf is None


def test_what_cannot_be_audited_is_refused(tmp_path: Path) -> None:
    made = subject(tmp_path, System())
    with pytest.raises(BadInput, match="single pair"):
        subject(tmp_path / "one", System(), runs=1)
    accuracy = RunSpec("toy", "null", Scenario.SINGLE_STREAM, TestMode.ACCURACY, tmp_path / "accuracy", round="tiny")
    foreign = folders.write(tmp_path / "foreign", folders.performance("SingleStream"))
    for run in (System()(accuracy), foreign, Run(tmp_path / "nowhere")):
        with pytest.raises(BadInput, match="no performance run"):
            spec_of(run)
    made.run.file("samples.npy").unlink()
    with pytest.raises(BadInput, match=r"samples\.npy"):
        speed.figures(Run(made.run.path))


def test_speeds_are_those_of_the_fastest_quarter(tmp_path: Path) -> None:
    """One query in four at 2 ms: what slows down the others is not the system's."""
    table = np.zeros(8, DTYPE)
    table["issued"], table["batch"] = 1 + np.arange(8) * 100 * MS, 2
    table["started"] = table["issued"]
    table["done"] = table["computed"] = table["issued"] + np.array([2, 2, 50, 60, 70, 80, 90, 95]) * MS
    for scenario, name, speeds in (
        ("SingleStream", speed.at(speed.LATENCY), 1 / 0.038),  # between the second, 2 ms, and the third, 50 ms
        ("Offline", speed.at(speed.COMPUTE), 2 / 0.038),  # two samples to a batch
    ):
        run = folders.own(folders.write(tmp_path / scenario, folders.performance(scenario)), table)
        assert speed.figures(run) == {name: pytest.approx(speeds)}
    table["first_token"], table["tokens"] = table["issued"] + MS, 11
    run = folders.own(folders.write(tmp_path / "talk", folders.talking()), table)
    assert speed.figures(run) == {
        speed.at(speed.TTFT): pytest.approx(1000),
        speed.at(speed.TPOT): pytest.approx(10 / 0.037),
    }


def test_runs_with_no_speed_in_common_are_not_passed(tmp_path: Path) -> None:
    table = np.zeros(4, DTYPE)
    table["issued"], table["batch"] = 1 + np.arange(4) * MS, 1
    table["done"] = table["computed"] = table["issued"] + MS
    runs = [
        folders.own(folders.write(tmp_path / scenario, folders.performance(scenario)), table)
        for scenario in ("SingleStream", "Offline")
    ]
    with pytest.raises(BadInput, match="no speed in common"):
        speed.ratios([(runs[0], runs[1]), (runs[1], runs[0])])


def test_pairs_are_interleaved_and_named(tmp_path: Path) -> None:
    plan = cache.plan(subject(tmp_path, System(), runs=3))
    assert list(plan) == ["same-01", "unique-01", "unique-02", "same-02", "same-03", "unique-03"]
    assert {spec.output.parent for spec in plan.values()} == {tmp_path / "audit"}


def test_a_cache_audit_repeats_another_sample_in_each_pair(tmp_path: Path) -> None:
    plan = cache.plan(subject(tmp_path, System(), runs=4))
    same = [spec.overrides for name, spec in plan.items() if name.startswith("same")]
    assert [each["performance_issue_same_index"] for each in same] == [4, 1, 6, 3]  # of the 8 in memory
    fewer = cache.plan(subject(tmp_path / "fewer", System(), runs=2))
    assert [spec.overrides for name, spec in fewer.items() if name.startswith("same")] == same[:2]  # more can follow
    unique = [spec.overrides for name, spec in plan.items() if name.startswith("unique")]
    assert all("performance_issue_same" not in each and each["performance_issue_unique"] == 1 for each in unique)
    assert {each["min_query_count"] for each in (*same, *unique)} == {8}
    assert {spec.division for spec in plan.values()} == {Division.OPEN}  # closed would lock the settings


def test_an_order_audit_draws_other_seeds_for_each_pair(tmp_path: Path) -> None:
    plan = order.plan(subject(tmp_path, System()))
    seeds = {name: spec.seed for name, spec in plan.items()}
    assert [seeds[name] for name in seeds if name.startswith(("official", "accuracy-official"))] == [0, 0, 0, 0]
    others = [seeds[name] for name in seeds if "other" in name]
    assert len(set(others)) == 4
    assert 0 not in others
    assert {spec.test for spec in plan.values() if spec.mode is TestMode.PERFORMANCE} == {"TEST01"}


def test_a_perturbation_audit_runs_both_models_in_both_modes(tmp_path: Path) -> None:
    plan = perturb.plan(subject(tmp_path, System(), runs=2), tmp_path / "broken.onnx")
    modes = {(spec.model, spec.mode) for spec in plan.values()}
    models = (None, tmp_path / "broken.onnx")
    assert modes == {(model, mode) for model in models for mode in (TestMode.ACCURACY, TestMode.PERFORMANCE)}


def noisy(spec: RunSpec) -> float:
    """10 ms and up to 1 % more or less, by the run's name."""
    return 10 * math.exp(random.Random(spec.output.name).uniform(-0.01, 0.01))


def quick_if(condition: Callable[[RunSpec], bool]) -> Callable[[RunSpec], float]:
    return lambda spec: noisy(spec) / (2 if condition(spec) else 1)


def concluded(tmp_path: Path, audit: str, system: System) -> Any:
    audited = subject(tmp_path, system, runs=5)
    if audit == "perturb":
        runs = carry_out(perturb.plan(audited, Path("broken.onnx")), system)
        return perturb.judge(audited, runs, Broken(Path("broken.onnx"), "weights shuffled (seed 1)"))
    module = {"cache": cache, "order": order, "reproduce": reproduce}[audit]
    return module.judge(audited, carry_out(module.plan(audited), system))


def garbled(spec: RunSpec, index: int) -> bytes:
    return np.float32(index + 1).tobytes()


def run_by_model(spec: RunSpec, index: int) -> bytes:
    return garbled(spec, index) if spec.model else number(spec, index)


HONEST = System(noisy, run_by_model)
CASES = [
    ("reproduce", HONEST, Ruling.PASS, ""),
    (
        "reproduce",
        System(quick_if(lambda spec: spec.output.name == "claimed")),
        Ruling.FAIL,
        "early_stopping_latency_ss",
    ),
    ("cache", HONEST, Ruling.PASS, ""),
    (
        "cache",
        System(quick_if(lambda spec: "performance_issue_same" in spec.overrides)),
        Ruling.FAIL,
        speed.at(speed.LATENCY),
    ),
    ("order", HONEST, Ruling.PASS, ""),
    ("order", System(quick_if(lambda spec: not spec.seed)), Ruling.FAIL, speed.at(speed.LATENCY)),
    (
        "order",
        System(noisy, lambda spec, index: (garbled if spec.seed else number)(spec, index)),
        Ruling.FAIL,
        order.ORDER,
    ),
    (
        "order",
        System(noisy, lambda spec, index: (garbled if spec.test else number)(spec, index)),
        Ruling.FAIL,
        order.MODE,
    ),
    ("order", System(noisy, lambda spec, index: b""), Ruling.FAIL, order.UNSCORED),
    ("perturb", HONEST, Ruling.PASS, ""),
    ("perturb", System(noisy, number), Ruling.FAIL, "accuracy"),
    ("perturb", System(quick_if(lambda spec: bool(spec.model)), run_by_model), Ruling.FAIL, speed.at(speed.LATENCY)),
]


@pytest.mark.parametrize(("audit", "system", "ruling", "key"), CASES)
def test_a_fault_is_ruled_on(tmp_path: Path, audit: str, system: System, ruling: Ruling, key: str) -> None:
    report = concluded(tmp_path, audit, system)
    assert report.ruling is ruling, report
    assert {finding.key for finding in errors(report.findings)} >= ({key} if key else set())
    assert bool(errors(report.findings)) is (ruling is Ruling.FAIL)
    assert report.sentence
    for finding in report.findings:
        assert finding.check == audit
        assert "Audit Guidelines" in finding.clause


def test_a_repetition_that_is_not_valid_counts_against_the_claim(tmp_path: Path) -> None:
    audited = subject(tmp_path, System(noisy))
    runs = carry_out(reproduce.plan(audited), System(noisy, valid=False))
    report = reproduce.judge(audited, runs)
    assert report.ruling is Ruling.FAIL
    assert "3 of 3 INVALID" in {finding.key: finding for finding in report.findings}["result_validity"].found
    runs = {
        **carry_out(reproduce.plan(subject(tmp_path / "b", System(noisy))), System(noisy)),
        "repeat-01": runs["repeat-01"],
    }
    assert reproduce.judge(audited, runs).ruling is Ruling.OPEN


def test_a_run_without_a_result_proves_nothing(tmp_path: Path) -> None:
    """LoadGen writes a latency of 0 where there were too few queries to estimate one."""
    audited = subject(tmp_path, System(lambda spec: 0.0))
    with pytest.raises(BadInput, match="nothing to reproduce"):
        reproduce.judge(audited, {})
    made = subject(tmp_path / "b", System())
    with pytest.raises(BadInput, match="audit a longer run"):
        reproduce.judge(made, carry_out(reproduce.plan(made), System(lambda spec: 0.0)))


def test_another_machine_is_told(tmp_path: Path) -> None:
    audited = subject(tmp_path, System(noisy))
    runs = carry_out(reproduce.plan(audited), System(noisy))
    assert reproduce.unlike(audited.run, list(runs.values())) == []
    record = json.loads(audited.run.file("run.json").read_text())
    for part in ({"system": {"kernel": "6.1"}}, {"versions": {"numpy": "1.0"}}, {"model_sha256": "ab"}):
        audited.run.file("run.json").write_text(json.dumps(record | part))
        (found,) = reproduce.unlike(Run(audited.run.path), list(runs.values()))
        assert (found.severity, found.key) == (Severity.WARNING, "system")


def test_a_faster_repetition_is_told_but_no_fault(tmp_path: Path) -> None:
    audited = subject(tmp_path, System())
    report = reproduce.judge(audited, carry_out(reproduce.plan(audited), System(lambda spec: noisy(spec) / 2)))
    assert report.ruling is Ruling.PASS
    assert [finding.severity for finding in report.findings] == [Severity.WARNING]


def test_an_open_audit_says_what_would_decide_it(tmp_path: Path) -> None:
    wild = System(lambda spec: 10 * math.exp(random.Random(spec.output.name).uniform(-0.3, 0.3)))
    report = concluded(tmp_path, "cache", wild)
    assert report.ruling is Ruling.OPEN
    assert "would decide" in report.findings[0].fix


def test_a_mild_break_is_open_and_not_the_systems_fault(tmp_path: Path) -> None:
    """Every answer changed, but the score is no worse: nothing is known about the system."""
    audited = subject(tmp_path, System(noisy, run_by_model))
    runs = carry_out(perturb.plan(audited, Path("broken.onnx")), System(noisy, run_by_model))
    mild = Subject(audited.run, audited.benchmark, audited.output, 3, lambda responses: [score(90, 80, 95)])
    report = perturb.judge(mild, runs, Broken(Path("broken.onnx"), "weights shuffled (seed 1)"))
    assert report.ruling is Ruling.OPEN
    assert "--seed" in report.findings[0].fix


@pytest.mark.parametrize(
    ("changed", "mild", "ruling"),
    [(0, False, Ruling.FAIL), (0, True, Ruling.FAIL), (1, False, Ruling.FAIL), (1, True, Ruling.OPEN)],
)
def test_a_dropped_activation_may_change_little(tmp_path: Path, changed: int, mild: bool, ruling: Ruling) -> None:
    """One answer of ten: shuffled weights would have changed more, an activation need not."""

    def answer(spec: RunSpec, index: int) -> bytes:
        return (garbled if spec.model and index < changed else number)(spec, index)

    audited = subject(tmp_path, System(noisy, answer))
    runs = carry_out(perturb.plan(audited, Path("broken.onnx")), System(noisy, answer))
    assert perturb.judge(audited, runs, Broken(Path("broken.onnx"), "broken", mild)).ruling is ruling


def test_a_few_answers_that_tip_over_are_a_note(tmp_path: Path) -> None:
    """One of ten, under another order alone, and the accuracy agrees."""

    def tipped(spec: RunSpec, index: int) -> bytes:
        return garbled(spec, index) if spec.seed and index == 1 else number(spec, index)

    report = concluded(tmp_path, "order", System(noisy, tipped))
    assert report.ruling is Ruling.PASS
    assert [(finding.severity, finding.key) for finding in report.findings] == [(Severity.NOTE, order.ORDER)]
