"""Whether a run that is under way can still become valid: over-latency counts against what early stopping allows.

LoadGen decides before a Server test how many queries it issues, so the most that may come late is known from the start;
every count here is certain, and a run of which nothing is said may still end INVALID.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from loadgen_harness import metrics
from loadgen_harness.errors import RunFailed
from loadgen_harness.progress import Phase, State
from loadgen_harness.settings import MS, TestSettings
from loadgen_harness.types import Scenario, TestMode

SIGMAS = 6  # Poisson arrivals beyond which a schedule does not hold more: one in a thousand million
SURE_NS = 1_000  # two clocks are compared: a sample counts as late past its limit by this
SURE_PART = 1.001  # of the time per token, which is a difference of two readings
TERMS = 500_000  # late samples past which the criterion's sum is not worth its time


class Doomed(RunFailed):
    """A run that was stopped because it could not become valid any more."""


@dataclass(frozen=True)
class Limits:
    """What the samples of a Server run are held against, ns; 0: they are not."""

    latency: int
    first_token: int
    per_token: int


@dataclass(frozen=True)
class Bar:
    """The most queries that a test can issue, and how many of them may be late; None: it is INVALID without any."""

    queries: int
    needed: int
    allowed: int | None


def limits(settings: TestSettings) -> Limits | None:
    """The limits that LoadGen will judge a run by; None where none apply or not all of its samples are timed."""
    if settings.scenario != Scenario.SERVER or settings.mode != TestMode.PERFORMANCE:
        return None
    if settings.use_token_latencies:
        per_token = round(settings.tpot_latency * SURE_PART) + SURE_NS
        return Limits(0, settings.ttft_latency + SURE_NS, per_token)
    return Limits(settings.server_target_latency_ns + SURE_NS, 0, 0)


@functools.cache
def bar(settings: TestSettings, in_memory: int = 0) -> Bar | None:
    """How high a performance run's bar is; `in_memory`: samples by whose number equal issue rounds queries up.

    None where no number is known beforehand. inference_rules.adoc, appendix "Early stopping".
    """
    if settings.mode != TestMode.PERFORMANCE or settings.scenario == Scenario.OFFLINE:
        return None
    queries, fraction = _queries(settings), _fraction(settings)
    if settings.sample_concatenate_permutation:
        queries += in_memory
    if settings.max_query_count:
        queries = min(queries, settings.max_query_count)
    if not 0 < fraction < 1:
        return None
    spare = 0 if settings.scenario == Scenario.SERVER else 1  # the others' estimate gives one query away
    needed = metrics.early_stopping_minimum(spare, fraction)
    if queries < needed:
        return Bar(queries, needed, None)
    allowed = metrics.early_stopping_allowance(queries, fraction) if queries * (1 - fraction) < TERMS else queries
    return Bar(queries, needed, allowed)


def _queries(settings: TestSettings) -> int:
    """The most that LoadGen generates before the test, whatever its schedule's seed."""
    seconds = settings.min_duration_ms / 1000
    if settings.scenario == Scenario.SERVER:
        mean = settings.server_target_qps * seconds
        return max(settings.min_query_count, math.ceil(mean + SIGMAS * math.sqrt(mean) + SIGMAS**2))
    multi = settings.scenario == Scenario.MULTI_STREAM
    expected_ns = settings.multi_stream_expected_latency_ns if multi else settings.single_stream_expected_latency_ns
    return max(settings.min_query_count, math.ceil(2 * seconds * 1e9 / max(expected_ns, 1)) + 2)


def _fraction(settings: TestSettings) -> float:
    return {
        Scenario.SERVER.value: settings.server_target_latency_percentile,
        Scenario.SINGLE_STREAM.value: settings.single_stream_target_latency_percentile,
        Scenario.MULTI_STREAM.value: settings.multi_stream_target_latency_percentile,
    }[settings.scenario]


def reason(settings: TestSettings, in_memory: int, state: State, *, calibrated: bool = False) -> str:
    """Why a run in this state will be INVALID whatever comes, and the remedy; empty while it may become valid.

    `calibrated`: the expected latency is measured only in the run, so that its queries are not known before.
    """
    found = bar(settings, in_memory)
    if found is None:
        return ""
    if found.allowed is None:
        if calibrated:
            return ""
        return (
            f"it can never be valid: LoadGen will issue {found.queries} queries at most, and early stopping needs "
            f"{found.needed}; raise min_query_count, min_duration or the rate"
        )
    counted = limits(settings) if state.phase >= Phase.TESTING else None
    if counted is None or max(state.late, state.slow) <= found.allowed:
        return ""
    late, what = max((state.late, _late(counted)), (state.slow, f"{counted.per_token / MS:g} ms per token"))
    return (
        f"it cannot become valid any more: {late} of {state.completed} queries took longer than {what}, and of the "
        f"{found.queries} that it can issue at {settings.server_target_qps:g} queries/s early stopping allows "
        f"{found.allowed}; lower target_qps or make the system faster"
    )


def _late(counted: Limits) -> str:
    if counted.first_token:
        return f"{(counted.first_token - SURE_NS) / MS:g} ms to the first token"
    return f"{(counted.latency - SURE_NS) / MS:g} ms"
