"""Do expected rates and latencies fit this machine? Short runs of a plan's layouts measure how fast they really are.

LoadGen decides by its expectation how many samples a run has: Offline 1.1 times what it expects of the minimum
duration, SingleStream and MultiStream twice that. From a wrong one a run ends too early, INVALID, or lasts for hours.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audit.finding import Finding, Severity
from loadgen_harness import child, console, registry, rounds, settings
from loadgen_harness.calibrate import HEADROOM
from loadgen_harness.errors import SuiteError
from loadgen_harness.expectations import WIDTH
from loadgen_harness.launch import launch
from loadgen_harness.plan import PERFORMANCE, Job
from loadgen_harness.run import Run
from loadgen_harness.settings import MS
from loadgen_harness.types import Benchmark, Division, RunSpec, Scenario, SystemType

LONG_MS = 60_000  # minimum duration from which a wrong expectation costs more than its trial
TRIAL_S = 3.0
TRIAL_MS = 0.005  # latency expected in a trial, so that it does not run out of queries
ENOUGH_S = 1.0
FIRST = 8  # samples at once with which an Offline trial begins, for each batch that is under way
MOST = 1_000_000
OFFLINE_PART, STREAM_PART = 1.1, 2.0  # of the minimum duration's samples, as LoadGen generates them
NARROW, WASTE = 1.1, 2.0  # of the minimum duration: below the first it is close, above the second time is lost
GENERATED = 20_000_000  # queries that LoadGen generates in some seconds and gigabytes
CLAUSE = "inference_rules.adoc, Scenarios: minimum duration"
Measure = Callable[[Job], float]


@dataclass(frozen=True)
class Judged:
    """What the expectation of one job leads to: seconds that the run will last at least, and what to expect instead."""

    key: str
    given: float
    better: float
    lasts_s: float
    least_s: float
    generated: float

    @property
    def found(self) -> str:
        """The expectation and where it leads."""
        return f"{self.given:g}: the run would last about {self.lasts_s:,.4g} s"


def check(
    jobs: Sequence[Job], system: Mapping[str, Any], rates: dict[str, float], measure: Measure | None = None
) -> Iterator[Finding]:
    """Findings on the expectations of runs that last long; `rates` gets what was measured, samples/s by a job's key."""
    for job in jobs:
        if not wanted(job, system):
            continue
        console.note(f"{job.key}: a few seconds of it show how fast it is")
        try:
            rates[job.key] = (measure or measured)(job)
        except (SuiteError, OSError) as error:  # the second: no room for temporary files
            said = ("run", str(error), "a short run that ends well")
            yield _finding(Severity.ERROR, job, said, "Mend what it names; the long run would fail in the same way.")
            continue
        yield from verdict(job, judged(job, rates[job.key]))


def wanted(job: Job, system: Mapping[str, Any]) -> bool:
    """Whether a speed must be measured: one was stated, the run cannot measure its own, or a network depends on it."""
    if not job.key.endswith(f"/{PERFORMANCE}") or job.spec.scenario.loadgen == Scenario.SERVER:
        return False
    benchmark, plan = _plan(job)
    if plan.settings.min_duration_ms < LONG_MS:
        return False
    datacenter = SystemType.DATACENTER.value in str(system.get("system_type", ""))
    return _key(job) in plan.given or benchmark.streaming or (datacenter and job.spec.scenario is Scenario.OFFLINE)


def measured(job: Job) -> float:
    """Samples per second of a job's layout in a run of some seconds; raises RunFailed and BadInput.

    It tells of as many samples at once as it has: a layout that gains from thousands under way is faster than this.
    """
    if job.spec.scenario is not Scenario.OFFLINE:
        expected = {"min_duration": TRIAL_S * 1000, "min_query_count": 1, "target_latency": TRIAL_MS}
        return _rate(job, expected)[0]
    count = FIRST * max(job.spec.max_batch, 1) * child.copies(job.spec)
    rate, took_s = _rate(job, _at_once(count))
    if took_s >= ENOUGH_S:
        return rate
    more = max(count, min(int(rate * TRIAL_S), MOST))
    return max(rate, _rate(job, _at_once(more))[0])


def _at_once(count: int) -> dict[str, float]:
    return {"min_duration": 0, "min_query_count": count, "target_qps": 1}


def _rate(job: Job, overrides: Mapping[str, float]) -> tuple[float, float]:
    """(samples per second, seconds) of one run under other settings; it leaves nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="lgh-trial-"))
    try:
        run = launch(_spec(job.spec, overrides, folder / "run"))
        return _pace(run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _spec(spec: RunSpec, overrides: Mapping[str, float], output: Path) -> RunSpec:
    """The same layout in the open division, which lets a run be short."""
    return replace(spec, division=Division.OPEN, output=output, overrides={**spec.overrides, **overrides})


def _pace(run: Run) -> tuple[float, float]:
    """(samples per second, seconds) from the first that was issued to the last that was answered."""
    table = run.samples
    if table is None or not len(table):
        raise SuiteError("the short run recorded no sample: repeat it with `lgh run` to see why")
    took_s = float(table["done"].max() - table["issued"].min()) / 1e9
    return len(table) / max(took_s, 1e-9), took_s


def judged(job: Job, rate: float) -> Judged:
    """What a job's own expectation leads to on a layout that answers `rate` samples per second."""
    chosen = _plan(job)[1].settings
    least_s = chosen.min_duration_ms / 1000
    if job.spec.scenario is Scenario.OFFLINE:
        given = chosen.offline_expected_qps
        samples = max(OFFLINE_PART * given * least_s, chosen.min_query_count)
        return Judged("target_qps", given, HEADROOM * rate, samples / rate, least_s, 1)
    multi = job.spec.scenario is Scenario.MULTI_STREAM
    expected_ns = chosen.multi_stream_expected_latency_ns if multi else chosen.single_stream_expected_latency_ns
    query_s = (chosen.multi_stream_samples_per_query or WIDTH if multi else 1) / rate
    queries = STREAM_PART * least_s * 1e9 / max(expected_ns, 1)
    most = max(queries, chosen.min_query_count)
    shortest = max(least_s, chosen.min_query_count * query_s)
    lasts_s = min(shortest, most * query_s)
    return Judged("target_latency", expected_ns / MS, query_s * 1000 / HEADROOM, lasts_s, least_s, queries)


def verdict(job: Job, seen: Judged) -> Iterator[Finding]:
    """An error where the run would be too short, a warning where it is close, far too long or far too much."""
    better = f"{seen.key} = {seen.better:.4g}"
    fix = f"Set {better} (as measured here, with a margin of {HEADROOM - 1:.0%})"
    if not _plan(job)[0].streaming:
        fix += ", or leave it out: then the run measures itself before it begins"
    wanted_ = f">= {seen.least_s:g} s: {better}"
    offline = job.spec.scenario is Scenario.OFFLINE
    if seen.lasts_s < seen.least_s:
        yield _finding(Severity.ERROR, job, (seen.key, seen.found, wanted_), f"{fix}.")
    elif offline and seen.lasts_s < NARROW * seen.least_s:
        yield _finding(Severity.WARNING, job, (seen.key, f"{seen.found}, which is close", wanted_), f"{fix}.")
    elif offline and seen.lasts_s > WASTE * seen.least_s and not _bound(job, seen):
        said = (seen.key, seen.found, f"about {seen.least_s * HEADROOM * OFFLINE_PART:g} s: {better}")
        yield _finding(Severity.WARNING, job, said, f"{fix}.")
    elif seen.generated > GENERATED:
        said = (seen.key, f"{seen.given:g}: LoadGen generates {seen.generated:,.3g} queries", better)
        yield _finding(Severity.WARNING, job, said, f"{fix}.")


def _bound(job: Job, seen: Judged) -> bool:
    """Whether the round's fewest samples alone make an Offline run as long as that."""
    chosen = _plan(job)[1].settings
    return OFFLINE_PART * seen.given * seen.least_s <= chosen.min_query_count


def _plan(job: Job) -> tuple[Benchmark, settings.Plan]:
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, job.spec.benchmark)
    return benchmark, settings.plan(job.spec, benchmark, rounds.load(job.spec.round))


def _key(job: Job) -> str:
    return "target_qps" if job.spec.scenario is Scenario.OFFLINE else "target_latency"


def _finding(severity: Severity, job: Job, what: tuple[str, str, str], fix: str) -> Finding:
    return Finding("calibration", severity, job.key, *what, CLAUSE, fix)
