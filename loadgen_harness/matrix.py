"""One benchmark across backends, precisions, batch sizes, threads and replicas: cells, run in interleaved rounds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from loadgen_harness import campaign, model_files, plan, registry
from loadgen_harness.errors import BadInput, SuiteError
from loadgen_harness.plan import Job
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, RunSpec, TestMode

ACCURACY = "accuracy"
GIVE_UP = 2  # failures in a row after which a cell is left alone
Item = TypeVar("Item")


@dataclass(frozen=True)
class Axes:
    """What varies; each of `backends` is a name with options, "torch:mode=compile,threads=1"."""

    backends: tuple[str, ...]
    precisions: tuple[str, ...] = ("",)
    batches: tuple[int, ...] = (1, 32)
    threads: tuple[int, ...] = ()
    replicas: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Cell:
    """One combination: its label among the others and the run it stands for (output and mode left open)."""

    label: str
    spec: RunSpec

    @property
    def slug(self) -> str:
        """Its folder's name."""
        options = [f"{key}={value}" for key, value in sorted(self.spec.options.items())]
        parts = [self.spec.backend, *options, self.spec.precision, f"b{self.spec.max_batch}", f"r{self.spec.replicas}"]
        return "_".join(re.sub(r"[^\w.=+-]", "-", part) for part in parts)


@dataclass
class Progress:
    """What the rounds have done so far."""

    runs: dict[str, dict[int, Run]] = field(default_factory=dict)  # label -> round -> finished run
    accuracy: dict[str, Run] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    wall_s: dict[str, list[float]] = field(default_factory=dict)


def cells(base: RunSpec, axes: Axes) -> tuple[list[Cell], list[tuple[str, str]]]:
    """All combinations that can be run, and those that cannot with the reason; raises BadInput where none is left."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, base.benchmark)
    made: dict[str, RunSpec] = {}
    refused: list[tuple[str, str]] = []
    for name, precision, batch, threads, replicas in itertools.product(
        axes.backends, axes.precisions, axes.batches, axes.threads or (0,), axes.replicas
    ):
        backend, own, options = parse_backend(name)
        if axes.threads:
            options = {**options, "threads": str(threads)}
        varied: dict[str, Any] = {"backend": backend, "options": options, "max_batch": batch, "replicas": replicas}
        spec = replace(base, precision=own or precision, **varied)
        try:
            spec = replace(spec, precision=_precision(benchmark, spec))
        except SuiteError as error:
            refused.append((_label(name, spec), str(error)))
            continue
        made.setdefault(_label(name, spec), spec)
    if not made:
        raise BadInput(f"nothing of this matrix can be run: {refused[0][1]}")
    constant = _constant(list(made))
    return [Cell(_short(label, constant), spec) for label, spec in made.items()], refused


def parse_backend(text: str) -> tuple[str, str, dict[str, str]]:
    """Name, precision and options of "torch@fp32:mode=compile"; raises BadInput for an option without a value."""
    whole, _, rest = text.partition(":")
    name, _, precision = whole.partition("@")
    options: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise BadInput(f"backend {text!r}: write its options as {name}:key=value,key=value.")
        options[key] = value
    return name, precision, options


def _precision(benchmark: Benchmark, spec: RunSpec) -> str:
    backend = registry.load(registry.BACKENDS, spec.backend)(spec.options)
    return model_files.choose(benchmark, backend, spec.precision).precision


def _label(name: str, spec: RunSpec) -> str:
    threads = f"t{spec.options['threads']}" if "threads" in spec.options and "threads=" not in name else ""
    whole, colon, options = name.partition(":")
    parts = (
        f"{whole.partition('@')[0]}{colon}{options}",
        spec.precision,
        f"b{spec.max_batch}",
        threads,
        f"r{spec.replicas}",
    )
    return "|".join(parts)


def _constant(labels: Sequence[str]) -> tuple[bool, ...]:
    """Which of a label's parts are the same everywhere; the backend is always said."""
    columns = list(zip(*(label.split("|") for label in labels), strict=True))
    return (False, *(len(set(column)) == 1 for column in columns[1:]))


def _short(label: str, constant: Sequence[bool]) -> str:
    parts = zip(label.split("|"), constant, strict=True)
    return " ".join(part for part, same in parts if part and not same)


def interleaved(items: Sequence[Item], rounds: int) -> Iterator[tuple[int, Item]]:
    """(round, item): A B, B A, A B, … so that a steady drift of the machine weighs on all items alike."""
    for number in range(rounds):
        for item in items if number % 2 == 0 else reversed(items):
            yield number, item


def jobs(chosen: Sequence[Cell], rounds: int, output: Path, *, accuracy: bool = True) -> list[tuple[Cell, int, Job]]:
    """Every run in its order: accuracy runs first (round -1), one for all batch sizes of a way, then the rounds."""
    found: list[tuple[Cell, int, Job]] = []
    if accuracy:
        found = [(cell, -1, _job(cell, output / "runs" / cell.slug / ACCURACY, ACCURACY)) for cell in _alone(chosen)]
    for number, cell in interleaved(chosen, rounds):
        folder = output / "runs" / cell.slug / f"{number + 1:02}"
        found.append((cell, number, _job(cell, folder, f"{number + 1}/{rounds}")))
    return found


def _alone(chosen: Sequence[Cell]) -> list[Cell]:
    """Cells that differ in more than batch size and replicas: what others answer, these have answered."""
    first: dict[tuple[Any, ...], Cell] = {}
    for cell in chosen:
        first.setdefault(way(cell.spec), cell)
    return list(first.values())


def way(spec: RunSpec) -> tuple[Any, ...]:
    """What decides about answers: backend, options but threads, precision, device."""
    options = sorted((key, value) for key, value in spec.options.items() if key != "threads")
    return spec.backend, tuple(options), spec.precision, spec.device


def _job(cell: Cell, folder: Path, what: str) -> Job:
    mode = TestMode.ACCURACY if what == ACCURACY else TestMode.PERFORMANCE
    spec = replace(cell.spec, output=folder, mode=mode)
    return Job(f"{cell.label} {what}", spec, plan.estimate_s(spec))


def execute(
    planned: Sequence[tuple[Cell, int, Job]], meters: Sequence[str], on_step: Callable[[campaign.Step], None]
) -> Progress:
    """Run what is not finished; a cell that fails is tried again in the next round, and given up after two failures."""
    stale = [job.key for _, _, job in planned if campaign.finished(job) and not campaign.matches(job)]
    if stale:
        raise BadInput(f"the folder holds {stale[0]!r} of another matrix: choose another --output or move it away.")
    state, failed = Progress(), dict.fromkeys((cell.label for cell, _, _ in planned), 0)
    power = campaign.hooks(meters)
    for place, (cell, number, job) in enumerate(planned):
        if failed[cell.label] >= GIVE_UP and not campaign.finished(job):
            continue
        left = _left_s(planned[place:], state, failed)
        outcome = _outcome(
            job, power, campaign.reporter(on_step, campaign.Step(job, place + 1, len(planned), None, left))
        )
        failed[cell.label] = 0 if outcome.run else failed[cell.label] + 1
        _note(state, cell.label, number, outcome)
    return state


def _outcome(job: Job, power: Sequence[Any], report: Callable[[Any], None]) -> campaign.Outcome:
    if campaign.finished(job):
        return campaign.Outcome(job, Run(job.spec.output), resumed=True)
    try:
        return campaign.attempt(job, power, report)
    except SuiteError as error:  # what one backend cannot do must not end the others' comparison
        return campaign.Outcome(job, None, error=str(error))


def _note(state: Progress, label: str, number: int, outcome: campaign.Outcome) -> None:
    faults = state.faults.setdefault(label, [])
    if outcome.run is None:
        faults.append(outcome.error)
        return
    state.wall_s.setdefault(label, []).append(float(outcome.run.meta.get("wall_s") or outcome.job.estimate_s))
    if number < 0:
        state.accuracy[label] = outcome.run
    elif outcome.run.valid:
        state.runs.setdefault(label, {})[number] = outcome.run
    else:
        faults.append(f"round {number + 1} INVALID: {'; '.join(outcome.run.invalid_reasons)}")


def _left_s(rest: Sequence[tuple[Cell, int, Job]], state: Progress, failed: Mapping[str, int]) -> float:
    """Seconds left, by what the cells' runs took so far where there are any."""
    total = 0.0
    for cell, _, job in rest:
        if campaign.finished(job) or failed[cell.label] >= GIVE_UP:
            continue
        known = state.wall_s.get(cell.label)
        total += sum(known) / len(known) if known else job.estimate_s
    return total
