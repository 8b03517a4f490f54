"""Reports: results of run folders that belong to no campaign, and where a report may stand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from audit import accuracy
from loadgen_harness import assess, console, durable, registry, rounds
from loadgen_harness.errors import BadInput, SuiteError, refused
from loadgen_harness.run import DETAIL, SUMMARY, Run
from loadgen_harness.types import Benchmark, Division, Round, Score
from power.surroundings import NONE_GIVEN, Surroundings
from submissions import layout, report_data
from submissions.record import RunResult
from submissions.report import ENDINGS, report

NAME = "report"
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


def place(folder: Path) -> Path:
    """`folder`, if a report may stand there: raises BadInput inside a run, and where the files' names are taken.

    A finished run is never written to; a report of this suite's is made anew.
    """
    run = next((each for each in (folder, *folder.resolve().parents) if is_run(each)), None)
    if run is not None:
        raise BadInput(f"{run} is a run, to which nothing is added: name another folder with --output.")
    there = [path for path in (folder / f"{NAME}{ending}" for ending in ENDINGS) if path.exists()]
    if there and not report_data.written(folder / f"{NAME}.json"):
        raise BadInput(
            f"{there[0]} is there and no report of ours: move it away, or name another folder with --output."
        )
    return folder


def is_run(folder: Path) -> bool:
    """Whether a folder is a run's, ours or LoadGen's own."""
    return any((folder / name).is_file() for name in MARKS)


def _folders(path: Path) -> Iterator[Path]:
    """Run folders at or below a path in the order of their names; nothing below a run is one."""
    if is_run(path):
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
        name = _foreign(run.path.resolve())
        return RunResult(run, Benchmark(name, name, "", {}, (), "", "", (), ()))
    benchmark, round_ = known
    scores = scored[behind.path] if behind else ()
    found = list(assess.findings_of(run))
    if scores:
        found += accuracy.judge(scores, round_.rules(benchmark.name), division=Division(run.spec["division"]))
    targets = round_.rules(benchmark.name).targets
    return RunResult(run, benchmark, scores, targets, assess.energy_text(run), {}, tuple(found))


def _foreign(path: Path) -> str:
    """What a run that names no benchmark is called: by its place in a submission's tree, else by its folder."""
    divisions = {each.value for each in Division}
    places = (path.parts[n:] for n, part in enumerate(path.parts) if part in divisions)
    named = (layout.result_of("/".join(place)).split("/") for place in places)
    return next((parts[3] for parts in named if len(parts) == 5), path.name)


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


def write(
    runs: Sequence[Run],
    results: Sequence[RunResult],
    folder: Path,
    around: Surroundings = NONE_GIVEN,
    *,
    campaign: bool = True,
) -> Path:
    """Write report.html, .md, .json and .csv, anew where they are there; returns the page's path."""
    page = place(folder) / f"{NAME}.html"
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".report-", dir=folder) as scratch:
            made = report(runs, results, Path(scratch) / page.name, around, campaign=campaign)
            durable.put_all({page.with_suffix(each): made.with_suffix(each).read_bytes() for each in ENDINGS})
    except BaseException as error:
        if new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        if isinstance(error, OSError):
            raise refused(error, folder) from error
        raise
    return page
