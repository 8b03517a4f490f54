"""Checks a submission tree: its structure and every log in it. Stricter than the official checker, and never crashes.

`official` runs the official one beside it. A check yields Findings; an empty tree is an error, not a success.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audit import across, duplicates, known
from audit.finding import Finding, Severity
from audit.official import judged
from loadgen_harness import rounds
from loadgen_harness.errors import UnknownName
from loadgen_harness.types import Benchmark, Division, Round, Rules, Scenario, Seeds
from submissions import layout, provenance, results, sealed, strays, structure, suite, weights
from submissions.evidence import evidence
from submissions.official import OfficialVerdict, official
from submissions.structure import GUIDE, error
from submissions.subject import Subject

__all__ = ["OfficialVerdict", "check", "checked", "official", "subjects"]

ONLINE = "online"  # what the endpoints harness calls Server
UNKNOWN = Round(name="unknown", seeds=Seeds(0, 0, 0), benchmarks={})
NO_RULES = Rules(targets=(), limits={}, suites={})


@dataclass(frozen=True)
class _Tree:
    """A tree under one round, with the benchmarks that may occur in it by the checker's name; results as they come."""

    path: Path
    round: Round
    benchmarks: Mapping[str, Benchmark]
    subjects: list[Subject] = field(default_factory=list)

    def name(self, path: Path) -> str:
        """A path as findings name it."""
        return layout.shown(path, self.path)


@dataclass(frozen=True)
class Checked:
    """What is wrong in a tree, and its results, each of whose files has been read once."""

    findings: tuple[Finding, ...]
    subjects: list[Subject]


def check(
    tree: Path,
    round_: Round | None = None,
    benchmarks: Mapping[str, Benchmark] | None = None,
    *,
    backup: Path | None = None,
) -> Iterator[Finding]:
    """Everything that is wrong with the submission in `tree`; without a round the one that its logs' seeds belong to.

    `benchmarks` (by their checker_name) are judged beside the round's official ones, in place of one of the same name.
    Of a round without a file only validity and consistency are judged, and a note says so. With the sealed `backup` of
    its whole accuracy logs, the truncated ones are verified against these.
    """
    yield from checked(tree, round_, benchmarks, backup=backup).findings


def checked(
    tree: Path,
    round_: Round | None = None,
    benchmarks: Mapping[str, Benchmark] | None = None,
    *,
    backup: Path | None = None,
) -> Checked:
    """The same with the results themselves."""
    found, asked = _asked(tree, round_)
    walk = _walk(tree, found, benchmarks)
    everything = [*_everything(walk), *(sealed.verify(tree, backup) if backup else ())]
    return Checked((*asked, *judged(everything, round_=found.checker_version or found.name)), walk.subjects)


def subjects(
    tree: Path, round_: Round | None = None, benchmarks: Mapping[str, Benchmark] | None = None
) -> list[Subject]:
    """Every result of a tree whose benchmark the round knows, under its rules; the arguments are those of `check`."""
    walk = _walk(tree, _asked(tree, round_)[0], benchmarks)
    for home in layout.submitters(tree):
        list(_submitter(home, walk))
    return walk.subjects


def between(
    trees: Sequence[tuple[Path, Round | None]], benchmarks: Mapping[str, Benchmark] | None = None
) -> dict[Path, list[Finding]]:
    """Runs of one tree that stand in an earlier one too, where they should be runs of their own, by the tree's path."""
    distinct = {path.resolve(): (path, round_) for path, round_ in reversed(trees)}
    walked = (each for path, round_ in reversed(distinct.values()) for each in subjects(path, round_, benchmarks))
    gathered = [evidence(subject) for subject in walked]
    found: dict[Path, list[Finding]] = {}
    for root, finding in duplicates.between(gathered):
        found.setdefault(root, []).extend(judged([finding]))
    return found


def _walk(tree: Path, round_: Round, benchmarks: Mapping[str, Benchmark] | None) -> _Tree:
    official_ones = known.benchmarks(round_) if round_ is not UNKNOWN else {}
    given = {layout.internal_name(name, round_): benchmark for name, benchmark in (benchmarks or {}).items()}
    return _Tree(tree, round_, {**official_ones, **given})


def _asked(tree: Path, round_: Round | None) -> tuple[Round, list[Finding]]:
    """The round to judge by, and a note where it was guessed or has no rules here."""
    if round_:
        return round_, []
    name, why = provenance.guess(tree)
    if name in rounds.official():
        return rounds.load(name), [_note("round", name, f"guessed: {why}", "give --round if that is wrong")]
    said = f"{name}: {why}" if name else why
    fix = "give --round to judge by the rules of another one"
    return UNKNOWN, [_note("rules", said, "no rules of that round are known: validity and consistency alone", fix)]


def _everything(tree: _Tree) -> Iterator[Finding]:
    if tree.round is not UNKNOWN:
        yield from structure.files(tree.path)
        yield from strays.of_divisions(tree.path)
    for home in layout.submitters(tree.path):
        begun = len(tree.subjects)
        yield from _submitter(home, tree)
        for subject in tree.subjects[begun:]:
            yield from results.check(subject)
    if next(layout.scenarios(tree.path), None) is None:
        what = ("results", "0", "at least one")
        clause = f"{GUIDE}: results; the official checker calls an empty tree OK"
        yield error("structure", tree.path.name, what, clause, "check the path of the tree")
    yield from _together(tree)


def _submitter(home: layout.SubmitterFolder, tree: _Tree) -> Iterator[Finding]:
    """What is wrong around a submitter's results; the results themselves become subjects."""
    if tree.round is not UNKNOWN:
        yield from structure.submitter(home, tree.path)
        yield from strays.of_submitter(home, tree.path)
        yield from _layout(home, tree)
    for stray in home.strays():
        what = ("scenario", stray.name, "a scenario that has results")
        fix = "correct the name, or remove the folder"
        yield error("structure", tree.name(stray), what, f"{GUIDE}: the same folders everywhere", fix)
    for system in layout.folders(home.results):
        for folder in layout.folders(system):
            yield from _benchmark(home, folder, tree)


def _layout(home: layout.SubmitterFolder, tree: _Tree) -> Iterator[Finding]:
    """Settings and tests lie where the round wants them."""
    wanted = {name for name in (tree.round.layout.measurements, tree.round.layout.compliance) if name}
    for name in sorted(set(home.apart) - wanted):
        what = ("layout", f"{name}/ apart", "beside the logs, in results/<system>/<benchmark>/<Scenario>/")
        clause = f"{GUIDE} of {tree.round.name}"
        yield error("structure", tree.name(home.path / name), what, clause, "move its files to their results")


def _benchmark(home: layout.SubmitterFolder, folder: Path, tree: _Tree) -> Iterator[Finding]:
    """One benchmark of one system: is it known, are its scenarios those of the suite; its results become subjects."""
    mapped = structure.mapping(home).get(folder.name, folder.name)
    internal = layout.internal_name(mapped, tree.round)
    benchmark = tree.benchmarks.get(internal)
    demands = tree.round.benchmarks.get(benchmark.name) if benchmark else None
    if tree.round is UNKNOWN:
        benchmark, demands = _stranger(internal), NO_RULES
    if benchmark is None or demands is None:
        yield _unknown(folder, internal, tree)
        return
    division = Division(home.division)
    described, _ = structure.document(home.system(folder.parent.name), tree.path)
    if division is not Division.OPEN and tree.round is not UNKNOWN:
        yield from suite.check(folder, tree.name(folder), described or {}, demands)
    round_ = replace(UNKNOWN, benchmarks={benchmark.name: demands}) if tree.round is UNKNOWN else tree.round
    seen: set[Scenario] = set()
    for place in map(layout.ScenarioFolder, layout.folders(folder)):
        scenario = _scenario(place)
        if scenario is None or scenario in seen:
            yield _misnamed(place, scenario, tree)
            continue
        seen.add(scenario)
        if any(map(structure.closed, {place.path, place.settings, place.compliance})):
            yield _closed(place, tree)
            continue
        tree.subjects.append(Subject(place, tree.path, benchmark, scenario, demands, round_, division))


def _misnamed(place: layout.ScenarioFolder, scenario: Scenario | None, tree: _Tree) -> Finding:
    """A folder that names no scenario, or one that another folder already is."""
    wanted = f"{scenario} once" if scenario else ", ".join(each.value for each in Scenario)
    clause, fix = "inference_rules.adoc, Scenarios", "correct the name, or remove the folder"
    return error("structure", tree.name(place.path), ("scenario", place.scenario, wanted), clause, fix)


def _closed(place: layout.ScenarioFolder, tree: _Tree) -> Finding:
    """A result that nobody but its owner can judge."""
    what = ("closed", "a folder that may not be looked into", "what everybody may read")
    return error("structure", tree.name(place.path), what, GUIDE, f"chmod -R a+rX {tree.name(place.path)}")


def _together(tree: _Tree) -> Iterator[Finding]:
    """What only shows across the files of a result, and across the results of the tree."""
    gathered = [evidence(subject) for subject in tree.subjects]
    for each in gathered:
        yield from across.check(each)
    yield from duplicates.check(gathered)
    yield from duplicates.responses(gathered)
    yield from weights.unlike(tree.subjects)
    yield from sealed.shared(tree.path)


def _unknown(folder: Path, internal: str, tree: _Tree) -> Finding:
    """A benchmark that the round does not have; perhaps another round has it."""
    elsewhere = [name for name in rounds.official() if internal in known.benchmarks(rounds.load(name))]
    fix = "rename the folder, or (open) map it in model_mapping.json"
    if elsewhere:
        fix = f"it belongs to {', '.join(elsewhere)}: choose that round, or leave it out"
    what = ("benchmark", folder.name, ", ".join(sorted(tree.benchmarks)))
    return error("structure", tree.name(folder), what, f"rules, Benchmarks of {tree.round.name}", fix)


def _stranger(name: str) -> Benchmark:
    """A benchmark of a round without rules: its metrics are those of the earliest round that has it."""
    for each in rounds.official():
        if name in (there := known.benchmarks(rounds.load(each))):
            return there[name]
    return replace(next(iter(known.benchmarks(rounds.load(rounds.official()[0])).values())), name=name, metrics=())


def _scenario(place: layout.ScenarioFolder) -> Scenario | None:
    if place.endpoint and place.scenario.lower() == ONLINE:
        return Scenario.SERVER
    try:
        return Scenario(place.scenario)
    except UnknownName:
        return None


def _note(key: str, found: str, wanted: str, fix: str) -> Finding:
    clause = "the seeds of LoadGen are new every round"
    return Finding("round", Severity.NOTE, "", key, found, wanted, clause, fix)
