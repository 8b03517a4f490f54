"""Every shipped cheat is caught by the audit that is there for it, and honest runs are left alone.

| cheat                      | caught by                                                              |
|----------------------------|------------------------------------------------------------------------|
| cache                      | `cache`: a repeated sample is faster than unique ones                  |
| early                      | `order`: answers depend on the order; and plain accuracy               |
| drop                       | `order`: likewise; and plain accuracy                                  |
| labels                     | `perturb`: a broken model is as accurate as before                     |
| mode                       | `order`: answers in performance mode are not the accuracy run's        |
| lulls, ahead (Server)      | `order`: the round's own seeds are faster than others                  |
| a claim that was edited    | `reproduce`: slower than claimed, beyond what a further run explains   |

How many honest runs are accused: `pytest tests/audit/test_cheats.py -m slow -k honest -s` (20 audits of each kind).
"""

from __future__ import annotations

import itertools
import os
import shutil
from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest

from audit import accuracy
from audit.auditee import cache, models, order, perturb, reproduce, speed
from audit.auditee.report import Report, Ruling
from audit.finding import errors
from benchmarks._data import assets
from loadgen_harness import assess, auditees, registry, rounds
from loadgen_harness.errors import SuiteError
from loadgen_harness.launch import launch
from loadgen_harness.run import Run
from loadgen_harness.types import Division, RunSpec, Scenario, TestMode
from tests import fakes
from tests.audit import cheats

pytestmark = pytest.mark.slow
PAIRS = 3
HONEST = 20
SHORT = {"min_duration": 300, "min_query_count": 100}
SERVER = {**SHORT, "target_qps": 40}  # slow enough for gaps that are worth knowing
OWN = {
    Scenario.SINGLE_STREAM: SHORT,
    Scenario.OFFLINE: SHORT,
    Scenario.SERVER: {**SHORT, "target_qps": 200},
    Scenario.MULTI_STREAM: {**SHORT, "min_query_count": 662},  # what early stopping takes to estimate a p99
}


@pytest.fixture(autouse=True)
def cheating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cheats are installed, for this process and for child processes, and the digits are at hand."""
    pytest.importorskip("onnxruntime", exc_type=ImportError)
    pytest.importorskip("onnx", exc_type=ImportError)
    try:
        assets.resolve("mnist-5k", offline=True)
    except SuiteError as error:
        pytest.skip(f"the digits' images are not here: {error}")
    folder = tmp_path / "site"
    cheats.install(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(folder), str(fakes.ROOT))))


def run(folder: Path, kind: str = "", scenario: Scenario = Scenario.SINGLE_STREAM, **options: str) -> Run:
    """A short performance run of the digits, by a cheat or honest."""
    spec = RunSpec(
        "digits",
        "cheat",
        scenario,
        TestMode.PERFORMANCE,
        folder,
        division=Division.OPEN,
        overrides=SERVER if kind in ("lulls", "ahead") or options else OWN[scenario],
        options={"kind": kind, **options},
        max_batch=8 if scenario is Scenario.OFFLINE else 1,
    )
    return launch(spec)


def audited(audit: str, claimed: Run, output: Path, pairs: int = PAIRS) -> Report:
    """One audit of a run, as the command line does it."""
    subject = auditees.subject_of(Namespace(run=claimed.path, output=output, runs=pairs))
    if audit == "perturb":
        broken = models.broken(auditees.model_of(subject), output / "model", seed=1)
        return perturb.judge(subject, auditees.made(subject, perturb.plan(subject, broken.path)), broken)
    module = {"cache": cache, "order": order, "reproduce": reproduce}[audit]
    return module.judge(subject, auditees.made(subject, module.plan(subject)))


def told(report: Report) -> str:
    """Its figures and errors, in lines."""
    rows = [f"{row.title}: {row.ratio.text()} {row.ruling}" for row in report.rows]
    faults = [f"{finding.key}: {finding.found}" for finding in errors(report.findings)]
    return "; ".join([report.audit, *rows, *faults])


CAUGHT = [
    ("cache", "cache", speed.at(speed.LATENCY)),
    ("early", "order", order.ORDER),
    ("drop", "order", order.ORDER),
    ("labels", "perturb", "accuracy"),
    ("mode", "order", order.MODE),
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "audit", "key"), CAUGHT, ids=[kind for kind, *_ in CAUGHT])
def test_caught(tmp_path: Path, kind: str, audit: str, key: str) -> None:
    report = audited(audit, run(tmp_path / "claimed", kind), tmp_path / "audit")
    assert report.ruling is Ruling.FAIL, told(report)
    assert key in {finding.key for finding in errors(report.findings)}, told(report)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kind", "heavy"), [("lulls", "1"), ("ahead", "10")])
def test_knowledge_of_the_schedule_is_caught(tmp_path: Path, kind: str, heavy: str) -> None:
    """Working ahead is worth it with a heavier model."""
    trace = run(tmp_path / "trace", "", Scenario.SERVER, heavy=heavy).file("samples.npy")
    claimed = run(tmp_path / "claimed", kind, Scenario.SERVER, heavy=heavy, trace=str(trace))
    report = audited("order", claimed, tmp_path / "audit", pairs=5)
    assert report.ruling is Ruling.FAIL, told(report)
    assert speed.at(speed.LATENCY, speed.HALF) in {finding.key for finding in errors(report.findings)}, told(report)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "good"), [("", True), ("early", False), ("drop", False)])
def test_plain_accuracy_catches_what_answers_wrongly_in_every_mode(tmp_path: Path, kind: str, good: bool) -> None:
    spec = RunSpec(
        "digits", "cheat", Scenario.SINGLE_STREAM, TestMode.ACCURACY, tmp_path / "run", options={"kind": kind}
    )
    done, round_ = launch(spec), rounds.load("mini")
    scores = assess.scores_of(done, registry.load(registry.BENCHMARKS, "digits"), round_)
    found = accuracy.judge(scores, round_.rules("digits"), division=Division.CLOSED)
    assert bool(errors(found)) is not good


@pytest.mark.timeout(900)
def test_an_edited_claim_is_not_reproduced(tmp_path: Path) -> None:
    """Ten times the rate, written into the log: seen on the most restless machine."""
    honest = run(tmp_path / "honest", scenario=Scenario.OFFLINE)
    shutil.copytree(honest.path, tmp_path / "claimed")
    log = tmp_path / "claimed" / "mlperf_log_detail.txt"
    key = '"key": "result_samples_per_second", "value": '
    before, _, after = log.read_text().partition(key)
    value, comma, rest = after.partition(",")
    log.write_text(f"{before}{key}{10 * float(value)}{comma}{rest}")
    report = audited("reproduce", Run(log.parent), tmp_path / "audit", pairs=5)
    assert report.ruling is Ruling.FAIL, told(report)
    assert report.sentence.startswith("not reproduced")


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("audit", ["reproduce", "perturb", "cache", "order"])
def test_honest_runs_are_left_alone(tmp_path: Path, audit: str) -> None:
    """At most one false alarm in 20 audits, over all scenarios in turn; undecided ones accuse nobody."""
    rulings: Counter[str] = Counter()
    alarms = []
    for number, scenario in zip(range(HONEST), itertools.cycle(OWN), strict=False):
        claimed = run(tmp_path / f"claimed-{number}", scenario=scenario)
        report = audited(audit, claimed, tmp_path / f"audit-{number}")
        rulings[report.ruling.value] += 1
        alarms += [f"{scenario} {told(report)}"] if report.ruling is Ruling.FAIL else []
        print(f"{number + 1} {scenario} {report.ruling}: {told(report)}; so far {dict(rulings)}", flush=True)
        shutil.rmtree(tmp_path / f"audit-{number}")
    assert rulings[Ruling.FAIL.value] <= 1, alarms


def test_a_cheat_is_no_plug_in_of_the_suite() -> None:
    """It is found here by its entry point alone."""
    assert "cheat" in registry.names(registry.BACKENDS)
