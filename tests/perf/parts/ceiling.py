"""The highest Server rate that LoadGen calls VALID with a p99 of at most 10 ms."""

from __future__ import annotations

import functools
import random
from collections import defaultdict

from loadgen_harness.errors import RunFailed
from loadgen_harness.types import Scenario
from tests.perf import variants as v
from tests.perf.bisection import Search, highest
from tests.perf.ratios import Row, due, summarized
from tests.perf.session import Effort, Part, Session
from tests.perf.variants import Probe, Variant

LIMIT_MS = 10.0
MAX_BATCH = 4096
MAX_WAIT_MS = 0.3  # dynamic batching: what a worker costs per batch is shared by more samples, far below the limit
MAIN = (v.CPP_QUEUE, v.NATIVE_THREAD)  # in every round
SIDE = (
    v.NATIVE_PROCESS,
    v.CPP_INLINE,
    v.CPP_SPIN,
    v.PYTHON_INLINE,
    v.PYTHON_THREAD,
    v.NATIVE_INLINE,
    v.NATIVE_THREAD_SPIN,
    v.NATIVE_PROCESS_SPIN,
)
START_QPS = {"C++": 400_000.0, "native": 400_000.0, "python": 80_000.0}
FIRST_STEP, STEP = 2.0, 1.15  # of the first search, and of those that begin where it ended


def measure(session: Session) -> list[Row]:
    """Ceilings in queries per second, each round's found by a search of its own."""
    measured = defaultdict[str, dict[int, float]](dict)
    for number, variant in session.rounds(chosen(session.effort), session.effort.pairs):
        if variant in MAIN or due(number, session.effort.side_every):
            search = search_for(variant, number, list(measured[variant.name].values()), session.effort.resolution)
            measured[variant.name][number] = found = highest(functools.partial(holds, session, variant), search)
            if not found:
                raise RunFailed(f"{variant.name} was VALID at no rate, however low: look at what else runs here")
    return summarized("ceiling", f"p99 at most {LIMIT_MS:g} ms", "queries/s", measured, v.YARDSTICKS)


def search_for(variant: Variant, number: int, known: list[float], resolution: float) -> Search:
    """Around what the last search found; not from there exactly, or searches would try the same rates again."""
    if not known:
        return Search(START_QPS[variant.driver], FIRST_STEP, resolution)
    dither = random.Random(f"{variant.name} {number}").uniform(-0.5, 0.5)
    return Search(known[-1] * resolution**dither, max(STEP, resolution), resolution)


def chosen(effort: Effort) -> tuple[Variant, ...]:
    """Every variant, or those in question."""
    return MAIN if effort.few or not effort.side_every else (*MAIN, *SIDE)


def holds(session: Session, variant: Variant, qps: float) -> bool:
    """Whether one run at this rate is VALID."""
    return session.run(variant, probe(round(qps, 3), session.effort.server_ms), f"ceiling {qps:.0f}/s").valid


def probe(qps: float, duration_ms: float) -> Probe:
    """A run at one rate."""
    counts = {"min_duration": float(duration_ms), "target_qps": qps, "min_query_count": 1001.0}
    return Probe(Scenario.SERVER, {**counts, "target_latency": LIMIT_MS}, MAX_BATCH, max_wait_ms=MAX_WAIT_MS)


def seconds(effort: Effort) -> float:
    """A search takes about seven runs."""
    side = len(chosen(effort)) - len(MAIN)
    searches = len(MAIN) * effort.pairs + (side and side * -(-effort.pairs // effort.side_every))
    return searches * 7 * (effort.server_ms * 1.8e-3 + 1.0)


PART = Part("ceiling", "Server, highest VALID rate, queries/s", seconds, measure, v.RATIOS)
