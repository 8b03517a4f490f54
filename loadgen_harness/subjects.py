"""What lies at a path and what was found there: a tree, a run of ours, LoadGen's logs, an Endpoints result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from audit import accuracy, alone, official, power_check
from audit.audited import Answer, Audited
from audit.finding import Finding, Severity
from audit.result_rows import WORDS, Figures, qualities
from loadgen_harness import assess, console, registry, rounds, verbs
from loadgen_harness.errors import BadInput, SuiteError
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, Round, Scenario
from power import energy
from submissions import check as checks
from submissions import endpoint, layout, provenance, recognise, stated
from submissions import official as checkers
from submissions.recognise import Kind
from submissions.subject import Subject

NEW, OLD = "new", "old"


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
    old = checkers.official_old(tree, checkout, version)
    said = {NEW: checkers.official(tree, checkout, version), **({OLD: old} if old else {})}
    return [Answer(name, each.word, each.results, each.reasons) for name, each in said.items()]


def _run(path: Path, asked: Asked) -> Audited:
    """A run folder of ours under the round that it names; one whose run.json cannot be used counts as logs alone."""
    run = Run(path)
    try:
        name = asked.round or str(run.spec["round"])
        registry.load(registry.BENCHMARKS, str(run.spec["benchmark"]))
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
        findings=tuple(assess.findings_of(run, round_=round_)),
        figures={place: _stated(run, registry.load(registry.BENCHMARKS, str(run.spec["benchmark"])), round_)},
        results=(place,),
        place=lambda file: place,
    )


def _stated(run: Run, benchmark: Benchmark, round_: Round) -> Figures:
    """What one folder of logs states; the accuracy where an accuracy.txt lies in it."""
    result, drawn = run.result, energy.summarize(run)
    text = run.read(accuracy.FILE, stated.MOST_TEXT).decode("utf-8", "replace")
    rules = round_.benchmarks.get(benchmark.name, checks.NO_RULES)
    said = qualities(text, benchmark.metrics, rules, None) if text.strip() else ()
    power = f"{drawn.mean_w:.4g} W {drawn.word}".rstrip() if drawn else ""
    value, unit = (result.value, result.unit) if result else (None, "")
    return Figures(value=value, unit=unit, accuracy=said, power=power)


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
    return Audited(
        path=path,
        kind=recognise.kind_of(path).value,
        round=judged.round.name,
        round_from=judged.round_from,
        findings=found,
        figures={place: _stated(Run(path), judged.benchmark, judged.round)},
        results=(place,),
        place=lambda file: place,
    )


_BY_KIND: Mapping[Kind, Callable[[Path, Asked], Audited]] = {
    Kind.TREE: _tree,
    Kind.RUN: _run,
    Kind.LOGS: _logs,
    Kind.ENDPOINTS: _endpoint,
}
