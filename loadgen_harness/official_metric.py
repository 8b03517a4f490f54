"""The figure that stands for a run in the published tables, by scenario and by release of LoadGen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LARGEST = 1e300  # past that a number in a log is damage, not a result
STREAMS_UNTIL = (2, 0)  # MultiStream's metric was the number of samples that a query may hold
ESTIMATES = ("early_stopping_latency_ss", "early_stopping_latency_ms")
SCHEDULED_UNTIL = (4, 1)  # Server's metric was the scheduled rate


@dataclass(frozen=True)
class Result:
    """The official metric of a run."""

    name: str
    value: float
    unit: str
    key: str


def result(log: Mapping[str, Any], scenario: str, version: str) -> Result | None:
    """The official metric (latencies in ms) of a performance log; None where it is missing or no number.

    LoadGen writes 0 for an early-stopping estimate that it could not make of so few queries: then there is none either.
    """
    tokens = bool(log.get("requested_use_token_latencies"))
    for key, name, unit, scale in _metrics(scenario, tokens, release(version)):
        value = log.get(key)
        if value == 0 and key in ESTIMATES:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST:
            return Result(name, float(value) * scale, unit, key)
    return None


def _metrics(scenario: str, tokens: bool, release: tuple[int, int]) -> list[tuple[str, str, str, float]]:
    """Keys of the official metric of a LoadGen release, best first: (log key, name, unit, scale)."""
    latency = [("early_stopping_latency_ss", "Latency", "ms", 1e-6)]
    if scenario == "SingleStream":
        exact = ("result_90.00_percentile_latency_ns", "Latency", "ms", 1e-6)
        return [exact] if tokens else [*latency, exact]
    if scenario == "MultiStream":
        if release < STREAMS_UNTIL:
            return [("effective_samples_per_query", "Streams", "samples/query", 1.0)]
        exact = ("result_99.00_percentile_per_query_latency_ns", "Latency", "ms", 1e-6)
        return [("early_stopping_latency_ms", "Latency", "ms", 1e-6), exact]
    if scenario == "Server":
        rates = [("result_completed_samples_per_sec", "Queries/s", "queries/s", 1.0)]
        if release < SCHEDULED_UNTIL:
            rates = [("result_scheduled_samples_per_sec", "Queries/s", "queries/s", 1.0), *rates]
        return [("result_completed_tokens_per_second", "Tokens/s", "tokens/s", 1.0), *rates] if tokens else rates
    rate = ("result_samples_per_second", "Samples/s", "samples/s", 1.0)
    return [("result_tokens_per_second", "Tokens/s", "tokens/s", 1.0), rate] if tokens else [rate]


def release(version: str) -> tuple[int, int]:
    """(6, 0) of "6.0.17"; LoadGen called itself ".5a1" until v1.0. The newest where nothing is known."""
    found = re.match(r"(\d{0,6})\.(\d{1,6})", version)
    return (int(found[1] or 0), int(found[2])) if found else (999, 0)
