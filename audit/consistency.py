"""Checks that recompute: log against log, samples.npy against LoadGen, responses against the data set, digests.

Our clock starts when LoadGen hands a query over, its own at the scheduled time, and ours stops just after completion:
our latencies may exceed LoadGen's by the clock reading alone; how far they lie below is what the hand-over cost.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from audit.case import ACCURACY_LOG, Case, Check
from audit.finding import Finding, Severity
from loadgen_harness import metrics

SHARE = 0.05  # tolerance between our clock and LoadGen's, beside a floor in ns:
FLOOR_NS = {"Server": 6_000_000}  # other threads may hold Python's lock for 5 ms before our clock is read
STREAM_FLOOR_NS = 1_000_000
_CLAUSE = "this suite's own record of every sample against LoadGen's log"


def offline_rate(case: Case) -> Iterator[Finding]:
    """Offline: samples in the query = rate x longest latency."""
    keys = ("generated_samples_per_query", "result_samples_per_second", "result_max_latency_ns")
    samples, rate, latency = map(case.number, keys)
    samples = samples or case.number("effective_samples_per_query")  # equal issue generates whole data sets
    if case.run.scenario != "Offline" or not (samples and rate and latency):
        return
    if abs(rate * latency / 1e9 / samples - 1) > 1e-4:
        wanted = f"{samples / latency * 1e9:.6g}"
        clause = "LoadGen: samples divided by the longest latency"
        yield case.finding("consistency", keys[1], wanted, clause=clause, fix="Submit the log as LoadGen wrote it.")


def sample_count(case: Case) -> Iterator[Finding]:
    """samples.npy holds as many samples as LoadGen counted."""
    table = case.run.samples
    if table is None or case.run.mode not in ("PerformanceOnly", "AccuracyOnly"):
        return
    keys = (
        ("result_query_count", "effective_samples_per_query")
        if case.performance
        else ("effective_accuracy_sample_count",)
    )
    counts = [case.number(key) for key in keys]
    wanted = int(np.prod([count for count in counts if count is not None]))
    if None not in counts and len(table) != wanted and not _left_out(case):
        yield _recomputed(case, "sample-count", "rows", str(len(table)), f"{wanted}, as LoadGen counted")


def sample_times(case: Case) -> Iterator[Finding]:
    """Every row of samples.npy has its times in order: issued, dequeued, started, computed, done."""
    table = case.run.samples
    if table is None or not len(table):
        return
    stamps = [table[name] for name in ("issued", "dequeued", "started", "computed", "done")]
    late = sum(int(np.count_nonzero(earlier > later)) for earlier, later in pairwise(stamps))
    if late:
        yield _recomputed(case, "sample-times", "issued..done", f"{late} steps backwards", "times in order")


def tail(case: Case) -> Iterator[Finding]:
    """The percentile recomputed from samples.npy agrees with LoadGen's."""
    spans, name = _spans(case)
    if spans is None or not len(spans) or not case.limits.percentile:
        return
    key = f"result_{case.limits.percentile * 100:.2f}_percentile_{name}_ns"
    logged, ours = case.number(key), metrics.percentile(spans, case.limits.percentile)
    floor = FLOOR_NS.get(case.run.scenario, STREAM_FLOOR_NS)
    if logged is None or abs(ours - logged) <= max(SHARE * logged, floor):
        return
    severity = Severity.ERROR if ours > logged else Severity.WARNING
    wanted = f"{logged:.0f} ns within 5 % and {floor / 1e6:g} ms"
    yield _recomputed(case, "percentile-recomputed", key, f"{ours} ns", wanted, severity)


def early_stopping(case: Case) -> Iterator[Finding]:
    """Early stopping recomputed from samples.npy: enough queries for those over the limit."""
    spans, _ = _spans(case)
    if spans is None or not case.limits.percentile or case.log.get("early_stopping_met") is not True:
        return
    for over in _over_limit(case, spans) if case.server else [1]:
        wanted = metrics.early_stopping_minimum(over, case.limits.percentile)
        if len(spans) < wanted:
            found = f"{len(spans)} queries, {over} over the limit"
            yield _recomputed(case, "early-stopping-recomputed", "queries", found, f">= {wanted}")


def _over_limit(case: Case, spans: np.ndarray) -> list[int]:
    """Queries over each latency limit in force: end to end, or first token and time per output token."""
    if not case.log.get("requested_use_token_latencies"):
        limit = case.number("effective_target_latency_ns")
        return [int(np.count_nonzero(spans > limit))] if limit else []
    table = case.run.samples
    if table is None:
        return []
    times = metrics.token_times(table)
    pairs = ((times.ttft_ns, "requested_server_ttft_latency"), (times.tpot_ns, "requested_server_tpot_latency"))
    limits = [(values, case.number(key)) for values, key in pairs]
    return [int(np.count_nonzero(values > limit)) for values, limit in limits if limit]


def responses(case: Case) -> Iterator[Finding]:
    """An accuracy run answers each sample exactly once and with something; needs the untruncated log."""
    entries = case.run.response_entries
    if case.performance or not entries:
        return
    repeated = sum(1 for n in Counter(entry.qsl_idx for entry in entries).values() if n > 1)
    wanted = case.number("effective_accuracy_sample_count")
    if repeated or (wanted is not None and len(entries) != wanted):
        yield case.finding(
            "responses",
            "entries",
            f"{wanted:.0f} samples once each" if wanted is not None else "each sample once",
            file=ACCURACY_LOG,
            found=f"{len(entries)} responses, {repeated} samples repeated",
            clause="inference_rules.adoc, LoadGen Operation: accuracy runs use each sample exactly once",
            fix="Repeat the accuracy run.",
        )
    empty = sum(1 for entry in entries if not entry.data)
    if empty:
        yield case.finding(
            "empty-responses",
            "data",
            "a response to every sample",
            severity=Severity.WARNING,
            file=ACCURACY_LOG,
            found=f"{empty} empty responses",
            clause="inference_rules.adoc, LoadGen Operation",
            fix="Look for samples that the backend failed on.",
        )


def digests(case: Case) -> Iterator[Finding]:
    """Every file still is what run.json says it was."""
    for name, wanted in (case.run.meta.get("digests") or {}).items():
        path = case.run.file(name)
        found = _sha256(path) if path.is_file() else "missing"
        if found != wanted:
            yield case.finding(
                "digest",
                name,
                wanted,
                file=name,
                found=found,
                clause="run.json: SHA-256 of every file when the run ended",
                fix="Restore the file or repeat the run: logs may not be edited.",
            )


def _spans(case: Case) -> tuple[np.ndarray | None, str]:
    """Latencies as LoadGen's verdict sees them, per query in MultiStream, and the name they go by in its log."""
    table = case.run.samples
    if table is None or case.run.mode != "PerformanceOnly" or case.run.scenario == "Offline" or _left_out(case):
        return None, ""
    begun = np.where(table["scheduled"] > 0, table["scheduled"], table["issued"])  # LoadGen counts from its schedule
    if case.run.scenario != "MultiStream":
        return table["done"] - begun, "latency"
    order = np.argsort(table["issued"], kind="stable")
    starts = np.flatnonzero(np.diff(table["issued"][order], prepend=-1))
    if not len(starts):
        return None, ""
    return np.maximum.reduceat(table["done"][order], starts) - begun[order][starts], "per_query_latency"


def _left_out(case: Case) -> bool:
    """Whether the record stopped at its limit, so that it says nothing about the whole run."""
    return bool(case.run.meta.get("samples_left_out"))


def _recomputed(
    case: Case, check: str, key: str, found: str, wanted: str, severity: Severity = Severity.ERROR
) -> Finding:
    fix = "Repeat the run; if it happens again, report it as a fault of this suite."
    return Finding(check, severity, "samples.npy", key, found, wanted, _CLAUSE, fix)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


CHECKS: tuple[Check, ...] = (
    offline_rate,
    sample_count,
    sample_times,
    tail,
    early_stopping,
    responses,
    digests,
)
