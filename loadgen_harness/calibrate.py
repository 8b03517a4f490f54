"""Measures the system under test before the test, so that LoadGen generates as many queries as the duration takes.

LoadGen's expected latency and rate are not mere hints: from an expectation too low (Offline) or too high (SingleStream,
MultiStream) it generates too few queries, and the run ends before its minimum duration, INVALID.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter_ns

import numpy as np

from loadgen_harness import conf
from loadgen_harness.settings import MS, Plan
from loadgen_harness.sut import BatchSUT
from loadgen_harness.types import Scenario, TestMode

SECONDS = 0.4
BINDING_S = 0.8e-6  # LoadGen's Python binding takes at least this per sample
ORDER = (0, 7, 3, 5, 1, 6, 2, 4)  # of the groups measured
HEADROOM = 1.2
NOISE_S = 2.0  # a run this short may meet a machine twice as fast as its calibration did


def calibrated(plan: Plan, sut: BatchSUT, max_batch: int) -> Plan:
    """`plan` with the expected rate or latency that `sut` shows here; Server's rate is the user's to choose."""
    settings = plan.settings
    if settings.scenario == Scenario.OFFLINE:
        headroom = HEADROOM + min(1.0, NOISE_S * 1000 / max(settings.min_duration_ms, 1))
        rate = headroom / (_seconds(sut, max_batch, _mean) / max_batch + BINDING_S)
        changed = replace(settings, offline_expected_qps=rate)
        return _stated(replace(plan, settings=changed), "target_qps", rate)
    multi = settings.scenario == Scenario.MULTI_STREAM
    latency = _seconds(sut, settings.multi_stream_samples_per_query if multi else 1, _fastest) / HEADROOM
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


def _seconds(sut: BatchSUT, batch: int, summary: Callable[[list[int]], float]) -> float:
    """The time of a batch of random samples, grouped as the SUT groups a large query, over about SECONDS.

    `summary` makes one figure of the times; the dearest, the cheapest and a middling group come first.
    """
    chosen = np.random.default_rng(0).integers(0, sut.qsl.performance_count, batch * len(ORDER)).tolist()
    sut.qsl.load(chosen)
    if batch > 1:
        _, chosen = sut.by_cost(chosen, chosen)
    times: list[int] = []
    while sum(times) < SECONDS * 1e9 or len(times) < 3:
        begin = ORDER[len(times) % len(ORDER)] * batch
        started = perf_counter_ns()
        sut.answer(chosen[begin : begin + batch])
        times.append(perf_counter_ns() - started)
    sut.qsl.unload(chosen)
    return summary(times) / 1e9


def _mean(times: list[int]) -> float:
    return float(np.mean(times))


def _fastest(times: list[int]) -> float:
    return float(np.percentile(times, 10))


def _stated(plan: Plan, key: str, value: float) -> Plan:
    """The same with the value in user.conf, so that another harness can repeat the run."""
    line = conf.write({key: value}, Scenario(plan.settings.scenario))
    kept = [text for text in plan.user_conf.splitlines(keepends=True) if f".{key} =" not in text]
    return replace(plan, user_conf="".join([*kept, line]))
