"""Checks one result of a tree: its files, each of its runs under the rules, its tests, and all of it together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from audit import alone, rules
from audit.case import Case, Claim
from audit.finding import Finding, Severity
from loadgen_harness.run import Run
from loadgen_harness.types import Limits, Scenario, TestMode
from submissions import endpoint, inferred, layout, network, powered, proofs, strays, structure, verified, weights
from submissions.structure import GUIDE, error
from submissions.subject import Subject
from submissions.system import MEASUREMENTS, retrained

# Check -> the figure in the round file that it is about; sources that differ on it are quoted.
FIGURES = {
    "accuracy": "accuracy.{key}",
    "performance-sample-count": "performance_sample_count",
    "query-count": "{scenario}.min_query_count",
    "samples-per-query": "{scenario}.min_query_count",
    "percentile": "{scenario}.percentile",
    "token-latencies": "token_latencies",
    "equal-issue": "equal_issue",
    "latency": "{scenario}.{latency}",
    "latency-setting": "{scenario}.{latency}",
    "inferred": "inferred.{scenario}",
}


def check(subject: Subject) -> Iterator[Finding]:
    """Everything that is wrong with one result, in the words of the round's own sources where these differ."""
    yield from (quoted(finding, subject) for finding in _everything(subject))


def quoted(finding: Finding, subject: Subject) -> Finding:
    """The finding with what rules, checker and mlperf.conf say, where they differ on its figure."""
    key = FIGURES.get(finding.check, "").format(
        key=finding.key, scenario=subject.scenario.value, latency=_latency(finding.key)
    )
    if finding.check == "samples-per-query" and subject.scenario is not Scenario.OFFLINE:
        return finding  # the width of a query is not the count of Offline's samples
    known = (*subject.rules.disagreements, *subject.round.disagreements)
    said = next((each for each in known if each.key == key), None)
    return replace(finding, clause=f"{finding.clause}; sources differ: {said}") if said else finding


def _everything(subject: Subject) -> Iterator[Finding]:
    place = subject.place
    if subject.known:
        yield from _files(subject)
        yield from strays.of_result(subject)
    yield from _run(subject, place.performance, TestMode.PERFORMANCE)
    if place.accuracy.path.is_dir() or subject.needs_accuracy:
        yield from _run(subject, place.accuracy, TestMode.ACCURACY)
    if place.endpoint:
        yield from endpoint.check(subject) if subject.known else ()
        return
    if subject.known and (place.accuracy.path.is_dir() or subject.needs_accuracy):
        yield from proofs.accuracy(place.accuracy, subject)
    yield from verified.accuracy(place.accuracy, subject)
    yield from inferred.check(subject)
    yield from network.check(subject)
    yield from powered.simulated(subject)
    yield from _power(subject) if subject.known else powered.of_old(subject)
    yield from _tests(subject)


def _tests(subject: Subject) -> Iterator[Finding]:
    """The tests that the round demands and those that are there; one that it does not know is only named."""
    wanted = subject.rules.tests if subject.closed and subject.needs_accuracy else ()
    present = [test.name for test in subject.place.tests()]
    for name in sorted({*wanted, *present}):
        test = subject.place.test(name)
        if subject.known and name not in proofs.PASS_LINES:
            what = (name, "present", "a test of the round")
            yield replace(
                error("compliance", subject.name(test.path), what, "compliance tests of the round", "leave it out"),
                severity=Severity.NOTE,
            )
            continue
        if subject.known:
            yield from proofs.compliance(test, subject)
        yield from verified.test(test, subject)
        if subject.readable(test.performance.detail):
            yield from _run(subject, test.performance, TestMode.PERFORMANCE, name)


def _files(subject: Subject) -> Iterator[Finding]:
    """The small files beside the logs."""
    place = subject.place
    for path in (place.user_conf, place.readme):
        if path == place.user_conf and place.endpoint:
            continue
        if not subject.readable(path) or not structure.said(path):
            what = ("file", _said_of(path), "a text")
            yield error("structure", subject.name(path), what, f"{GUIDE}: files of a result", "write it")
    content, fault = structure.document(place.measurements, subject.tree)
    name, clause = subject.name(place.measurements), f"{GUIDE}: measurements.json"
    if content is None:
        yield error("measurements", name, ("file", fault, "JSON"), clause, "write the file again")
        return
    yield from structure.repeated(place.measurements, subject.tree, "measurements")
    yield from weights.stated(subject, content)
    for key in MEASUREMENTS:
        if not content.get(key):
            what = (key, repr(content.get(key, "missing")), "a meaningful text")
            yield error("measurements", name, what, clause, "state it")
    if subject.closed and content.get("retraining"):
        yield from _retraining(str(content["retraining"]), name)


def _said_of(path: Path) -> str:
    """Why a small file says nothing."""
    if not path.is_file():
        return "missing"
    return "nothing but blanks" if path.stat().st_size else "empty"


def _retraining(stated: str, name: str) -> Iterator[Finding]:
    """The closed division allows none; what is neither yes nor no is for a reviewer."""
    told = retrained(stated)
    if told is not False:
        clause = "inference_rules.adoc, Closed Division: calibration is allowed, retraining is not"
        fix = "submit to the open division, or write No where nothing was retrained"
        found = error("measurements", name, ("retraining", repr(stated), "'No'"), clause, fix)
        yield found if told else replace(found, severity=Severity.WARNING)


def _run(subject: Subject, logs: layout.Logs, mode: TestMode, test: str = "") -> Iterator[Finding]:
    """One folder of LoadGen logs: complete, of this scenario, and by the round's rules."""
    if subject.place.endpoint:
        yield from _endpoint(subject, mode)
        return
    missing = [path for path in (logs.detail, logs.summary) if not subject.readable(path) or not path.stat().st_size]
    for path in missing:
        what = ("file", _absence(path), "LoadGen's log")
        clause = f"{GUIDE}: LoadGen's logs"
        yield error("structure", subject.name(path), what, clause, "copy it from the run, or repeat the run")
    run = None if logs.detail in missing else subject.run(logs)
    if run:
        claim = _claim(subject, run, mode, test)
        for finding in _judged(subject, run, claim):
            yield _placed(finding, logs, subject)


def _endpoint(subject: Subject, mode: TestMode) -> Iterator[Finding]:
    """A result of MLPerf Endpoints: one run holds performance and accuracy, judged once."""
    run = subject.performance
    if run and mode is TestMode.PERFORMANCE:
        yield from endpoint.judged(_judged(subject, run, _claim(subject, run, mode, "")), subject)


def _claim(subject: Subject, run: Run, mode: TestMode, test: str) -> Claim:
    """What the folder says that the run is; an inferred result's logs are of the scenario that was measured."""
    measured = run.scenario and run.scenario == inferred.source(subject)
    both = run.mode == TestMode.SUBMISSION and mode is TestMode.PERFORMANCE
    return Claim(
        scenario=Scenario(run.scenario) if measured else subject.scenario,
        mode=TestMode.SUBMISSION if both else mode,
        division=subject.division,
        test=test,
    )


def _judged(subject: Subject, run: Run, claim: Claim) -> Iterator[Finding]:
    """By the round's rules, or where these are not known by what always holds."""
    if subject.limited:
        yield from rules.check(run, subject.benchmark, subject.round, claim)
        return
    yield from alone.timeless(Case(run, subject.benchmark, subject.round, claim, Limits()))


def _placed(finding: Finding, logs: layout.Logs, subject: Subject) -> Finding:
    """A run's finding with its file named from the root of the tree."""
    path = logs.path / finding.file if finding.file else logs.path
    if ".." in path.parts or not (logs.path / finding.file).exists():
        path = logs.path / Path(finding.file).name
    return replace(finding, file=subject.name(path))


def _absence(path: Path) -> str:
    if path.is_symlink():
        return "a link"
    return "empty" if path.is_file() else "missing"


def _power(subject: Subject) -> Iterator[Finding]:
    """The official power logs are complete where there are any."""
    place = subject.place
    if not place.power.is_dir() or place.power.is_symlink():
        return
    clause = "power_measurement.adoc: files of a power submission"
    wanted = [place.power / name for name in layout.POWER_FILES]
    wanted += [logs.path / layout.POWER_RUN_FILE for logs in (place.performance, place.ranging)]
    for path in wanted:
        if not path.is_file():
            what = ("file", "missing", "the official power log")
            yield error("power", subject.name(path), what, clause, "repeat the power session")
    for extra in sorted(set(place.power.iterdir()) - set(wanted)):
        what = ("file", "present", "absent")
        yield error("power", subject.name(extra), what, f"{clause}, exact list", "remove it")
    yield from powered.check(subject)


def _latency(key: str) -> str:
    """The limit in the round file that a latency's key is held to."""
    kinds = {"ttft_ms": ("first_token", "ttft"), "tpot_ms": ("time_per_output_token", "tpot")}
    return next((name for name, parts in kinds.items() if any(part in key for part in parts)), "target_latency_ms")
