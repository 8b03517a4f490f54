"""Measures the system under test before the test, so that LoadGen generates as many queries as the duration takes.

LoadGen's expected latency and rate are not mere hints: from an expectation too low (Offline) or too high (SingleStream,
MultiStream) it generates too few queries, and the run ends before its minimum duration, INVALID.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter_ns

import numpy as np

from loadgen_harness import conf
from loadgen_harness.errors import RunFailed
from loadgen_harness.settings import MS, Plan
from loadgen_harness.sut import BatchSUT, SystemUnderTest
from loadgen_harness.types import Scenario, TestMode

SECONDS = 0.4
SLOW_S = 2.0  # a batch so slow tells enough once or twice
DRIVER_S = {"python": 0.8e-6, "native": 0.02e-6}  # what the way to LoadGen and back takes per sample at least
ORDER = (0, 7, 3, 5, 1, 6, 2, 4)  # of the groups measured
HEADROOM = 1.2
NOISE_S = 2.0  # a run this short may meet a machine twice as fast as its calibration did
SUMMARIES: dict[str, Callable[[list[int]], float]] = {
    "mean": lambda times: float(np.mean(times)),
    "fastest": lambda times: float(np.percentile(times, 10)),
}


@dataclass(frozen=True)
class Pace:
    """How batches are answered: `seconds(batch, kind)` measures one, `copies` are under way at once."""

    seconds: Callable[[int, str], float]
    max_batch: int
    copies: int = 1
    driver: str = "python"


def calibrated(plan: Plan, pace: Pace) -> Plan:
    """`plan` with the expected rate or latency of this pace; Server's rate is the user's to choose."""
    settings = plan.settings
    if settings.scenario == Scenario.OFFLINE:
        headroom = HEADROOM + min(1.0, NOISE_S * 1000 / max(settings.min_duration_ms, 1))
        each = pace.seconds(pace.max_batch, "mean") / pace.max_batch / pace.copies
        rate = headroom / (each + DRIVER_S[pace.driver])
        changed = replace(settings, offline_expected_qps=rate)
        return _stated(replace(plan, settings=changed), "target_qps", rate)
    multi = settings.scenario == Scenario.MULTI_STREAM
    latency = pace.seconds(settings.multi_stream_samples_per_query if multi else 1, "fastest") / HEADROOM
    latency_ns = int(latency * 1e9)
    if multi:
        changed = replace(settings, multi_stream_expected_latency_ns=latency_ns)
    else:
        changed = replace(settings, single_stream_expected_latency_ns=latency_ns)
    return _stated(replace(plan, settings=changed), "target_latency", latency * 1e9 / MS)


def wanted(plan: Plan) -> bool:
    """Whether a timed run's expectation is open, because the user named none."""
    key = "target_qps" if plan.settings.scenario == Scenario.OFFLINE else "target_latency"
    timed = plan.settings.mode in (TestMode.PERFORMANCE, TestMode.SUBMISSION)
    return timed and plan.settings.scenario != Scenario.SERVER and key not in plan.given


def seconds(sut: SystemUnderTest, batch: int, kind: str) -> float:
    """The time of a batch of random samples, grouped as a driver groups a large query, over about SECONDS.

    `kind` names one of SUMMARIES of the times; the dearest, the cheapest and a middling group come first.
    """
    if not isinstance(sut, BatchSUT):
        raise RunFailed("only a system under test that answers in batches can be calibrated")
    chosen = np.random.default_rng(0).integers(0, sut.qsl.performance_count, batch * len(ORDER))
    sut.qsl.load(chosen)
    if batch > 1:
        chosen = by_cost(sut, chosen)
    groups = chosen.reshape(len(ORDER), batch).tolist()
    times: list[int] = []
    spent_ns = 0
    while spent_ns < SECONDS * 1e9 or (len(times) < 3 and spent_ns < SLOW_S * 1e9):
        group = groups[ORDER[len(times) % len(ORDER)]]
        started = perf_counter_ns()
        sut.answer(group)
        times.append(perf_counter_ns() - started)
        spent_ns += times[-1]
    sut.qsl.unload(chosen)
    return SUMMARIES[kind](times) / 1e9


def by_cost(sut: SystemUnderTest, indices: np.ndarray) -> np.ndarray:
    """Samples in RAM, the dearest first; as they come where all are alike."""
    costs = sut.costs(indices)
    return indices if costs is None else indices[np.argsort(-costs, kind="stable")]


def _stated(plan: Plan, key: str, value: float) -> Plan:
    """The same with the value in user.conf, so that another harness can repeat the run."""
    line = conf.write({key: value}, Scenario(plan.settings.scenario))
    kept = [text for text in plan.user_conf.splitlines(keepends=True) if f".{key} =" not in text]
    return replace(plan, user_conf="".join([*kept, line]))
