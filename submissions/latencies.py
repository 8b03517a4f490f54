"""The latencies of one run as arrays: of samples, or of queries where LoadGen judges those."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from loadgen_harness.metrics import token_times
from loadgen_harness.run import Run
from submissions import anatomy

NAMES = {"MultiStream": "latency per query", "Offline": "time until done"}
NOUNS = {"MultiStream": ("query", "queries")}
PACED = 64  # Offline: the stretches of equally many samples whose pace is compared


def of(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(seconds since start, latency in ns) per sample; per query in MultiStream, which is what LoadGen judges there."""
    table = run.samples
    if table is None or not len(table):
        return np.empty(0), np.empty(0)
    begun = np.where(table["scheduled"] > 0, table["scheduled"], table["issued"]).astype(float)
    done = table["done"].astype(float)
    if run.scenario == "MultiStream":
        begun, query = np.unique(begun, return_inverse=True)
        last = np.zeros(len(begun))
        np.maximum.at(last, query, done)
        done = last
    return (begun - begun.min()) / 1e9, done - begun


def kinds(run: Run) -> Iterator[tuple[str, np.ndarray]]:
    """Each kind of latency with its values in ns: the run's own, and those of tokens where there are first tokens."""
    yield NAMES.get(run.scenario, "latency"), of(run)[1]
    if run.samples is not None and anatomy.streams(run.samples):
        times = token_times(run.samples)
        yield "time to first token", times.ttft_ns
        yield "time per output token", times.tpot_ns


def paces(run: Run) -> np.ndarray:
    """What is to be steady, in the order of time: latencies, and in Offline ns per sample of successive stretches."""
    seconds, latencies = of(run)
    if run.scenario != "Offline" or len(latencies) < 2 * PACED:
        return latencies[np.argsort(seconds, kind="stable")] if run.scenario != "Offline" else np.empty(0)
    done = np.sort(latencies)
    edges = np.linspace(0, len(done) - 1, PACED + 1).astype(int)
    return np.asarray(np.diff(done[edges]) / np.diff(edges))


def waiting(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(seconds since start, samples issued and not yet taken by a worker) as each sample of a Server run arrives."""
    table = run.samples
    if table is None or not len(table) or run.scenario != "Server":
        return np.empty(0), np.empty(0)
    arrived = np.sort(table["issued"])
    gone = np.searchsorted(np.sort(table["dequeued"]), arrived, side="right")
    return (arrived - arrived[0]) / 1e9, np.maximum(np.arange(1, len(arrived) + 1) - gone, 0)


def throughput(run: Run) -> float | None:
    """Samples finished per second, from the first issue to the last completion; None without a record."""
    table = run.samples
    if table is None or not len(table):
        return None
    span = float(table["done"].max() - table["issued"].min())
    return len(table) * 1e9 / span if span > 0 else None
