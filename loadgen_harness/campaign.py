"""Runs a plan over launch(): resumable, one run after another, with live progress and the time left."""

from __future__ import annotations

import fnmatch
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from audit.tax import Tax, of
from loadgen_harness import attempts, campaign_power, journal, one_system, outlook, registry, rounds, settings, tax
from loadgen_harness.attempts import Outcome as Outcome
from loadgen_harness.attempts import Policy as Policy
from loadgen_harness.attempts import finished as finished
from loadgen_harness.doomed import Doomed
from loadgen_harness.errors import BadInput, RunFailed, SuiteError
from loadgen_harness.journal import Event, Journal
from loadgen_harness.launch import Hook, Status, launch
from loadgen_harness.plan import PERFORMANCE, Job, Plan, jobs
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, TestMode

DEFAULT = Policy()
OTHER_MACHINE = "two systems cannot share one campaign: choose another --output here, and a system_name of its own"
IGNORED = ("output", "hang_timeout_s")  # of a spec, when asking whether a finished run is the one wanted


@dataclass(frozen=True)
class Step:
    """Progress of a campaign: this job's status, how many are done, and the seconds left by estimate.

    `remark` is what a person should hear at once, mostly nothing.
    """

    job: Job
    number: int
    total: int
    status: Status | None
    left_s: float
    remark: str = ""


OnStep = Callable[[Step], None]


def execute(
    plan: Plan, output: Path, *, only: str = "", on_step: OnStep = lambda step: None, policy: Policy = DEFAULT
) -> Iterator[Outcome]:
    """Run every job of `plan` whose key matches `only`, skipping finished ones, and yield each outcome.

    A failed run does not stop the campaign; Ctrl-C does, and the same command takes it up again. Raises BadInput where
    another process runs this campaign.
    """
    chosen = _chosen(plan, output, only)
    if not chosen:
        raise BadInput(f"no run of the plan matches --only {only!r}: see them with --dry-run.")
    stale = [job.key for job in chosen if finished(job) and not matches(job)]
    if stale:
        raise BadInput(f"{output} holds {stale[0]} from another plan: choose another --output or move it away.")
    done = [Run(job.spec.output) for job in jobs(plan, output) if finished(job)]
    one_system.refuse_elsewhere(done, OTHER_MACHINE)
    means = Means(policy, hooks(plan.meters), sessions(plan, output, only))
    with journal.opened(output, shlex.join(sys.argv)) as log:
        try:
            attempts.recover(jobs(plan, output), matches, log)
            yield from _Campaign(chosen, means, log, on_step).outcomes()
        except BaseException as error:
            attempts.stopped(log, error)
            raise
        log.note(Event.END)


@dataclass(frozen=True)
class Means:
    """How a campaign's runs are made: attempts at them, hooks of power meters, and what power sessions need."""

    policy: Policy
    power: Sequence[Hook]
    sessions: campaign_power.Official | None


def sessions(plan: Plan, output: Path, only: str = "") -> campaign_power.Official | None:
    """What the plan's power sessions need; raises BadInput where it is missing, or others stand in their place."""
    if plan.power is None:
        return None
    chosen = _chosen(plan, output, only)
    campaign_power.refuse(chosen, plan.power, matches)
    return campaign_power.ready(plan.power, chosen)


class _Campaign:
    """A campaign under way: what its runs share."""

    def __init__(self, chosen: Sequence[Job], means: Means, log: Journal, on_step: OnStep) -> None:
        self._chosen, self._means, self._log, self._on_step = chosen, means, log, on_step
        self._policy = means.policy
        self._pace = outlook.Pace()
        for job in chosen:
            if finished(job) and not job.session:  # whose run tells the time of one of two
                self._learn(job, Run(job.spec.output).meta.get("wall_s"))

    def outcomes(self) -> Iterator[Outcome]:
        """Every job's end, in order."""
        for number, job in enumerate(self._chosen, start=1):
            if not attempts.wanted(job, self._policy):
                yield Outcome(job, Run(job.spec.output), resumed=True)
                continue
            later = sum(
                self._pace.estimate_s(each) for each in self._chosen[number:] if attempts.wanted(each, self._policy)
            )
            step = Step(job, number, len(self._chosen), None, later)
            say = partial(self._say, step)
            yield attempts.settled(job, partial(self._once, step), self._log, self._policy, say)

    def _once(self, step: Step) -> Outcome:
        """One attempt, watched."""
        job, begun = step.job, time.monotonic()
        own = outlook.of(job, audit_config(job), self._pace.estimate_s(job))
        placed = campaign_power.session_of(job)  # only copied: that tells nothing of time

        def tell(status: Status, left_s: float, warning: str) -> None:
            if warning:
                self._log.note(Event.WARNING, job.key, text=warning)
            remark = warning and f"{job.key}: {warning}"
            self._on_step(replace(step, status=status, left_s=step.left_s + left_s, remark=remark))

        if job.session:
            outcome = campaign_power.attempt(job, self._means.sessions, partial(self._in_session, step))
        else:
            watch = outlook.Watch(own, tell, early_stop=self._policy.early_stop)
            outcome = attempt(job, self._means.power, watch)
        if outcome.run and not placed:
            self._learn(job, time.monotonic() - begun)
        return outcome

    def _in_session(self, step: Step, said: str, left_s: float) -> None:
        remark = said and f"{step.job.key}: {said}"
        self._on_step(replace(step, left_s=step.left_s + left_s, remark=remark))

    def _say(self, step: Step, text: str) -> None:
        left_s = step.left_s + self._pace.estimate_s(step.job)
        self._on_step(replace(step, left_s=left_s, remark=text))

    def _learn(self, job: Job, took_s: object) -> None:
        if isinstance(took_s, int | float):
            self._pace.learn(job, took_s)


def _chosen(plan: Plan, output: Path, only: str) -> list[Job]:
    return [job for job in jobs(plan, output) if not only or fnmatch.fnmatch(job.key, f"*{only}*")]


@dataclass(frozen=True)
class Charge:
    """One measurement of the harness tax that a campaign still owes: jobs whose runs share it."""

    jobs: tuple[Job, ...]
    estimate_s: float

    @property
    def key(self) -> str:
        """Where it is measured."""
        return f"{self.jobs[0].key.removesuffix(PERFORMANCE)}tax"

    @property
    def runs(self) -> list[Run]:
        """The finished runs that it is for."""
        return [Run(job.spec.output) for job in self.jobs if finished(job)]


def charges(plan: Plan, output: Path, only: str = "") -> list[Charge]:
    """The measurements owed for the jobs that match `only`, run already or not: one per layout."""
    if not plan.tax_s:
        return []
    layouts: dict[tax.Layout, list[Job]] = {}
    for job in _chosen(plan, output, only):
        if job.key.endswith(f"/{PERFORMANCE}"):
            benchmark: Benchmark = registry.load(registry.BENCHMARKS, job.spec.benchmark)
            wanted = settings.plan(job.spec, benchmark, rounds.load(job.spec.round)).settings
            layouts.setdefault(tax.layout(job.spec, asdict(wanted)), []).append(job)
    owed = sorted((each for each, found in layouts.items() if not all(map(_paid, found))), key=tax.order)
    return [Charge(tuple(layouts[each]), tax.estimate_s(each, plan.tax_s)) for each in owed]


def _paid(job: Job) -> bool:
    measured = of(Run(job.spec.output)) if finished(job) else None
    return measured is not None and not measured.error


def levy(
    plan: Plan, output: Path, *, only: str = "", on_step: OnStep = lambda step: None
) -> Iterator[tuple[Charge, Tax]]:
    """Measure what is owed for finished runs, write it into their run.json, and yield it.

    A null run that fails is no failure of the campaign: its Tax says why there is none.
    """
    owed = [charge for charge in charges(plan, output, only) if charge.runs]
    if not owed:
        return
    with journal.opened(output, shlex.join(sys.argv)) as log:  # nobody else may load this machine meanwhile
        yield from _levied(owed, plan.tax_s, on_step)
        log.note(Event.END)


def _levied(owed: Sequence[Charge], seconds: float, on_step: OnStep) -> Iterator[tuple[Charge, Tax]]:
    ceilings: dict[tax.Layout, float | None] = {}
    for number, charge in enumerate(owed, start=1):
        left = sum(later.estimate_s for later in owed[number - 1 :])
        shown = replace(charge.jobs[0], key=charge.key)
        report = reporter(on_step, Step(shown, number, len(owed), None, left))
        found = next((each for each in map(of, charge.runs) if each and not each.error), None)
        measured = found or _measured(charge.runs[0], seconds, ceilings, report)
        try:
            tax.store(charge.runs, measured)
        except OSError as error:
            measured = Tax(error=f"cannot write it: {error}")
        yield charge, measured


def _measured(
    run: Run, seconds: float, ceilings: dict[tax.Layout, float | None], report: Callable[[Status], None]
) -> Tax:
    try:
        return tax.measure(run, seconds, ceilings, report)
    except (SuiteError, OSError, LookupError, TypeError, ValueError) as error:  # the last three: a damaged run.json
        return Tax(benchmark=str(run.spec.get("benchmark", "")), seconds=seconds, error=str(error))


@dataclass(frozen=True)
class Count:
    """How far a campaign is; the failed are among those left: they are made anew when it goes on."""

    total: int
    done: int
    valid: int
    failed: int

    @property
    def left(self) -> int:
        """Runs that are not done."""
        return self.total - self.done


def begun(output: Path) -> bool:
    """Whether a campaign was ever begun in a folder."""
    return (output / journal.NAME).exists()


def count(plan: Plan, output: Path, only: str = "") -> Count:
    """The jobs that match `only`, by what their folders hold."""
    chosen = _chosen(plan, output, only)
    done = [job for job in chosen if finished(job)]
    failed = sum(not finished(job) and attempts.failed(job).exists() for job in chosen)
    return Count(len(chosen), len(done), sum(Run(job.spec.output).valid for job in done), failed)


def outcomes(plan: Plan, output: Path) -> list[Outcome]:
    """What a campaign's folder holds now, without running anything."""
    return [Outcome(job, Run(job.spec.output), resumed=True) for job in jobs(plan, output) if finished(job)]


def matches(job: Job, folder: Path | None = None) -> bool:
    """Whether the finished run (or that in `folder`) was made from the same spec."""
    return not differing(job, folder)


def differing(job: Job, folder: Path | None = None) -> list[str]:
    """Keys of the plan in which the finished run (or that in `folder`) differs from it."""
    wanted = {key: _plain(value) for key, value in asdict(job.spec).items() if key not in IGNORED}
    found = {key: value for key, value in Run(folder or job.spec.output).spec.items() if key not in IGNORED}
    later = {f.name: f.default for f in fields(job.spec) if f.name in wanted.keys() - found.keys()}
    found = {**later, **found}
    return sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return str(value) if isinstance(value, str | Path) else value


def attempt(job: Job, power: Sequence[Hook], report: Callable[[Status], None]) -> Outcome:
    """One job, run; a failed run is an outcome, not an error."""
    if job.spec.mode is TestMode.ACCURACY:
        power = ()  # no energy belongs to an untimed run
    try:
        return Outcome(job, launch(job.spec, audit_config=audit_config(job), hooks=power, on_progress=report))
    except RunFailed as error:
        return Outcome(job, None, error=str(error), doomed=isinstance(error, Doomed))


def audit_config(job: Job) -> str:
    """The text of a compliance test's audit.config, empty for other runs."""
    if not job.test:
        return ""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, job.spec.benchmark)
    text: str = registry.load(registry.TESTS, job.test.lower()).config(benchmark, rounds.load(job.spec.round))
    return text


def hooks(meters: Sequence[str]) -> list[Hook]:
    """The power hook for some meters; `auto` stands for all that measure here, else for the estimate."""
    names = [found for name in meters if name for found in (best_meters() if name == "auto" else (name,))]
    if not names:
        return []
    from power import recorder

    return [recorder.record(names)]


def best_meters() -> list[str]:
    """All meters that measure here (their sum counts nothing twice), else the estimate; a replay must be asked for."""
    for estimated, wanted in ((False, registry.names(registry.METERS)), (True, ["estimate"])):
        found = [name for name in wanted if _works(name, estimated)]
        if found:
            return found
    raise BadInput("no power meter works here: run without --meters, or see `lgh doctor`.")


def _works(name: str, estimated: bool) -> bool:
    try:
        meter = registry.load(registry.METERS, name)
        return bool(meter.estimated) is estimated and not meter.available()
    except SuiteError:
        return False  # its package is missing, or it cannot even be asked


def reporter(on_step: Callable[[Step], None], step: Step) -> Callable[[Status], None]:
    """What launch() tells its progress to: `step` with that status and the time it took taken off."""

    def report(status: Status) -> None:
        left = max(step.left_s - status.elapsed_s, 0.0)
        on_step(Step(step.job, step.number, step.total, status, left))

    return report
