"""Metrics of predicted probabilities: normalised entropy (He et al. 2014), accuracy, AUC, AUC per group (Zhou 2018)."""

from __future__ import annotations

import math

import numpy as np

from benchmarks._metrics.correlation import ranks
from benchmarks._metrics.intervals import Z95

TINY = 1e-12  # probabilities are kept this far from 0 and 1
HALF = 0.5


def cross_entropy(found: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The weighted sum in bits."""
    kept = np.clip(found.astype(np.float64), TINY, 1 - TINY)
    return float(-(weights * (labels * np.log2(kept) + (1 - labels) * np.log2(1 - kept))).sum())


def background_entropy(positive: float, negative: float) -> float:
    """The sum in bits of a predictor that always says the share of positive labels."""
    share = min(max(positive / max(positive + negative, TINY), TINY), 1 - TINY)
    return -(positive * math.log2(share) + negative * math.log2(1 - share))


def right(found: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """The weight of predictions on the label's side of one half."""
    return float((weights * ((found >= HALF) == labels)).sum())


def group_auc(found: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """Chance that a positive of the group stands above a negative; nan where labels or predictions are all alike.

    Equal predictions keep their order, as in the reference, which sorts and sums.
    """
    if not ((found != found[0]) & (found != 0)).any():
        return math.nan
    order = np.argsort(found, kind="stable")
    label, weight = labels[order].astype(float), weights[order].astype(float)
    positive, negative = label * weight, (1 - label) * weight
    if not (positive.sum() > 0 and negative.sum() > 0):
        return math.nan
    return float((positive * np.cumsum(negative)).sum() / (positive.sum() * negative.sum()))


def auc(found: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Area under the ROC curve with its 95 % interval by DeLong (1988); nan where labels are all alike."""
    above, below = found[labels == 1], found[labels == 0]
    if not len(above) or not len(below):
        return math.nan, math.nan, math.nan
    all_ranks = ranks(np.concatenate([above, below]))
    of_above = (all_ranks[: len(above)] - ranks(above)) / len(below)
    of_below = 1 - (all_ranks[len(above) :] - ranks(below)) / len(above)
    area = float(of_above.mean())
    half = Z95 * math.sqrt(_spread(of_above) + _spread(of_below))
    return area, max(0.0, area - half), min(1.0, area + half)


def _spread(values: np.ndarray) -> float:
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0
