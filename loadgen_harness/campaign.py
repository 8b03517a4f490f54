"""Runs a plan over launch(): resumable, one run after another, with live progress and the time left."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadgen_harness import registry, rounds
from loadgen_harness.errors import BadInput, MissingDependency, RunFailed
from loadgen_harness.launch import Hook, Status, launch
from loadgen_harness.plan import Job, Plan, jobs
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, TestMode

IGNORED = ("output", "hang_timeout_s")  # of a spec, when asking whether a finished run is the one wanted


@dataclass(frozen=True)
class Outcome:
    """How one job of a campaign ended: a Run, taken over or new, or the sentence of its failure."""

    job: Job
    run: Run | None
    error: str = ""
    resumed: bool = False

    @property
    def ok(self) -> bool:
        """Whether it finished as a valid run."""
        return self.run is not None and self.run.valid


@dataclass(frozen=True)
class Step:
    """Progress of a campaign: this job's status, how many are done, and the seconds left by estimate."""

    job: Job
    number: int
    total: int
    status: Status | None
    left_s: float


def execute(
    plan: Plan, output: Path, *, only: str = "", on_step: Callable[[Step], None] = lambda step: None
) -> Iterator[Outcome]:
    """Run every job of `plan` whose key matches `only`, skipping finished ones, and yield each outcome.

    A failed run does not stop the campaign; Ctrl-C does, and the same command takes it up again.
    """
    chosen = [job for job in jobs(plan, output) if not only or fnmatch.fnmatch(job.key, f"*{only}*")]
    if not chosen:
        raise BadInput(f"no run of the plan matches --only {only!r}: see them with --dry-run.")
    stale = [job.key for job in chosen if finished(job) and not matches(job)]
    if stale:
        raise BadInput(f"{output} holds {stale[0]} from another plan: choose another --output or move it away.")
    power = hooks(plan.meters)
    for number, job in enumerate(chosen, start=1):
        left = [later.estimate_s for later in chosen[number - 1 :] if not finished(later)]
        if finished(job):
            yield Outcome(job, Run(job.spec.output), resumed=True)
            continue
        yield _attempt(job, power, _reporter(on_step, Step(job, number, len(chosen), None, sum(left))))


def outcomes(plan: Plan, output: Path) -> list[Outcome]:
    """What a campaign's folder holds now, without running anything."""
    return [Outcome(job, Run(job.spec.output), resumed=True) for job in jobs(plan, output) if finished(job)]


def finished(job: Job) -> bool:
    """Whether the job's run folder is whole: run.json is written last."""
    return (job.spec.output / "run.json").exists()


def matches(job: Job) -> bool:
    """Whether the finished run was made from the same spec."""
    wanted = {key: _plain(value) for key, value in asdict(job.spec).items() if key not in IGNORED}
    found = {key: value for key, value in Run(job.spec.output).spec.items() if key not in IGNORED}
    return wanted == found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return str(value) if isinstance(value, str | Path) else value


def _attempt(job: Job, power: Sequence[Hook], report: Callable[[Status], None]) -> Outcome:
    if job.spec.mode is TestMode.ACCURACY:
        power = ()  # no energy belongs to an untimed run
    try:
        return Outcome(job, launch(job.spec, audit_config=audit_config(job), hooks=power, on_progress=report))
    except RunFailed as error:
        return Outcome(job, None, error=str(error))


def audit_config(job: Job) -> str:
    """The text of a compliance test's audit.config, empty for other runs."""
    if not job.test:
        return ""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, job.spec.benchmark)
    text: str = registry.load(registry.TESTS, job.test.lower()).config(benchmark, rounds.load(job.spec.round))
    return text


def hooks(meters: Sequence[str]) -> list[Hook]:
    """The power hook for some meters; `auto` stands for the best that works here, measured before estimated."""
    names = [best_meter() if name == "auto" else name for name in meters if name]
    if not names:
        return []
    from power import session

    return [session.record(names)]


def best_meter() -> str:
    """The first meter that works here, a measurement before an estimate."""
    found: list[tuple[bool, str]] = []
    for name in registry.names(registry.METERS):
        try:
            meter = registry.load(registry.METERS, name)
            if not meter.available():
                found.append((meter.estimated, name))
        except MissingDependency:
            continue
    if not found:
        raise BadInput("no power meter works here: run without --meters, or see `lgh doctor`.")
    return min(found)[1]


def _reporter(on_step: Callable[[Step], None], step: Step) -> Callable[[Status], None]:
    def report(status: Status) -> None:
        left = max(step.left_s - status.elapsed_s, 0.0)
        on_step(Step(step.job, step.number, step.total, status, left))

    return report
