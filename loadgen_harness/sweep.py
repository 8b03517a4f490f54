"""Short LoadGen runs under one setting after another, interleaved and resumable: what `lgh maxq` measures."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from loadgen_harness import campaign, plan, registry, rounds, settings
from loadgen_harness.campaign import Step
from loadgen_harness.errors import BadInput, RunFailed
from loadgen_harness.launch import Hook
from loadgen_harness.matrix import interleaved
from loadgen_harness.plan import Job
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, RunSpec
from power import energy
from power.energy import Energy
from power.watchdog import Guard

GIVE_UP = 2  # failures in a row after which a setting is left alone
CLOSE = 1.05  # the search ends where the least invalid rate is so near to the highest valid one
SEARCH_MOST, SEARCH_USUAL = 14, 6  # runs of a search
MARGIN = 0.97  # of the highest valid rate, at which the repetitions run: at the edge itself every other is INVALID


@dataclass(frozen=True)
class Setting:
    """Values of some knobs, by the knobs' names."""

    values: tuple[tuple[str, str], ...]
    label: str

    @property
    def slug(self) -> str:
        """Its folder's name."""
        return "_".join(re.sub(r"[^\w.=+-]", "-", f"{name}={value}") for name, value in self.values)


@dataclass(frozen=True)
class Sweep:
    """What is run: `base` under every setting, `repeats` times; with `search`, each at its highest valid rate."""

    base: RunSpec
    output: Path
    settings: tuple[Setting, ...]
    repeats: int
    search: bool = False

    @property
    def total(self) -> int:
        """Runs, as far as they are known beforehand."""
        return len(self.settings) * (self.repeats + (SEARCH_USUAL if self.search else 0))


@dataclass
class Outcome:
    """What one setting gave: its valid, measured runs, and what went wrong; `rate` is the one that was offered."""

    setting: Setting
    runs: list[tuple[Run, Energy]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    rate: float | None = None
    tried: int = 0
    failed: int = 0


@dataclass
class Walk:
    """One sweep under way: who turns the knobs, what measures, whom to tell, how long runs took."""

    sweep: Sweep
    guard: Guard
    power: Sequence[Hook]
    on_step: Callable[[Step], None]
    done: int = 0
    wall_s: list[float] = field(default_factory=list)

    def run(self, setting: Setting, spec: RunSpec, key: str, *, measured: bool = True) -> Run:
        """One run under `setting`, or the finished one of an earlier attempt; raises RunFailed, or SuiteError."""
        job = Job(f"{setting.label} {key}", spec, plan.estimate_s(spec))
        if campaign.finished(job):
            if not campaign.matches(job):
                raise BadInput(f"{spec.output} is of another sweep: choose another --output or move it away.")
            return Run(spec.output)
        step = Step(job, min(self.done, self.sweep.total - 1) + 1, self.sweep.total, None, self._left_s(job))
        hooks = [_under(self.guard, setting), *(self.power if measured else ())]
        outcome = campaign.attempt(job, hooks, campaign.reporter(self.on_step, step))
        if outcome.run is None:
            raise RunFailed(outcome.error)
        self.wall_s.append(float(outcome.run.meta.get("wall_s") or job.estimate_s))
        return outcome.run

    def _left_s(self, job: Job) -> float:
        each = math.fsum(self.wall_s) / len(self.wall_s) if self.wall_s else job.estimate_s
        return each * max(1, self.sweep.total - self.done)


def execute(sweep: Sweep, guard: Guard, power: Sequence[Hook], on_step: Callable[[Step], None]) -> list[Outcome]:
    """Run what is not finished; returns one Outcome for each setting.

    What fails is tried again in the next repetition and given up after two failures in a row. Raises KnobFailed where
    a setting cannot be made, and BadInput.
    """
    walk = Walk(sweep, guard, power, on_step)
    outcomes = [Outcome(setting) for setting in sweep.settings]
    rate: float | None = None
    for outcome in outcomes if sweep.search else ():
        rate = outcome.rate = _highest(walk, outcome, rate)
        walk.done += SEARCH_USUAL
    for number, outcome in interleaved(outcomes, sweep.repeats):
        if outcome.failed < GIVE_UP and (outcome.rate or not sweep.search):
            _repeat(walk, outcome, number)
        walk.done += 1
    _same_parts(outcomes)
    return outcomes


def _repeat(walk: Walk, outcome: Outcome, number: int) -> None:
    """One repetition, counted where it is VALID and was measured."""
    spec = _spec(walk.sweep, outcome.setting, f"{number + 1:02}", outcome.rate and outcome.rate * MARGIN)
    outcome.tried += 1
    try:
        run = walk.run(outcome.setting, spec, f"{number + 1}/{walk.sweep.repeats}")
    except RunFailed as error:
        outcome.failed += 1
        outcome.faults.append(str(error))
        return
    outcome.failed = 0
    found = energy.total(run)
    if not run.valid:
        outcome.faults.append(f"run {number + 1} INVALID: {'; '.join(run.invalid_reasons)}")
    elif found is None or not found.per_sample_j or not found.samples_done:
        said = [f"{fault.key} {fault.found}" for fault in energy.findings(run) if fault.forbids]
        outcome.faults.append(f"run {number + 1} has no energy: {'; '.join(said) or 'nothing was measured'}")
    else:
        outcome.runs.append((run, found))


def _highest(walk: Walk, outcome: Outcome, start: float | None) -> float | None:
    """The highest rate at which a run was VALID, to 5 %: doubled or halved up to both bounds, then bisected."""
    low: float | None = None
    high: float | None = None
    rate = start or _expected(walk.sweep.base)
    for number in range(SEARCH_MOST):
        name = f"{rate:.6g}"
        rate = float(name)
        spec = _spec(walk.sweep, outcome.setting, f"search/{name}", rate)
        try:
            valid = walk.run(outcome.setting, spec, f"search {number + 1}, {name} queries/s", measured=False).valid
        except RunFailed as error:
            outcome.faults.append(str(error))
            valid = False
        low, high = (rate, high) if valid else (low, rate)
        if low is not None and high is not None and high / low <= CLOSE:
            break
        rate = 2 * rate if high is None else rate / 2 if low is None else math.sqrt(low * high)
    if low is None:
        outcome.faults.append(f"no rate down to {rate:.3g} queries/s was VALID")
    return low


def _expected(base: RunSpec) -> float:
    """The rate with which the round's own user.conf would begin."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, base.benchmark)
    return max(settings.plan(base, benchmark, rounds.load(base.round)).settings.server_target_qps, 1e-3)


def _spec(sweep: Sweep, setting: Setting, place: str, rate: float | None) -> RunSpec:
    overrides = dict(sweep.base.overrides)
    if rate:
        overrides["target_qps"] = float(f"{rate:.6g}")
    return replace(sweep.base, output=sweep.output / "runs" / setting.slug / place, overrides=overrides)


def _under(guard: Guard, setting: Setting) -> Hook:
    """A run's hook that makes the setting, and fails the run where it did not last."""

    @contextmanager
    def hook(folder: Path) -> Iterator[None]:
        for name, value in setting.values:
            guard.set(name, value)
        yield
        for name, value in setting.values:
            wrong = guard.drifted(name, value)
            if wrong:
                raise RunFailed(f"the setting did not last through the run ({wrong}): stop the program that changes it")

    return hook


def _same_parts(outcomes: Sequence[Outcome]) -> None:
    """Joules of different parts of the machine are not compared: runs that lack a meter of the others are left out."""
    seen = Counter(found.parts for outcome in outcomes for _, found in outcome.runs)
    if not seen:
        return
    usual = seen.most_common(1)[0][0]
    for outcome in outcomes:
        for run, found in list(outcome.runs):
            if found.parts != usual:
                outcome.runs.remove((run, found))
                what = f"{', '.join(found.parts)} instead of {', '.join(usual)}"
                outcome.faults.append(f"{run.path.name} left out: its meters measured {what}")
