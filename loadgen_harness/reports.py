"""Results of run folders that belong to no campaign, for `lgh report RUN…`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from audit import accuracy
from loadgen_harness import assess, console, registry, rounds
from loadgen_harness.errors import BadInput, SuiteError
from loadgen_harness.run import DETAIL, SUMMARY, Run
from loadgen_harness.types import Benchmark, Division, Round, Score
from submissions.record import RunResult

LEFTOVERS = (".failed", ".partial")
MARKS = (DETAIL, SUMMARY, "run.json")
ACCURACY = "AccuracyOnly"


def runs_in(paths: Sequence[Path]) -> list[Run]:
    """Every run at or below some folders, each once; raises BadInput for a path that holds none."""
    found: dict[Path, Run] = {}
    for path in paths:
        if not path.is_dir():
            raise BadInput(f"{path} is no folder: give run folders, or a plan with --campaign FOLDER.")
        folders = list(_folders(path))
        if not folders:
            raise BadInput(f"{path} holds no run: give a folder with {DETAIL}, or one above such folders.")
        found |= {folder.resolve(): Run(folder) for folder in folders}
    return list(found.values())


def _folders(path: Path) -> Iterator[Path]:
    """Run folders at or below a path in the order of their names; nothing below a run is one."""
    if any((path / name).is_file() for name in MARKS):
        yield path
        return
    for each in sorted(path.iterdir()):
        if each.is_dir() and not each.is_symlink() and each.suffix not in LEFTOVERS:
            yield from _folders(each)


def results(runs: Sequence[Run]) -> list[RunResult]:
    """What each run says; a performance run has the accuracy of the accuracy run beside it that is of its own kind."""
    scored = {run.path: _scores(run) for run in runs if run.mode == ACCURACY}
    behind = {_kind(run): run for run in runs if scored.get(run.path)}
    return [_result(run, behind.get(_kind(run)), scored) for run in runs]


def _result(run: Run, behind: Run | None, scored: dict[Path, tuple[Score, ...]]) -> RunResult:
    known = _known(run)
    if known is None:
        name = run.path.resolve().name
        return RunResult(run, Benchmark(name, name, "", {}, (), "", "", (), ()))
    benchmark, round_ = known
    scores = scored[behind.path] if behind else ()
    found = list(assess.findings_of(run))
    if scores:
        found += accuracy.judge(scores, round_.rules(benchmark.name), division=Division(run.spec["division"]))
    targets = round_.rules(benchmark.name).targets
    return RunResult(run, benchmark, scores, targets, assess.energy_text(run), {}, tuple(found))


def _known(run: Run) -> tuple[Benchmark, Round] | None:
    """Benchmark and round of a run of ours, None for a folder that other programs wrote."""
    if not run.spec.get("benchmark") or not run.spec.get("round"):
        return None
    return registry.load(registry.BENCHMARKS, str(run.spec["benchmark"])), rounds.load(str(run.spec["round"]))


def _kind(run: Run) -> tuple[str, ...]:
    """What a performance run and the accuracy run behind it share."""
    keys = ("benchmark", "scenario", "round", "backend", "precision", "device", "test")
    return tuple(str(run.spec.get(key) or "") for key in keys)


def _scores(run: Run) -> tuple[Score, ...]:
    """The accuracy of an accuracy run of ours; empty, with a note, where its data are not here."""
    known = _known(run)
    if known is None:
        return ()
    try:
        return assess.scores_of(run, *known)
    except SuiteError as error:
        console.note(f"{run.path}: no accuracy without the labels: {error}")
        return ()
