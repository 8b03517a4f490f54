"""What becomes of a campaign's runs: the time left, runs that take longer than planned, runs that cannot be valid."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from loadgen_harness import calibrate, doomed, registry, rounds, settings
from loadgen_harness.launch import Status
from loadgen_harness.plan import Job
from loadgen_harness.progress import Phase, State
from loadgen_harness.settings import TestSettings
from loadgen_harness.types import Benchmark, Scenario, TestMode

SURE_S = 10.0  # of the test, before anything is said of its pace
SLOWER = 10.0  # times: the samples to come may be that much dearer (sorted by length) before a run is stopped
LONGER, LONGER_S = 2.0, 60.0  # than planned, both, before a run is called slow
OVERRULED = re.compile(r"\.(min_query_count|min_duration|performance_issue_\w+|sample_concatenate_permutation)\b")

Kind = tuple[str, ...]


class Pace:
    """Learns from finished runs how long those to come really take on this machine."""

    def __init__(self) -> None:
        """Nothing known: estimates stand as they are."""
        self._known: dict[Kind, tuple[float, float]] = {}  # seconds estimated and real, of all runs of a kind
        self._longer: list[float] = []

    def learn(self, job: Job, real_s: float) -> None:
        """A run took this long."""
        estimated, real = self._known.get(_kind(job), (0.0, 0.0))
        self._known[_kind(job)] = estimated + job.estimate_s, real + real_s
        self._longer.append(real_s - job.estimate_s)

    def estimate_s(self, job: Job) -> float:
        """Its wall seconds: in proportion to runs of its kind, else longer by what others of any kind took longer.

        A run's minimum duration does not grow on a slow machine, but what surrounds it does.
        """
        estimated, real = self._known.get(_kind(job), (0.0, 0.0))
        if estimated:
            return job.estimate_s * real / estimated
        if not self._longer:
            return job.estimate_s
        usual = sorted(self._longer)[len(self._longer) // 2]
        return max(job.estimate_s + min(usual, job.estimate_s), 0.0)


def _kind(job: Job) -> Kind:
    return job.spec.benchmark, job.spec.backend, job.spec.scenario, job.spec.mode


@dataclass(frozen=True)
class Outlook:
    """What is known of a run before it begins."""

    settings: TestSettings
    in_memory: int  # samples
    calibrated: bool
    judged: bool  # whether `settings` decide: a compliance test's audit.config may overrule them
    estimate_s: float
    open_end: bool = False  # nobody named the speed that its time follows from: `estimate_s` is the least


def of(job: Job, audit_config: str, estimate_s: float) -> Outlook:
    """The outlook of a job."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, job.spec.benchmark)
    round_ = rounds.load(job.spec.round)
    plan = settings.plan(job.spec, benchmark, round_)
    variant = benchmark.variant(job.spec.scenario, job.spec.mode, job.spec.test, round_)
    judged = not OVERRULED.search(audit_config)
    return Outlook(plan.settings, variant.performance_count, calibrate.wanted(plan), judged, estimate_s, job.open_end)


class Watch:
    """Follows one run: raises Doomed once it cannot become valid, and tells the seconds left and what is amiss.

    `tell` is given the status, the seconds left of this run, and a warning or nothing.
    """

    def __init__(self, outlook: Outlook, tell: Callable[[Status, float, str], None], *, early_stop: bool) -> None:
        """Before the run begins."""
        self._outlook, self._tell, self._early_stop = outlook, tell, early_stop
        self._testing: float | None = None  # seconds after its launch at which the test began
        self._warned = False

    def __call__(self, status: Status) -> None:
        """One look at the run, from launch()."""
        own = self._outlook
        if self._early_stop and own.judged:
            seen = State(
                status.phase, status.expected, status.issued, status.completed, late=status.late, slow=status.slow
            )
            why = doomed.reason(own.settings, own.in_memory, seen, calibrated=own.calibrated)
            if why:
                raise doomed.Doomed(f"stopped after {status.elapsed_s:.1f} s, since {why}")
        if status.phase is Phase.TESTING and self._testing is None:
            self._testing = status.elapsed_s
        tested = status.elapsed_s - (self._testing or status.elapsed_s)
        left = left_s(status, tested, own.settings)
        if self._early_stop and left is not None and (why := too_short(status, tested, left, own)):
            raise doomed.Doomed(f"stopped after {status.elapsed_s:.1f} s, since {why}")
        warning = "" if self._warned or left is None else amiss(status, tested, left, own)
        self._warned = self._warned or bool(warning)
        self._tell(status, max(own.estimate_s - status.elapsed_s, 0.0) if left is None else left, warning)


def needed(status: Status, chosen: TestSettings) -> int:
    """Samples that the test takes at least, as far as they are known."""
    width = chosen.multi_stream_samples_per_query if chosen.scenario == Scenario.MULTI_STREAM else 1
    least = chosen.min_query_count * width if chosen.mode == TestMode.PERFORMANCE else 0
    return max(status.expected, least)


def left_s(status: Status, tested_s: float, chosen: TestSettings) -> float | None:
    """Seconds until the test ends at its present rate; None before there is a rate, and for a search."""
    if status.phase is not Phase.TESTING or not status.completed or tested_s <= 0:
        return None
    if chosen.mode not in (TestMode.PERFORMANCE, TestMode.ACCURACY):
        return None
    by_count = max(needed(status, chosen) - status.completed, 0) * tested_s / status.completed
    timed = chosen.mode == TestMode.PERFORMANCE and chosen.scenario != Scenario.OFFLINE
    return max(by_count, chosen.min_duration_ms / 1000 - tested_s if timed else 0.0)


def amiss(status: Status, tested_s: float, left: float, own: Outlook) -> str:
    """A warning of a run that will take much longer than planned, or of an Offline one that will be too short."""
    if tested_s < SURE_S:
        return ""
    chosen, rate = own.settings, status.completed / tested_s
    total = status.elapsed_s + left
    if not own.open_end and total > LONGER * own.estimate_s and total > own.estimate_s + LONGER_S:
        return (
            f"at its present {rate:.3g} samples/s this run takes {_long(total)}, planned were "
            f"{_long(own.estimate_s)}: {status.completed} of {needed(status, chosen)} samples are done"
        )
    least = chosen.min_duration_ms / 1000
    if _offline(own) and tested_s + left < least:
        return (
            f"at its present {rate:.3g} samples/s this run will be INVALID: its {status.expected} samples are done "
            f"after {_long(tested_s + left)}, before the {_long(least)} that are demanded; raise target_qps"
        )
    return ""


def _offline(own: Outlook) -> bool:
    """Whether a run's samples are all asked for at once, as many as its expected rate makes, by its own settings."""
    return own.settings.scenario == Scenario.OFFLINE and own.settings.mode == TestMode.PERFORMANCE and own.judged


def too_short(status: Status, tested_s: float, left: float, own: Outlook) -> str:
    """Why an Offline run has too few samples for its minimum duration, even should it go on SLOWER times slower."""
    least = own.settings.min_duration_ms / 1000
    if tested_s < SURE_S or not _offline(own) or tested_s + SLOWER * left >= least:
        return ""
    rate = status.completed / tested_s
    return (
        f"it has too few samples for its time: at its {rate:.3g} samples/s all {status.expected} are done after "
        f"{_long(tested_s + left)}, and before the {_long(least)} that are demanded even {SLOWER:g} times slower; set "
        f"target_qps = {rate:.3g} or more"
    )


def _long(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
