"""Attempts at a run of a campaign: each is in the journal and keeps its folder; nothing valid is ever replaced."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from loadgen_harness import claim, durable
from loadgen_harness.errors import BadInput, SuiteError
from loadgen_harness.journal import Event, Journal
from loadgen_harness.launch import digests
from loadgen_harness.plan import Job
from loadgen_harness.run import Run

FAILED, INVALID = "failed", "invalid"
LEAST = 16 << 20  # bytes free before a run begins: its logs would break off
KEPT = re.compile(r" \((?:log|all of it) kept in ")
SAID = 500  # bytes of a removed log that the journal keeps
SCRATCH = ".tax-*"  # null runs of the harness tax


@dataclass(frozen=True)
class Policy:
    """What is done about runs that go wrong.

    `retries` is for runs that crash or hang, `retry_invalid` for those that are, or can only become, INVALID.
    """

    retries: int = 0
    retry_invalid: int = 0
    early_stop: bool = True


@dataclass(frozen=True)
class Outcome:
    """How one job of a campaign ended: a Run, taken over or new, or the sentence of its failure."""

    job: Job
    run: Run | None
    error: str = ""
    resumed: bool = False
    doomed: bool = False  # stopped because it could not become valid

    @property
    def ok(self) -> bool:
        """Whether it finished as a valid run."""
        return self.run is not None and self.run.valid


def finished(job: Job) -> bool:
    """Whether the job's run folder is whole: run.json is written last."""
    return (job.spec.output / "run.json").exists()


def wanted(job: Job, policy: Policy) -> bool:
    """Whether anything is to be run: it is not finished, or INVALID runs are tried again."""
    return not finished(job) or bool(policy.retry_invalid and not Run(job.spec.output).valid)


def settled(job: Job, once: Callable[[], Outcome], log: Journal, policy: Policy, say: Callable[[str], None]) -> Outcome:
    """Run a job until it is valid or no attempt is left; an INVALID run of before counts as the first attempt."""
    left = {FAILED: policy.retries, INVALID: policy.retry_invalid}
    if finished(job):
        left[INVALID] -= 1
        _again(job, INVALID, "; ".join(Run(job.spec.output).invalid_reasons), log, say)
    while True:
        outcome = _attempt(job, once, log)
        if outcome.ok:
            return outcome
        kind = INVALID if outcome.run or outcome.doomed else FAILED
        if not left[kind]:
            return outcome
        left[kind] -= 1
        _again(job, kind, outcome.error or "; ".join(outcome.run.invalid_reasons if outcome.run else ()), log, say)


def _attempt(job: Job, once: Callable[[], Outcome], log: Journal) -> Outcome:
    """One attempt, in the journal before and after; the folder of the last failed one gets a number."""
    refuse_full(log.path.parent)
    durable.aside(failed(job), FAILED)
    number = log.attempts(job.key) + 1
    log.note(Event.START, job.key, attempt=number)
    outcome = once()
    if outcome.run is None:
        log.note(Event.FAILURE, job.key, attempt=number, error=outcome.error, doomed=outcome.doomed)
    else:
        log.note(Event.FINISH, job.key, attempt=number, valid=outcome.ok, wall_s=outcome.run.meta.get("wall_s"))
    return outcome


def _again(job: Job, kind: str, why: str, log: Journal, say: Callable[[str], None]) -> None:
    """Make room for another attempt: what the last one left keeps its folder under a number."""
    left = job.spec.output if finished(job) else failed(job)
    kept = durable.aside(left, INVALID if finished(job) else FAILED)
    if job.session and left == job.spec.output:
        durable.aside(job.session, INVALID)  # the second: where a kill comes between, the run is placed anew from it
    why = KEPT.split(why)[0]
    log.note(Event.RETRY, job.key, why=why, kept=kept.name if kept else "")
    say(f"{job.key} is tried again, {kind} so far: {why}")


def refuse_full(folder: Path) -> None:
    """Raise BadInput where a folder has no room left for another run."""
    if durable.room(folder) < LEAST:
        left = durable.room(folder) / 1e6
        raise BadInput(f"only {left:.1f} MB are free in {folder}: free some space; the same command goes on from here.")


def failed(job: Job) -> Path:
    """Where launch(), or a power session, keeps what is left of a failed attempt."""
    folder = job.session or job.spec.output
    return folder.with_name(f"{folder.name}.{FAILED}")


def recover(jobs: Iterable[Job], matches: Callable[[Job, Path], bool], log: Journal) -> None:
    """Look after what a killed campaign left: a run that only lacked its name gets it, the rest is removed.

    `matches` says whether a folder's run is the one that a job wants.
    """
    for job in jobs:
        _cut_off(job, log)
        with claim.abandoned(job.spec.output) as folder:
            if folder is None:
                continue
            if not finished(job) and _whole(folder) and matches(job, folder):
                durable.settle(folder)
                durable.move(folder, job.spec.output)
                log.note(Event.RECOVERY, job.key, taken_over=job.spec.output.name)
            else:
                said = _last_line(folder / "child.log")
                shutil.rmtree(folder)
                log.note(Event.RECOVERY, job.key, removed=folder.name, said=said)
    for folder in {job.spec.output.parent for job in jobs}:
        _sweep(folder)


def _cut_off(job: Job, log: Journal) -> None:
    """Keep what a killed campaign left of a power session as a failed attempt."""
    if job.session is None:
        return
    with claim.abandoned(job.session) as folder:
        if folder is not None:
            durable.aside(failed(job), FAILED)
            durable.move(folder, failed(job))
            log.note(Event.RECOVERY, job.key, kept=failed(job).name)


def _last_line(log: Path) -> str:
    """The last that a run printed before its campaign was killed."""
    lines = log.read_bytes()[-SAID:].decode("utf-8", errors="replace").split("\n") if log.exists() else []
    return next((line for line in reversed(lines) if line.strip()), "")


def _whole(folder: Path) -> bool:
    """Whether every file is as run.json, which is written last, says."""
    return bool(written := Run(folder).meta.get("digests")) and written == digests(folder)


def _sweep(folder: Path) -> None:
    """Remove scratch folders in which nobody works."""
    for scratch in folder.glob(SCRATCH):
        busy = False
        for partial in scratch.glob(".*.partial"):
            with claim.abandoned(scratch / partial.name[1:].removesuffix(".partial")) as free:
                busy = busy or free is None
        if not busy:
            shutil.rmtree(scratch)
    for torn in folder.glob("[!.]*/run.json.partial"):  # the harness tax was being written into a finished run
        torn.unlink()


def stopped(log: Journal, error: BaseException) -> None:
    """Note why a campaign ends before its last run, where that can be noted at all."""
    why = str(error) if isinstance(error, SuiteError) else type(error).__name__
    log.note(Event.STOP, why=why)
