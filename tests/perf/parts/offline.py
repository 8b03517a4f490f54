"""Offline samples per second: one query of many samples, completed batch by batch."""

from __future__ import annotations

from collections import defaultdict

from loadgen_harness.types import Scenario
from tests.perf import variants as v
from tests.perf.ratios import Row, summarized
from tests.perf.session import Effort, Part, Session
from tests.perf.variants import Probe

CHOSEN = {
    4096: (
        v.CPP_INLINE,
        v.CPP_QUEUE,
        v.CPP_WHOLE,
        v.PYTHON_INLINE,
        v.PYTHON_THREAD,
        v.NATIVE_INLINE,
        v.NATIVE_THREAD,
        v.NATIVE_PROCESS,
    ),
    65536: (v.CPP_INLINE, v.CPP_QUEUE, v.NATIVE_INLINE, v.NATIVE_THREAD, v.NATIVE_PROCESS),
}
YARDSTICKS = {"": v.CPP_QUEUE.name, v.PYTHON_INLINE.name: v.CPP_INLINE.name, v.NATIVE_INLINE.name: v.CPP_INLINE.name}


def measure(session: Session) -> list[Row]:
    """Samples per second by LoadGen's own account."""
    rows: list[Row] = []
    for batch, chosen in CHOSEN.items():
        case, measured = f"batch {batch}", defaultdict[str, dict[int, float]](dict)
        for number, variant in session.rounds(chosen, session.effort.pairs):
            ended = session.run(variant, probe(session.effort.offline_samples, batch), f"offline {case}")
            measured[variant.name][number] = ended.number("result_samples_per_second")
        rows += summarized("offline", case, "samples/s", measured, YARDSTICKS)
    return rows


def probe(samples: int, batch: int) -> Probe:
    """A query of so many samples, whatever time it takes."""
    counts = {"min_duration": 1.0, "target_qps": 1.0, "min_query_count": float(samples)}
    return Probe(Scenario.OFFLINE, counts, batch)


def seconds(effort: Effort) -> float:
    """About 1 s a run to start and end, the binding 4 us a sample and the rest 1 us."""
    return effort.pairs * (13 * 1.0 + effort.offline_samples * 18e-6)


PART = Part("offline", "Offline, samples/s", seconds, measure, v.RATIOS)
