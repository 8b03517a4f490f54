"""Checks a submission tree: its structure and every log in it. Stricter than the official checker, and never crashes.

`official` runs the official one beside it. A check yields Findings; an empty tree is an error, not a success.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from audit import rules
from audit.case import Claim
from audit.finding import Finding, Severity
from loadgen_harness.errors import UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Round, Rules, Scenario, Suite, TestMode
from submissions import layout, proofs, structure
from submissions.official import OfficialVerdict, official
from submissions.structure import error
from submissions.subject import Subject
from submissions.system import MEASUREMENTS

__all__ = ["OfficialVerdict", "check", "official"]

INFERRED = {  # scenario in the log -> folders that may hold it besides its own (rules 9)
    "SingleStream": ("MultiStream", "Offline"),
    "MultiStream": ("Offline",),
}


def check(tree: Path, round_: Round, benchmarks: Mapping[str, Benchmark]) -> Iterator[Finding]:
    """Everything that is wrong with the submission in `tree`; `benchmarks` are looked up by their checker_name."""
    yield from structure.files(tree)
    for home in layout.submitters(tree):
        yield from structure.submitter(home, tree)
        for system in layout.folders(home.results):
            for folder in layout.folders(system):
                yield from _benchmark(home, folder, tree, (round_, benchmarks))
    if next(layout.scenarios(tree), None) is None:
        what = ("results", "0", "at least one")
        yield error("structure", tree.name, what, "v6.1 §12: an empty tree must not pass", "check the path of the tree")


def _benchmark(
    home: layout.SubmitterFolder, folder: Path, tree: Path, known: tuple[Round, Mapping[str, Benchmark]]
) -> Iterator[Finding]:
    """One benchmark of one system: is it known, are its scenarios those of the suite, is each result right."""
    round_, benchmarks = known
    internal = layout.internal_name(structure.mapping(home).get(folder.name, folder.name))
    benchmark = next((b for name, b in benchmarks.items() if layout.internal_name(name) == internal), None)
    demands = round_.benchmarks.get(benchmark.name) if benchmark else None
    if benchmark is None or demands is None:
        what = ("benchmark", folder.name, ", ".join(sorted(benchmarks)))
        yield error(
            "structure",
            folder.relative_to(tree),
            what,
            f"{round_.name} benchmarks",
            "rename the folder, or (open) map it in model_mapping.json",
        )
        return
    division = Division(home.division)
    if division is not Division.OPEN:
        yield from _suite(home, folder, tree, demands)
    for place in map(layout.ScenarioFolder, layout.folders(folder)):
        try:
            scenario = Scenario(place.scenario)
        except UnknownName as reason:
            what = ("scenario", place.scenario, ", ".join(scenario.value for scenario in Scenario))
            yield error("structure", place.path.relative_to(tree), what, "v6.1 §2", str(reason))
            continue
        yield from _result(Subject(place, tree, benchmark, scenario, demands, round_, division))


def _suite(home: layout.SubmitterFolder, folder: Path, tree: Path, demands: Rules) -> Iterator[Finding]:
    """Are all required scenarios there, and no others?"""
    described, _ = structure.document(home.system(folder.parent.name))
    kind = str((described or {}).get("system_type", ""))
    suites = _suites(kind, demands)
    name, clause = folder.relative_to(tree), f"v6.1 §5 scenarios of {kind or 'an unknown system type'}"
    if not suites:
        what = ("system_type", kind or "missing", ", ".join(demands.suites))
        yield error("suite", name, what, clause, "submit the benchmark in a suite that has it")
        return
    required = {scenario for suite in suites for scenario in suite.required}
    allowed = required | {s for suite in suites for s in (*suite.optional, *suite.any_of)}
    names = {each.name.lower() for each in layout.folders(folder)}
    present = {scenario for scenario in Scenario if scenario.value.lower() in names}
    for scenario in sorted(required - present):
        what = ("scenario", "missing", scenario.value)
        yield error("suite", name, what, clause, f"run {scenario.value} too, or infer it")
    for scenario in sorted(present - allowed):
        what = (scenario.value, "present", "absent")
        yield error("suite", name, what, clause, "remove it: the checker fails the whole benchmark")
    for suite in suites:
        if suite.any_of and not present & set(suite.any_of):
            what = ("scenario", "missing", " or ".join(s.value for s in suite.any_of))
            yield error("suite", name, what, clause, f"run {suite.any_of[0].value} too")


def _suites(kind: str, demands: Rules) -> list[Suite]:
    """The suites of a system type: its own, or those of both halves of "datacenter,edge"."""
    parts = kind.split(",")
    whole = demands.suites.get(kind) or demands.suites.get(",".join(reversed(parts)))
    return [whole] if whole else [demands.suites[part] for part in parts if part in demands.suites]


def _result(subject: Subject) -> Iterator[Finding]:
    place = subject.place
    yield from _files(subject)
    yield from _run(subject, place.performance, TestMode.PERFORMANCE)
    if place.accuracy.path.is_dir() or subject.needs_accuracy:
        yield from _run(subject, place.accuracy, TestMode.ACCURACY)
        yield from proofs.accuracy(place.accuracy, subject)
    yield from _power(subject)
    wanted = subject.rules.tests if subject.closed and subject.needs_accuracy else ()
    present = [test.path.name for test in place.tests()]
    for test in sorted({*wanted, *present}):
        yield from proofs.compliance(place.test(test), subject)
        if place.test(test).performance.detail.exists():
            yield from _run(subject, place.test(test).performance, TestMode.PERFORMANCE, test)


def _files(subject: Subject) -> Iterator[Finding]:
    """The small files beside the logs (rules 2 and 3.2)."""
    place = subject.place
    for path in (place.user_conf, place.readme):
        if not path.is_file() or not path.stat().st_size:
            what = ("file", "empty" if path.is_file() else "missing", "a text")
            yield error("structure", subject.name(path), what, "v6.1 §2", "write it")
    content, fault = structure.document(place.measurements)
    if content is None:
        what = ("file", fault, "JSON")
        yield error("measurements", subject.name(place.measurements), what, "v6.1 §3.2", "write the file again")
        return
    for key in MEASUREMENTS:
        if not content.get(key):
            what = (key, repr(content.get(key, "missing")), "a meaningful text")
            yield error("measurements", subject.name(place.measurements), what, "v6.1 §3.2", "state it")


def _run(subject: Subject, logs: layout.Logs, mode: TestMode, test: str = "") -> Iterator[Finding]:
    """One folder of LoadGen logs: complete, of this scenario, and by the round's rules."""
    missing = [path for path in (logs.detail, logs.summary) if not path.is_file() or not path.stat().st_size]
    for path in missing:
        what = ("file", "empty" if path.is_file() else "missing", "LoadGen's log")
        yield error("structure", subject.name(path), what, "v6.1 §2", "copy it from the run, or repeat the run")
    if logs.detail in missing:
        return
    run = Run(logs.path)
    inferred = subject.scenario.value in INFERRED.get(run.scenario, ())
    claim = Claim(
        scenario=Scenario(run.scenario) if inferred else subject.scenario,
        mode=TestMode.SUBMISSION if run.mode == TestMode.SUBMISSION and mode is TestMode.PERFORMANCE else mode,
        division=subject.division,
        test=test,
    )
    for finding in rules.check(run, subject.benchmark, subject.round, claim):
        yield _placed(finding, logs, subject)


def _placed(finding: Finding, logs: layout.Logs, subject: Subject) -> Finding:
    """A run's finding with its file named from the root of the tree."""
    path = logs.path / Path(finding.file).name if finding.file else logs.path
    return Finding(**{**vars(finding), "file": subject.name(path)})


def _power(subject: Subject) -> Iterator[Finding]:
    """The official power logs are complete where there are any (rules 10.1)."""
    place = subject.place
    if not place.power.is_dir():
        return
    wanted = [place.power / name for name in layout.POWER_FILES]
    wanted += [logs.path / layout.POWER_RUN_FILE for logs in (place.performance, place.ranging)]
    for path in wanted:
        if not path.is_file():
            what = ("file", "missing", "the official power log")
            yield error("power", subject.name(path), what, "v6.1 §10.1", "repeat the power session")
    for extra in sorted(set(place.power.iterdir()) - set(wanted)):
        what = ("file", "present", "absent")
        yield Finding("power", Severity.ERROR, subject.name(extra), *what, "v6.1 §10.1 exact list", "remove it")
