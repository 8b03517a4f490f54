"""Scores that are means, sums or ratios over samples, with bootstrap intervals."""

from __future__ import annotations

import numpy as np

from benchmarks._metrics.intervals import bootstrap, wilson
from loadgen_harness.types import Score

MANY = 50_000  # samples from which on fewer resamples say as much


def proportion(metric: str, correct: int, n: int, *, scale: float = 1.0) -> Score:
    """The share of right samples times `scale`, with Wilson's interval."""
    low, high = wilson(correct, n)
    return Score(metric, scale * correct / n, scale * low, scale * high, n, "Wilson")


def mean(metric: str, values: np.ndarray, *, scale: float = 1.0) -> Score:
    """The mean of one value per sample times `scale` (the number of samples makes it their sum)."""
    count = resamples(len(values))
    low, high = bootstrap(lambda part: float(part.mean()), values, n_resamples=count)
    return Score(metric, scale * float(values.mean()), scale * low, scale * high, len(values), f"bootstrap ({count})")


def ratio(metric: str, above: np.ndarray, below: np.ndarray, *, scale: float = 1.0) -> Score:
    """The sum of `above` over the sum of `below` times `scale`, samples drawn together."""
    rows = np.column_stack([above, below]).astype(float)

    def value(part: np.ndarray) -> float:
        total = part.sum(axis=0)
        return scale * float(total[0] / total[1]) if total[1] else float("nan")

    count = resamples(len(rows))
    low, high = bootstrap(value, rows, n_resamples=count)
    return Score(metric, value(rows), low, high, len(rows), f"bootstrap ({count})")


def resamples(n: int) -> int:
    """How often `n` samples are drawn again."""
    return 1000 if n <= MANY else 200
