"""What lies at a path and what was found there: a tree, a run of ours, logs, an Endpoints result, a power session."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audit import accuracy, alone, official, power_check
from audit.audited import Answer, Audited
from audit.finding import Finding, Severity
from audit.result_rows import WORDS, Figures, qualities
from audit.stated import user_conf_of
from loadgen_harness import assess, console, registry, rounds, verbs
from loadgen_harness.errors import BadInput, SuiteError
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Round, Scenario
from power import energy, session
from power.figures import ends
from submissions import check as checks
from submissions import endpoint, layout, provenance, recognise, stated, unverified
from submissions import official as checkers
from submissions.recognise import Kind
from submissions.subject import Subject

SIMULATED = "power-simulated"
CHECKERS = {"new": checkers.official, "old": checkers.official_old}


@dataclass(frozen=True)
class Asked:
    """What the command line says about every path that it names."""

    round: str = ""
    benchmark: str = ""
    scenario: Scenario | None = None
    checkout: Path | None = None
    backup: Path | None = None

    @property
    def said(self) -> alone.Said:
        """What of it concerns a folder that stands alone."""
        return alone.Said(self.round, self.benchmark, self.scenario)


def every(paths: Sequence[Path], asked: Asked) -> list[Audited]:
    """All that was named, and several trees held against each other: a run may stand in one of them alone."""
    audits = [audit(path, asked) for path in paths]
    trees = [each for each in audits if each.kind == Kind.TREE.value]
    if len(trees) < 2:
        return audits
    copies = checks.between(
        [(each.path, _round_of(each.path, asked.round)[0]) for each in trees], verbs.by_checker_name()
    )
    return [
        replace(each, findings=(*each.findings, *copies.get(each.path, ()))) if each in trees else each
        for each in audits
    ]


def refuse(kinds: Mapping[Path, Kind], asked: Asked) -> None:
    """Say what of the command line has no meaning for what it names; raises BadInput where nothing is left of it."""
    trees = [path for path, kind in kinds.items() if kind is Kind.TREE]
    if trees and (asked.benchmark or asked.scenario):
        option = "--benchmark" if asked.benchmark else "--scenario"
        raise BadInput(f"{option} says what a folder of logs is; in the tree {trees[0]} the folders' names say it.")
    if asked.backup and len(trees) != 1:
        raise BadInput("--backup holds the whole accuracy logs of one submission tree: give that tree with it.")
    if asked.backup and not asked.backup.is_dir():
        raise BadInput(f"{asked.backup} is no folder: give the sealed backup that `lgh submit` or the truncation made.")
    for path in kinds if asked.checkout else ():
        if path not in trees:
            console.note(f"{path} is no submission tree, which is all that the official checkers read: not asked.")


def audit(path: Path, asked: Asked) -> Audited:
    """Everything that is found at a path; raises BadInput or UnknownName where it cannot be audited."""
    return _BY_KIND[recognise.kind_of(path)](path, asked)


def _tree(path: Path, asked: Asked) -> Audited:
    """A submission tree under its round."""
    round_, why = _round_of(path, asked.round)
    checked = checks.checked(path, round_, verbs.by_checker_name(), backup=asked.backup)
    judged_by = round_.name if round_ else ""
    expected = WORDS[official.verdicts(checked.findings).official] if judged_by in official.ROUNDS else ""
    places = (place.path.relative_to(path) for place in layout.scenarios(path))
    return Audited(
        path=path,
        kind=Kind.TREE.value,
        round=judged_by,
        round_from=why,
        findings=checked.findings,
        figures=stated.of_tree(checked.subjects),
        results=tuple(dict.fromkeys(layout.result_of(place.as_posix()) for place in places)),
        place=layout.result_of,
        predicted=expected,
        unverified=unverified.of_tree(checked.subjects, asked.backup),
        answers=tuple(_answers(path, asked.checkout, round_)) if asked.checkout else (),
    )


def _round_of(tree: Path, asked: str) -> tuple[Round | None, str]:
    """The round of a tree and how it is known; None where there is no file of it."""
    if asked:
        return rounds.load(asked), "as asked"
    own = rounds.load(rounds.OWN).benchmarks
    names = {place.benchmark for place in layout.scenarios(tree)}
    if names and names <= set(own):
        return rounds.load(rounds.OWN), "its benchmarks are this suite's own"
    name, why = provenance.guess(tree)
    if name in rounds.official():
        return rounds.load(name), why
    if not names:
        return rounds.load(rounds.official()[-1]), "the newest"
    return None, f"{name}: {why}" if name else why


def _answers(tree: Path, checkout: Path, round_: Round | None) -> list[Answer]:
    """What the official checkers say of a tree, by the rules of its round."""
    version = round_.checker_version if round_ else ""
    if not version:
        raise BadInput("the official checker knows no such round: use --round v6.1 with --official.")
    console.note(f"asking the official checkers in {checkout} about {tree}")
    logs = _logs_beside(tree)
    found = []
    for name, ask in CHECKERS.items():
        log = logs / f"{name}.log"
        if said := ask(tree, checkout, version, log=log):
            answer = Answer(name, said.word, said.results, said.reasons, said.by_result, said.errors_of, said.fault)
            found.append(replace(answer, log=str(log)))
    return found


def _logs_beside(tree: Path) -> Path:
    """A folder for what the official checkers print: beside the tree, else where temporary files go."""
    beside = tree.resolve().with_name(f"{tree.resolve().name}.official")
    try:
        beside.mkdir(exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="lgh-official-"))
    return beside


def _run(path: Path, asked: Asked) -> Audited:
    """A run folder of ours under the round that it names; one whose run.json cannot be used counts as logs alone."""
    run = Run(path)
    try:
        name = asked.round or str(run.spec["round"])
        benchmark: Benchmark = registry.load(registry.BENCHMARKS, str(run.spec["benchmark"]))
        round_ = rounds.load(name)
    except (KeyError, SuiteError) as reason:
        if asked.round:
            rounds.load(asked.round)
        audited = _logs(path, asked)
        fault = f"names no {reason.args[0]}" if isinstance(reason, KeyError) else str(reason)
        return replace(audited, findings=(_unusable(fault), *audited.findings))
    place = f"{run.spec['benchmark']}/{assess.run_scenario(run)}"
    return Audited(
        path=path,
        kind=Kind.RUN.value,
        round=round_.name,
        round_from="as asked" if asked.round else "run.json says so",
        findings=(*assess.findings_of(run, round_=round_), *user_conf_of(run, benchmark, round_)),
        unverified=unverified.of_logs(run, alone=False),
        figures={place: _stated(run, benchmark, round_)},
        results=(place,),
        place=lambda file: place,
    )


def _stated(run: Run, benchmark: Benchmark, round_: Round) -> Figures:
    """What one folder of logs states; the accuracy where an accuracy.txt lies in it."""
    result = run.result
    text = run.read(accuracy.FILE, stated.MOST_TEXT).decode("utf-8", "replace")
    rules = round_.benchmarks.get(benchmark.name, checks.NO_RULES)
    said = qualities(text, benchmark.metrics, rules, None) if text.strip() else ()
    value, unit = (result.value, result.unit) if result else (None, "")
    return Figures(value=value, unit=unit, accuracy=said, power=_power(run))


def _power(run: Run) -> str:
    """Mean power of a run, of an estimate the ends of its interval; empty where nothing was measured."""
    drawn = energy.summarize(run)
    if drawn is None:
        return ""
    return f"{ends(*drawn.interval(drawn.mean_w))} W {drawn.word}" if drawn.estimated else f"{drawn.mean_w:.4g} W"


def _unusable(fault: str) -> Finding:
    return Finding(
        check="readable",
        severity=Severity.ERROR,
        file=recognise.RECORD,
        key="spec",
        found=fault,
        wanted="the record of a run",
        clause="this suite: run.json says what a run is and what its files were",
        fix="Restore the file or repeat the run; only LoadGen's logs were judged.",
    )


def _logs(path: Path, asked: Asked) -> Audited:
    """LoadGen's logs that somebody else made."""
    judged = alone.check(Run(path), asked.said)
    return _lone(path, asked, judged, (*power_check.simulated(path, files=power_check.LONE), *judged.findings))


def _endpoint(path: Path, asked: Asked) -> Audited:
    """A result of MLPerf Endpoints; its scores and audits are judged where the benchmark is named."""
    run = Run(path)
    judged = alone.check(run, asked.said)
    subject = Subject(
        place=layout.ScenarioFolder(path.resolve()),
        tree=path.resolve(),
        benchmark=judged.benchmark,
        scenario=asked.scenario or Scenario(run.scenario or Scenario.OFFLINE),
        rules=judged.round.benchmarks.get(judged.benchmark.name, checks.NO_RULES),
        round=judged.round,
        division=Division.CLOSED,
    )
    beside = endpoint.check(subject) if asked.benchmark else ()
    return _lone(path, asked, judged, (*endpoint.judged(judged.findings, subject), *beside))


def _lone(path: Path, asked: Asked, judged: alone.Judged, found: tuple[Finding, ...]) -> Audited:
    place = f"{judged.benchmark.name}/{asked.scenario or Run(path).scenario or 'unknown'}"
    kind = recognise.kind_of(path)
    return Audited(
        path=path,
        kind=kind.value,
        unverified=unverified.of_logs(Run(path), alone=True) if kind is Kind.LOGS else (),
        round=judged.round.name,
        round_from=judged.round_from,
        findings=found,
        figures={place: _stated(Run(path), judged.benchmark, judged.round)},
        results=(place,),
        place=lambda file: place,
    )


def _session(path: Path, asked: Asked) -> Audited:
    """A power session that stands alone: the eleven items, and both runs where they were kept as folders of ours."""
    home = recognise.session_of(path) or path
    runs = {f"runs/{phase}": path / "runs" / phase for phase in session.ORDER}
    kept = {name: folder for name, folder in runs.items() if (folder / recognise.RECORD).is_file()}
    judged = {name: _run(folder, asked) for name, folder in kept.items()}
    judged = judged or {(home / "run_1").relative_to(path).as_posix(): _logs(home / "run_1", asked)}
    last = list(judged.values())[-1]
    of_runs = (
        replace(each, file=f"{name}/{each.file}")
        for name, audited in judged.items()
        for each in audited.findings
        if each.check != SIMULATED
    )
    power = _power(Run(home / "run_1"))
    return replace(
        last,
        path=path,
        kind=Kind.SESSION.value,
        findings=(*power_check.check(home, path), *of_runs),
        figures={name: replace(each, power=power) for name, each in last.figures.items()},
    )


_BY_KIND: Mapping[Kind, Callable[[Path, Asked], Audited]] = {
    Kind.TREE: _tree,
    Kind.RUN: _run,
    Kind.LOGS: _logs,
    Kind.ENDPOINTS: _endpoint,
    Kind.SESSION: _session,
}
