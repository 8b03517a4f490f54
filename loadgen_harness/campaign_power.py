"""A campaign's official power sessions: each is the first performance run of a result, made by MLCommons' programs.

A session stands in POWER/BENCHMARK/SCENARIO of the campaign, and its testing run, copied, is the campaign's run: power
and performance come from the same run (power_measurement.adoc, Power and Performance Measurement and Reporting), and
of accuracy and compliance runs no power is wanted (there, Power is measured in the Performance phase).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from audit import power_check
from audit.finding import Finding
from loadgen_harness import attempts, claim, cli_run, durable, power_sessions, power_table
from loadgen_harness.attempts import Outcome
from loadgen_harness.errors import BadInput, RunFailed, SuiteError
from loadgen_harness.plan import Job
from loadgen_harness.power_table import PowerTable
from loadgen_harness.run import Run
from power import clock, official, session
from power.measurement import ANALYZER_LOG
from power.official import Checkout
from power.simulator.program import program

Matches = Callable[[Job, Path], bool]  # whether the run in a folder is the one that a job wants
MEASURED = "run_1"  # the folder of the testing run among the official logs


@dataclass(frozen=True)
class Official:
    """What every session of a campaign needs, found in order before the first."""

    table: PowerTable
    checkout: Checkout


def ready(table: PowerTable, jobs: Sequence[Job]) -> Official | None:
    """What the sessions of these jobs need, None where there is none to make; raises BadInput for what is missing."""
    if all(job.session is None or session_of(job) for job in jobs):
        return None
    for key, remedy in power_table.lacking(table):
        raise BadInput(f"[power] of the plan lacks {key}: {remedy}.")
    found = Official(table, official.checkout(Path(table.power_dev)))
    for job in jobs:
        if job.session:
            planned(job, found, ptd=sys.executable if table.simulate else table.ptd)
            break
    if table.local and not Path(table.ptd).is_file():
        raise BadInput(f"[power] of the plan names ptd = {table.ptd!r}, which is not there: give PTDaemon's path.")
    return found


def faults(table: PowerTable, jobs: Sequence[Job]) -> Iterator[tuple[str, str]]:
    """Key and sentence of all that would end the first session of these jobs, clocks and director asked."""
    lacking = list(power_table.lacking(table))
    yield from lacking
    if lacking:
        return
    looks: dict[str, Callable[[], object]] = {"power_dev": lambda: ready(table, jobs)}
    looks["ntp"] = lambda: session.near(clock.ntp_offset_s(table.ntp), f"NTP server {table.ntp}")
    if table.director:
        host, port = power_sessions.director(table.director)
        asked = f"director {table.director}"
        looks["director"] = lambda: session.near(clock.director_offset_s(host, port), asked)
    for key, look in looks.items():
        try:
            look()
        except SuiteError as error:
            yield key, str(error)


def planned(job: Job, found: Official, *, ptd: str) -> session.Plan:
    """The session of a job; raises BadInput."""
    spec = job.spec
    command = [sys.executable, "-m", "loadgen_harness", f"--round={spec.round}", "run", *cli_run.words(spec)]
    output = folder_of(job).resolve()
    return power_sessions.planned(found.table, found.checkout, spec, ptd=ptd, workload=command, output=output)


def folder_of(job: Job) -> Path:
    """Where the session of a job stands; raises BadInput for a job that has none."""
    if job.session is None:
        raise BadInput(f"{job.key} has no power session.")
    return job.session


def session_of(job: Job) -> Path | None:
    """The finished session of a job: it has its final name when client and server had ended in order."""
    return job.session if job.session and job.session.is_dir() else None


def refuse(jobs: Sequence[Job], table: PowerTable, matches: Matches) -> None:
    """Raise BadInput where a folder holds a session, or a run in place of one, that is not what the plan wants."""
    for job in jobs:
        made = session_of(job)
        if job.session and attempts.finished(job) and not made:
            raise BadInput(
                f"{job.spec.output} was run without its power session: move it away, or choose another --output."
            )
        if made and not matches(job, _testing(made)):
            raise BadInput(f"{made} is a session of another plan: choose another --output, or move it away.")
        if made and not table.simulate and any(power_check.simulated(made / session.PERFORMANCE)):
            raise BadInput(f"{made} was made with the simulator: move it and {job.spec.output} away to measure.")
        if made and attempts.finished(job) and _digests(Run(job.spec.output)) != _digests(Run(_testing(made))):
            raise BadInput(f"{job.spec.output} is not the testing run of {made}: move both away to measure again.")


def _digests(run: Run) -> object:
    return run.meta.get("digests")


def _testing(made: Path) -> Path:
    return made / session.RUNS / session.ORDER[1]


def attempt(job: Job, found: Official | None, say: Callable[[str, float], None]) -> Outcome:
    """The testing run of a job's session, which is made where it is not there; `say` takes a step and seconds left.

    A session that broke off is an outcome, an INVALID one where one of its runs was; raises BadInput for what concerns
    every session.
    """
    try:
        if not session_of(job):
            if found is None:
                raise BadInput("[power] of the plan is missing: the session cannot be made.")
            _made(job, found, say)
    except RunFailed as error:
        invalid = _invalid(attempts.failed(job))
        why = f"{invalid} (all of it kept in {attempts.failed(job)})" if invalid else str(error)
        return Outcome(job, None, error=why, doomed=bool(invalid))
    return Outcome(job, place(job))


def _made(job: Job, found: Official, say: Callable[[str, float], None]) -> None:
    def progress(said: str, left_s: float) -> None:
        say("" if said.startswith(" ") else said, left_s)  # the workload's own words stay in logs/client.out

    with ExitStack() as stack:
        ptd = str(stack.enter_context(program())) if found.table.simulate else found.table.ptd
        session.run(planned(job, found, ptd=ptd), progress)


def _invalid(kept: Path) -> str:
    """Why LoadGen called a run of a session that broke off INVALID: the official client then ends it."""
    for phase, folder in zip(session.ORDER, sorted((kept / session.RUNS).glob("*/run.json")), strict=False):
        run = Run(folder.parent)
        if not run.valid:
            return f"the {phase} run is INVALID: {'; '.join(run.invalid_reasons)}"
    return ""


def place(job: Job) -> Run:
    """The campaign's run: a copy of the session's testing run, with the analyzer's log beside LoadGen's."""
    made = folder_of(job)
    if not attempts.finished(job):
        with claim.claimed(job.spec.output) as folder:
            shutil.copytree(_testing(made), folder, dirs_exist_ok=True)
            shutil.copyfile(made / session.PERFORMANCE / MEASURED / ANALYZER_LOG, folder / ANALYZER_LOG)
            durable.settle(folder)
            durable.move(folder, job.spec.output)
    return Run(job.spec.output)


def findings(job: Job) -> Iterator[Finding]:
    """What the eleven items of the power check say of a job's session."""
    if made := session_of(job):
        yield from power_check.check(made / session.PERFORMANCE, made)
