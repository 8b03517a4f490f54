"""What power sampling costs LoadGen's process: Server p99 and Offline throughput with and without it, in pairs."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from loadgen_harness import campaign
from loadgen_harness.errors import RunFailed
from loadgen_harness.launch import launch
from loadgen_harness.matrix import interleaved
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario
from power.recorder import record
from tests.perf import variants as v
from tests.perf.ratios import Row, summarized
from tests.perf.session import Effort, Part, Session
from tests.perf.variants import Probe, Variant

WITHOUT, WITH = "no sampling", "sampling"
QPS, LIMIT_MS = 1000.0, 10.0
MODEL = {"per_sample_us": "200", "busy": "true"}  # a fifth of a core at 1,000 queries/s
BENCHMARK = "echo"  # its backend is asked
LONGER = 2  # than the other Server runs: a p99 of more queries
SERVER, OFFLINE = "Server p99 at 1,000 queries/s", "Offline"
CASES = {
    SERVER: ("ms", Scenario.SERVER, "result_99.00_percentile_latency_ns", 1e-6),
    OFFLINE: ("samples/s", Scenario.OFFLINE, "result_samples_per_second", 1.0),
}


def measure(session: Session) -> list[Row]:
    """Both figures of the bridge's thread (else the binding's), each round with and without sampling."""
    rows: list[Row] = []
    variant = (session.here([v.NATIVE_THREAD]) or [v.PYTHON_THREAD])[0]
    meters = campaign.best_meters()
    for case, (unit, scenario, key, scale) in CASES.items():
        measured = defaultdict[str, dict[int, float]](dict)
        for number, way in interleaved((WITHOUT, WITH), session.effort.pairs):
            session.tell(f"power {case}, {way}")
            with sampling(meters if way == WITH else []):
                ended = run(session.folder(), variant, probe(scenario, session.effort))
            value = ended.log.get(key)
            if not isinstance(value, int | float):
                raise RunFailed(f"LoadGen logged no {key}")
            measured[way][number] = float(value) * scale
        rows += summarized("power", case, unit, measured, {"": WITHOUT})
    return rows


def run(folder: Path, variant: Variant, wanted: Probe) -> Run:
    """One test with a model that takes its time."""
    return launch(replace(wanted.spec(variant, folder), options=MODEL))


@contextmanager
def sampling(meters: list[str]) -> Iterator[None]:
    """The sampler as a run has it, its files elsewhere; nothing without meters."""
    with tempfile.TemporaryDirectory(prefix="lgh-power-") as folder, ExitStack() as stack:
        if meters:
            stack.enter_context(record(meters, idle_s=0.0)(Path(folder)))
        yield


def probe(scenario: Scenario, effort: Effort) -> Probe:
    """Server for a while; Offline for as many samples as take the model about as long."""
    if scenario is Scenario.OFFLINE:
        samples = effort.server_ms * LONGER * 1e3 / float(MODEL["per_sample_us"])
        return Probe(scenario, {"min_duration": 1.0, "target_qps": 1.0, "min_query_count": samples}, 64, BENCHMARK)
    counts = {"min_duration": float(effort.server_ms * LONGER), "target_qps": QPS, "min_query_count": 1.0}
    return Probe(scenario, {**counts, "target_latency": LIMIT_MS}, 1, BENCHMARK)


def seconds(effort: Effort) -> float:
    """About 1.6 s a run to start and end, with the sampler."""
    return effort.pairs * 2 * len(CASES) * (effort.server_ms * LONGER / 1e3 + 1.6)


PART = Part("power", "Power sampling beside the run", seconds, measure, "ratio to the same run without sampling")
