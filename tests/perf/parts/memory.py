"""Memory that completing millions of samples takes, beyond LoadGen's own records and samples.npy."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from tests.perf import variants as v
from tests.perf.parts.offline import probe
from tests.perf.ratios import Row, row
from tests.perf.session import Effort, Part, Session
from tests.perf.variants import Variant

BASE = 500_000  # both runs of a difference are past what merely starting takes
BATCH = 4096
CHOSEN = (v.CPP_INLINE, v.PYTHON_INLINE, v.NATIVE_INLINE, v.NATIVE_THREAD, v.NATIVE_PROCESS)
GROWTH, RECORD, BEYOND = "growth", "samples.npy", "growth beyond LoadGen's and samples.npy"


def measure(session: Session) -> list[Row]:
    """Bytes per completed sample: peak of a run of BASE + n samples less that of BASE samples, divided by n."""
    growths: dict[str, list[float]] = defaultdict(list)
    records: dict[str, list[float]] = defaultdict(list)
    for _, variant in session.rounds(CHOSEN, session.effort.memory_runs):
        grown, recorded = growth(session, variant)
        growths[variant.name].append(grown)
        records[variant.name].append(recorded)
    loadgen = float(np.median(growths[v.CPP_INLINE.name]))
    rows = []
    for name, values in growths.items():
        beyond = [value - loadgen - record for value, record in zip(values, records[name], strict=True)]
        for case, table in ((GROWTH, values), (RECORD, records[name]), (BEYOND, beyond)):
            rows.append(row(("memory", case, name), "bytes/sample", table))
    return rows


def growth(session: Session, variant: Variant) -> tuple[float, float]:
    """Peak memory and samples.npy, bytes per sample."""
    more = session.effort.memory_samples
    small = session.run(variant, probe(BASE, BATCH), f"memory, {BASE:,} samples")
    large = session.run(variant, probe(BASE + more, BATCH), f"memory, {BASE + more:,} samples")
    peak, record = large.peak_bytes - small.peak_bytes, large.record_bytes - small.record_bytes
    return peak / more, record / more


def seconds(effort: Effort) -> float:
    """The binding about 4 us a sample, the rest 1 us at most."""
    return effort.memory_runs * (len(CHOSEN) * 3.0 + (effort.memory_samples + 2 * BASE) * 7e-6)


PART = Part("memory", "Peak memory, bytes per completed sample", seconds, measure)
