"""LoadGen's arithmetic as pure functions: percentiles, early stopping, latency anatomy, token metrics.

Early stopping follows the MLPerf Inference rules, appendix "Early stopping": a run passes when the chance of seeing so
few over-latency queries, were the true percentile worse than claimed, is at most 1 - confidence.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.99
FAR = 40  # standard deviations past which a chance is nothing


def percentile(latencies_ns: np.ndarray, fraction: float) -> int:
    """LoadGen's percentile: element `floor(n * fraction)` of the sorted latencies; raises ValueError for none."""
    if len(latencies_ns) == 0:
        raise ValueError("no latencies")
    rank = min(int(len(latencies_ns) * fraction), len(latencies_ns) - 1)
    return int(np.partition(latencies_ns, rank)[rank])


@functools.cache
def early_stopping_passes(queries: int, overlatency: int, fraction: float, confidence: float = CONFIDENCE) -> bool:
    """Whether so many queries pass with `overlatency` of them over the limit: the criterion evaluated once."""
    return overlatency < queries and _odds(queries, overlatency, fraction) < 1 - confidence


@functools.cache
def early_stopping_minimum(overlatency: int, fraction: float, confidence: float = CONFIDENCE) -> int:
    """Fewest queries in all with which a run that has `overlatency` queries over its limit still passes."""
    low, high = 1, math.ceil(math.log(1 - confidence) / math.log(fraction))
    while _odds(high + overlatency, overlatency, fraction) >= 1 - confidence:
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        if _odds(middle + overlatency, overlatency, fraction) < 1 - confidence:
            high = middle
        else:
            low = middle + 1
    return low + overlatency


def early_stopping_allowance(queries: int, fraction: float, confidence: float = CONFIDENCE) -> int | None:
    """Most over-latency queries that `queries` in all may hold; None where even none is too few queries."""
    if queries < early_stopping_minimum(0, fraction, confidence):
        return None
    low, high = 0, queries
    while low < high:
        middle = (low + high + 1) // 2
        if queries >= early_stopping_minimum(middle, fraction, confidence):
            low = middle
        else:
            high = middle - 1
    return low


def early_stopping_estimate(latencies_ns: np.ndarray, fraction: float) -> int | None:
    """LoadGen's early-stopping percentile estimate for SingleStream and MultiStream; None for too few queries."""
    allowed = early_stopping_allowance(len(latencies_ns), fraction)
    if not allowed:  # the estimate discards at least the single slowest query's claim: t >= 1 is needed
        return None
    rank = len(latencies_ns) - allowed
    return int(np.partition(latencies_ns, rank)[rank])


def _odds(queries: int, overlatency: int, fraction: float) -> float:
    """Chance of at most `overlatency` over-limit queries among `queries`, each over with chance 1 - fraction."""
    mean, spread = queries * (1 - fraction), FAR * math.sqrt(queries * fraction * (1 - fraction)) + FAR
    first, last = max(0, math.floor(mean - spread)), min(overlatency, math.ceil(mean + spread))
    if last < first:
        return 0.0
    terms = np.arange(first, last + 1)
    steps = np.log((queries - terms[:-1]) / (terms[:-1] + 1)) + math.log((1 - fraction) / fraction)
    ways = math.lgamma(queries + 1) - math.lgamma(first + 1) - math.lgamma(queries - first + 1)
    begin = ways + first * math.log(1 - fraction) + (queries - first) * math.log(fraction)
    return float(np.exp(begin + np.concatenate([[0.0], np.cumsum(steps)])).sum())


@dataclass(frozen=True)
class Anatomy:
    """Where the mean and the p99 latency of a run went, in ns.

    LoadGen behind its schedule, waiting for a worker, in the batch, computing, on the way back; then all of it.
    """

    schedule_ns: tuple[float, float]
    queueing_ns: tuple[float, float]
    batching_ns: tuple[float, float]
    compute_ns: tuple[float, float]
    completion_ns: tuple[float, float]
    total_ns: tuple[float, float]


def anatomy(samples: np.ndarray) -> Anatomy:
    """Latency anatomy of `samples` (the structured array of samples.npy); each pair is mean and p99.

    Where the driver cannot know the schedule, latency counts from issue, as it does in LoadGen but for Server.
    """
    begun = np.where(samples["scheduled"] > 0, samples["scheduled"], samples["issued"])
    spans = (
        samples["issued"] - begun,
        samples["dequeued"] - samples["issued"],
        samples["started"] - samples["dequeued"],
        samples["computed"] - samples["started"],
        samples["done"] - samples["computed"],
        samples["done"] - begun,
    )
    return Anatomy(*((float(span.mean()), float(percentile(span, 0.99))) for span in spans))


@dataclass(frozen=True)
class TokenTimes:
    """Token latencies of a streaming run in ns, one entry per sample."""

    ttft_ns: np.ndarray
    tpot_ns: np.ndarray
    tokens: np.ndarray


def token_times(samples: np.ndarray) -> TokenTimes:
    """Time to first token and time per output token after it, (done - first) / (tokens - 1), per sample.

    The first token's counts from the scheduled time, where it is known, as LoadGen's does.
    """
    streamed = samples[(samples["first_token"] > 0) & (samples["tokens"] > 1)]
    begun = np.where(streamed["scheduled"] > 0, streamed["scheduled"], streamed["issued"])
    return TokenTimes(
        ttft_ns=streamed["first_token"] - begun,
        tpot_ns=(streamed["done"] - streamed["first_token"]) / (streamed["tokens"] - 1),
        tokens=streamed["tokens"],
    )
