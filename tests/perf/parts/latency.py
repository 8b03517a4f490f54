"""SingleStream and MultiStream latency: one query at a time, of one sample and of eight."""

from __future__ import annotations

from collections import defaultdict

from loadgen_harness.types import Scenario
from tests.perf import variants as v
from tests.perf.ratios import Row, summarized
from tests.perf.session import Effort, Part, Session
from tests.perf.variants import Probe

CHOSEN = (
    v.CPP_INLINE,
    v.CPP_QUEUE,
    v.CPP_SPIN,
    v.PYTHON_INLINE,
    v.PYTHON_THREAD,
    v.NATIVE_INLINE,
    v.NATIVE_THREAD,
    v.NATIVE_THREAD_SPIN,
    v.NATIVE_PROCESS,
    v.NATIVE_PROCESS_SPIN,
)
PERCENTILES = {"p50": "50.00", "p90": "90.00", "p99": "99.00"}
KINDS = {  # samples a query, LoadGen's name of the latencies
    Scenario.SINGLE_STREAM: (1, "result_{}_percentile_latency_ns"),
    Scenario.MULTI_STREAM: (8, "result_{}_percentile_per_query_latency_ns"),
}


def measure(session: Session) -> list[Row]:
    """Latencies of a query in microseconds."""
    rows: list[Row] = []
    for scenario, (width, key) in KINDS.items():
        measured = {name: defaultdict[str, dict[int, float]](dict) for name in PERCENTILES}
        for number, variant in session.rounds(CHOSEN, session.effort.pairs):
            ended = session.run(variant, probe(scenario, session.effort.queries, width), scenario)
            for name, percentile in PERCENTILES.items():
                measured[name][variant.name][number] = ended.number(key.format(percentile)) / 1e3
        for name, table in measured.items():
            rows += summarized("latency", f"{scenario} {name}", "us", table, v.YARDSTICKS)
    return rows


def probe(scenario: Scenario, queries: int, width: int) -> Probe:
    """So many queries, whatever time they take."""
    counts = {"min_duration": 1.0, "target_latency": 1.0, "min_query_count": float(queries)}
    return Probe(scenario, counts, width)


def seconds(effort: Effort) -> float:
    """About 0.9 s a run to start and end, and 15 us a query."""
    return effort.pairs * 2 * len(CHOSEN) * (0.9 + effort.queries * 15e-6)


PART = Part("latency", "Latency of one query at a time, us", seconds, measure, v.RATIOS)
