"""One run again and again, run-01, run-02, …: `lgh run --repeats`, resumable like a campaign."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from loadgen_harness import attempts, campaign, console, plan, verbs
from loadgen_harness.campaign import Outcome, Step
from loadgen_harness.errors import BadInput
from loadgen_harness.launch import Hook
from loadgen_harness.plan import MOST_REPEATS, Job
from loadgen_harness.run import Run
from loadgen_harness.types import RunSpec

DEFAULT = 10  # what energy figures are given of, as in the AI Energy Score
GIVE_UP = 2  # failures in a row


def count(text: str) -> int:
    """The number after --repeats; raises BadInput for one that is none."""
    if not text.isdigit() or not 1 <= int(text) <= MOST_REPEATS:
        raise BadInput(
            f"--repeats wants a whole number from 1 to {MOST_REPEATS}, not {text!r}; alone it stands for {DEFAULT}."
        )
    return int(text)


def run(args: argparse.Namespace, spec: RunSpec) -> int:
    """All repetitions of `spec` that are not finished yet, then their energy where meters ran beside them."""
    meters = [name for name in args.meters.split(",") if name]
    wanted = jobs(spec, count(args.repeats))
    _fit(wanted, meters)
    with console.live(len(wanted)) as show:
        found: list[Outcome] = []
        for outcome in execute(wanted, campaign.hooks(meters), lambda step: _tell(show, step)):
            found.append(outcome)
            if not outcome.resumed:
                console.say(line(outcome), "" if outcome.ok else "red")
    resumed = sum(outcome.resumed for outcome in found)
    if resumed:
        console.note(f"{resumed} finished runs were taken over from {spec.output}.")
    done = [outcome.run for outcome in found if outcome.run]
    if meters and done:
        from loadgen_harness import energetics

        energetics.brief(done)
    return verbs.OK if len(done) == len(wanted) and all(each.ok for each in found) else verbs.FOUND


def jobs(spec: RunSpec, repeats: int) -> list[Job]:
    """The runs, each in a folder of its own below the spec's output."""
    about = plan.estimate_s(spec)
    names = [f"run-{number:02}" for number in range(1, repeats + 1)]
    key = f"{spec.benchmark}/{spec.scenario}"
    return [Job(f"{key} {name}", replace(spec, output=spec.output / name), about) for name in names]


def _fit(wanted: Sequence[Job], meters: Sequence[str]) -> None:
    """Raise BadInput where the folder holds something else than earlier repetitions of the same run."""
    folder: Path = wanted[0].spec.output.parent
    if (folder / "run.json").exists():
        raise BadInput(f"{folder} is a run itself: choose another --output for its repetitions.")
    for job in wanted:
        if not campaign.finished(job):
            continue
        if not campaign.matches(job):
            raise BadInput(f"{job.spec.output} was run with other settings: choose another --output or move it away.")
        if meters and not (job.spec.output / "power" / "meters.json").exists():
            raise BadInput(f"{job.spec.output} was run without a meter: choose another --output or move it away.")


def execute(wanted: Sequence[Job], hooks: Sequence[Hook], on_step: Callable[[Step], None]) -> Iterator[Outcome]:
    """Each job's outcome, the finished ones taken over; two failures in a row end it, a full disk raises BadInput."""
    took: list[float] = []
    failures = 0
    for place, job in enumerate(wanted):
        if campaign.finished(job):
            yield Outcome(job, Run(job.spec.output), resumed=True)
            continue
        about = sum(took) / len(took) if took else job.estimate_s
        left = about * sum(not campaign.finished(later) for later in wanted[place:])
        step = Step(job, place + 1, len(wanted), None, left)
        _refuse_full(job)
        outcome = campaign.attempt(job, hooks, campaign.reporter(on_step, step))
        failures = 0 if outcome.run else failures + 1
        if outcome.run:
            took.append(float(outcome.run.meta.get("wall_s") or job.estimate_s))
        yield outcome
        if outcome.run is None:
            _refuse_full(job)
        if failures == GIVE_UP:
            return


def _refuse_full(job: Job) -> None:
    folder = job.spec.output.parent
    if folder.is_dir():  # made with its first run
        attempts.refuse_full(folder)


def line(outcome: Outcome) -> str:
    """How one repetition ended."""
    if outcome.run is None:
        return f"  failed   {outcome.job.key}: {outcome.error}"
    why = "" if outcome.ok else f": {'; '.join(outcome.run.invalid_reasons)}"
    return f"  {'ok' if outcome.ok else 'INVALID':8} {outcome.job.key}  {verbs.describe_result(outcome.run)}{why}"


def _tell(show: Callable[..., None], step: Step) -> None:
    show(step.job.key, step.status, step.number - 1, step.left_s)
