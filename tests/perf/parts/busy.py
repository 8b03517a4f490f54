"""Server at 1,000 queries/s while pure Python is busy: beside the worker, in LoadGen's process, in one of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from loadgen_harness.matrix import interleaved
from loadgen_harness.types import Scenario
from tests.perf import variants as v
from tests.perf.ratios import Row, due, summarized
from tests.perf.session import Effort, Part, Session
from tests.perf.variants import Probe, Variant

QPS, LIMIT_MS, MAX_BATCH = 1000.0, 10.0, 64
WORKER, LOADGEN, RESPOND, OWN = "worker", "loadgen", "respond", "own"
PLACES = {
    WORKER: "in the worker's process",
    LOADGEN: "in LoadGen's process",
    RESPOND: "in the post-processor's process",
    OWN: "in a process of its own",
}

SECOND = 5  # two busy threads, which no target names, are measured in every fifth round


@dataclass(frozen=True)
class Load:
    """How many busy threads there are, and where."""

    count: int
    place: str = ""

    @property
    def case(self) -> str:
        """Its name in tables."""
        return f"p99 with {self.count} busy {PLACES[self.place]}" if self.count else "p99 with none busy"


_ANYWHERE = (Load(0), Load(1, OWN), Load(2, OWN))
_IN_PLACE = (*_ANYWHERE, Load(1, LOADGEN), Load(2, LOADGEN))  # the worker lives in LoadGen's process
CHOSEN: dict[Variant, tuple[Load, ...]] = {
    v.CPP_QUEUE: _ANYWHERE,
    v.PYTHON_THREAD: _IN_PLACE,
    v.NATIVE_THREAD: _IN_PLACE,
    v.NATIVE_PROCESS: (*_IN_PLACE, Load(1, WORKER), Load(2, WORKER)),
    v.NATIVE_APART: (*_ANYWHERE, Load(1, RESPOND), Load(2, RESPOND)),
}


def measure(session: Session) -> list[Row]:
    """p99 in milliseconds."""
    measured: dict[Load, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    cases = [(variant, load) for variant in session.here(CHOSEN) for load in loads(variant, session.effort)]
    for number, (variant, load) in interleaved(cases, session.effort.pairs):
        if load.count > 1 and not due(number, SECOND):
            continue
        ended = session.run(variant, probe(load, session.effort.server_ms, variant), load.case)
        measured[load][variant.name][number] = ended.number("result_99.00_percentile_latency_ns") / 1e6
    yardsticks = {"": v.CPP_QUEUE.name}
    return [row for load, table in measured.items() for row in summarized("busy", load.case, "ms", table, yardsticks)]


def loads(variant: Variant, effort: Effort) -> list[Load]:
    """What a variant is measured beside."""
    return [load for load in CHOSEN[variant] if load.count < 2 or not effort.few]


def probe(load: Load, duration_ms: float, variant: Variant) -> Probe:
    """A run at 1,000 queries/s; the environment tells our plug-in who is busy."""
    counts = {"min_duration": float(duration_ms), "target_qps": QPS, "min_query_count": 1.0}
    inside = {"LGH_BENCH_BUSY": f"{load.place}:{load.count}"} if load.count else {}
    benchmark = "echo" if variant.postprocess else "instant"  # only where responses are made after the model
    return Probe(Scenario.SERVER, {**counts, "target_latency": LIMIT_MS}, MAX_BATCH, benchmark, inside)


def seconds(effort: Effort) -> float:
    """About 1.2 s a run to start and end."""
    shares = [1.0 if load.count < 2 else 1 / SECOND for each in CHOSEN for load in loads(each, effort)]
    return effort.pairs * sum(shares) * (effort.server_ms / 1e3 + 1.2)


PART = Part(
    "busy", f"Server at {QPS:,.0f} queries/s beside busy Python, p99 in ms", seconds, measure, "ratio to the C++ queue"
)
