"""The verb `matrix`: runs a benchmark across backends and shows which differences are real."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness import assess, campaign, console, matrix, registry, rounds, system, verbs
from loadgen_harness.errors import BadInput, SuiteError
from loadgen_harness.matrix import Axes, Cell
from loadgen_harness.plan import Job
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, RunSpec, Scenario, Score, TestMode
from submissions import comparison, comparison_report
from submissions.comparison import Comparison, Way


def matrix_(args: argparse.Namespace) -> int:
    """Run what is not finished yet, compare, write table and plots."""
    base = _base(args)
    axes = Axes(
        backends=_backends(args.backends),
        precisions=tuple(filter(None, args.precisions.split(","))) or ("",),
        batches=_numbers("--batch", args.batch),
        threads=_numbers("--threads", args.threads) if args.threads else (),
        replicas=_numbers("--replicas", args.replicas),
    )
    if args.runs < 1:
        raise BadInput("--runs must be at least 1.")
    cells, refused = matrix.cells(base, axes)
    for label, reason in refused:
        console.note(f"left out {label.replace('|', ' ')}: {reason}")
    baseline = _baseline(args.baseline, cells)
    planned = matrix.jobs(cells, args.runs, args.output, accuracy=args.accuracy)
    if args.dry_run:
        _show(planned)
        return verbs.OK
    verbs.prepare(*(cell.spec for cell in cells))
    state = _run(planned, args.meters.split(","))
    found = comparison.compare(_ways(cells, state, baseline), baseline)
    page = comparison_report.write(found, _context(base, args, cells), args.output)
    _tell(found, page)
    return verbs.OK if all(way.runs for way in found.ways) else verbs.FOUND


def _base(args: argparse.Namespace) -> RunSpec:
    """What all cells share; durations below the round's are the open division's right."""
    named = {
        "target_qps": args.target_qps,
        "min_duration": args.min_duration_ms,
        "min_query_count": args.min_query_count,
    }
    overrides = {key: value for key, value in named.items() if value is not None}
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, args.benchmark)
    spec = RunSpec(
        args.benchmark, benchmark.backends[0], Scenario(args.scenario), TestMode.PERFORMANCE, args.output,
        round=args.round or "mini", division=Division.OPEN if overrides else Division.CLOSED,
    )  # fmt: skip
    rounds.load(spec.round).limits(spec.benchmark, spec.scenario)
    chosen = {"device": args.device, "worker": args.worker, "max_wait_ms": args.max_wait_ms, "overrides": overrides}
    return replace(spec, data_dir=args.data_dir, **chosen)


def _backends(words: Sequence[str]) -> tuple[str, ...]:
    """Names, comma separated where they carry no options."""
    names = [name for word in words for name in ([word] if ":" in word else word.split(",")) if name]
    if not names:
        raise BadInput("--backends names none: see `lgh list`.")
    return tuple(dict.fromkeys(names))


def _numbers(flag: str, text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdigit() and int(word) > 0 for word in words):
        raise BadInput(f"{flag} wants positive whole numbers separated by commas, not {text!r}.")
    return tuple(dict.fromkeys(map(int, words)))


def _baseline(wanted: str, cells: Sequence[Cell]) -> str:
    """The cell that others are compared with: the first whose label begins so, by default the first of all."""
    for cell in cells:
        if cell.label.startswith(wanted):
            return cell.label
    raise BadInput(f"--baseline {wanted!r} is none of this matrix: {', '.join(cell.label for cell in cells)}.")


def _show(planned: Sequence[tuple[Cell, int, Job]]) -> None:
    rows = [(job.key, console.clock(job.estimate_s), "yes" if campaign.finished(job) else "") for _, _, job in planned]
    console.table("Runs", ("run", "about>", "finished"), rows)
    left = sum(job.estimate_s for _, _, job in planned if not campaign.finished(job))
    console.say(f"{len(planned)} runs, about {console.clock(left)} left, and what the backends take to load")


def _run(planned: Sequence[tuple[Cell, int, Job]], meters: Sequence[str]) -> matrix.Progress:
    with console.live(len(planned)) as show:

        def on_step(step: campaign.Step) -> None:
            show(step.job.key, step.status, step.number - 1, step.left_s)

        return matrix.execute(planned, meters, on_step)


def _ways(cells: Sequence[Cell], state: matrix.Progress, baseline: str) -> list[Way]:
    """Each cell with its runs and the accuracy that was measured for its way of answering."""
    answered = {matrix.way(cell.spec): state.accuracy[cell.label] for cell in cells if cell.label in state.accuracy}
    first = next(cell for cell in cells if cell.label == baseline)
    reference = answered.get(matrix.way(first.spec))
    scores = {key: _scores(run) for key, run in answered.items()}
    return [
        Way(
            label=cell.label,
            runs=state.runs.get(cell.label, {}),
            scores=scores.get(matrix.way(cell.spec), ()),
            agreement=_agreement(answered.get(matrix.way(cell.spec)), reference),
            faults=(*state.faults.get(cell.label, ()), *_remarks(state.runs.get(cell.label, {}).values())),
        )
        for cell in cells
    ]


def _scores(run: Run) -> tuple[Score, ...]:
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, str(run.spec["benchmark"]))
    try:
        return assess.scores_of(run, benchmark, rounds.load(str(run.meta["round"])))
    except SuiteError as error:
        console.note(f"no accuracy of {run.path}: {error}")
        return ()


def _agreement(run: Run | None, reference: Run | None) -> str:
    """How many responses equal the baseline's, of a batch task their first number (the answer, before runners-up).

    Nothing for responses of floats, which are never quite equal.
    """
    if run is None or reference is None:
        return ""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, str(run.spec["benchmark"]))
    dtype = np.dtype(benchmark.response_dtype)
    if np.issubdtype(dtype, np.floating):
        return ""
    size = None if benchmark.streaming else dtype.itemsize
    mine, theirs = run.responses, reference.responses
    return f"{sum(mine.get(index, b'')[:size] == data[:size] for index, data in theirs.items())} of {len(theirs)}"


def _remarks(runs: Iterable[Run]) -> list[str]:
    """What the backend said that a reader must know, once for all rounds."""
    return list(dict.fromkeys(line for run in runs for line in assess.remarks(run)))


def _context(base: RunSpec, args: argparse.Namespace, cells: Sequence[Cell]) -> dict[str, str]:
    seen: dict[str, Any] = system.describe()
    machine = f"{seen.get('host_processor_model_name', '?')}, {seen.get('host_processor_core_count', '?')} cores"
    return {
        "title": f"{base.benchmark} {base.scenario}: {len(cells)} ways to run",
        "machine": machine,
        "operating system": str(seen.get("operating_system", "")),
        "Python": platform.python_version(),
        "rounds": f"{args.runs}, interleaved",
        "round's rules": f"{base.round}, {base.division}" + (f", {dict(base.overrides)}" if base.overrides else ""),
    }


def _tell(found: Comparison, page: Path) -> None:
    metric = next((score.metric for way in found.ways for score in way.scores), "")
    heads = ["way", f"{found.main.title}, {found.main.unit}>", "ratio to baseline>", "difference", f"{metric}>"]
    rows = [_brief(found, way, metric) for way in comparison_report.ordered(found)]
    console.table("Matrix", heads if metric else heads[:-1], rows)
    for each in found.ranked:
        if each.verdict == "noise":
            console.say(f"  {comparison_report.sentence(found, each)}", "dim")
    for line in found.refused:
        console.note(line)
    for way in found.ways:
        for fault in way.faults:
            console.note(f"{way.label}: {fault}")
    console.say(f"report  {page}")


def _brief(found: Comparison, way: Way, metric: str) -> list[str]:
    """The cells that fit a terminal; the rest stands in the report."""
    cells = comparison_report.row(found, way)[:4]
    score = next((f"{each.value:.4g}" for each in way.scores if each.metric == metric), "")
    return [*cells, score] if metric else cells
