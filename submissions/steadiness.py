"""Whether a run was steady: slow first samples, a trend over the run, and samples far slower than the others.

A hint for people, no verdict: successive latencies of a queue depend on each other, which no test here allows for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from submissions.numbers import THIN, duration, number

BLOCKS = 20  # parts of a run whose medians are compared
LEAST = 3 * BLOCKS  # samples; with fewer nothing is said of warm-up or drift
WORTH = 0.05  # smaller differences are not worth a word
CLEAR = 2.58  # standard deviations of Kendall's S past which there is a trend (99 %)
FAR = 3.0  # quartile distances, of the logarithms, above the upper quartile: Tukey's "far out"
AT_LEAST = 1.5  # times the median: where all others are equal, nothing below this is an outlier


@dataclass(frozen=True)
class Steadiness:
    """Shares: `warm_up` of the first twentieth against the rest, `drift` from the second block to the last one.

    0.2 is 20 % slower. Each is 0 where it cannot be told from noise; `judged` is False for too few samples.
    """

    judged: bool = False
    warm_up: float = 0.0
    drift: float = 0.0
    outliers: int = 0
    slowest_ns: float = 0.0
    count: int = 0

    def text(self, *, single: bool = True) -> str:
        """What there is to say, in a line; `single` values are samples or queries, others are stretches of them."""
        parts = []
        if self.warm_up:
            parts.append(f"warm-up: the first 5{THIN}% are {_change(self.warm_up)}")
        if self.drift:
            parts.append(f"drift: {_change(self.drift)} at the end")
        if self.outliers and single:
            part = f"{number(100 * self.outliers / self.count, 2)}{THIN}%"
            name = "outlier" if self.outliers == 1 else "outliers"
            parts.append(f"{number(self.outliers)} {name} ({part}), the slowest {duration(self.slowest_ns)}")
        if not self.judged:
            parts.append("too few samples to tell warm-up or drift")
        return "; ".join(parts) or f"steady: no warm-up, no drift{', no outliers' if single else ''}"


def steadiness(values: np.ndarray) -> Steadiness:
    """What can be said of values (larger is slower) in the order of time."""
    if not len(values):
        return Steadiness()
    far = outliers(values)
    found = Steadiness(judged=False, outliers=int(far.sum()), slowest_ns=float(values.max()), count=len(values))
    if len(values) < LEAST:
        return found
    medians = np.array([np.median(block) for block in np.array_split(values, BLOCKS)])
    return replace(found, judged=True, warm_up=_warm_up(medians), drift=_drift(medians[1:]))


def outliers(values: np.ndarray) -> np.ndarray:
    """Which values lie far above all others, as a mask: past Tukey's outer fence of the logarithms."""
    if len(values) < LEAST or values.min() <= 0:
        return np.zeros(len(values), dtype=bool)
    low, middle, high = np.quantile(np.log(values), (0.25, 0.5, 0.75))
    fence = max(high + FAR * (high - low), middle + math.log(AT_LEAST))
    return np.asarray(np.log(values) > fence)


def _warm_up(medians: np.ndarray) -> float:
    """How much the first block differs from the median of the others, 0 where it lies among them."""
    first, rest = medians[0], medians[1:]
    change = _share(first, float(np.median(rest)))
    return change if abs(change) >= WORTH and not rest.min() <= first <= rest.max() else 0.0


def _drift(medians: np.ndarray) -> float:
    """Theil and Sen's slope over all blocks as a share of the median, 0 where Kendall's S shows no clear trend."""
    count = len(medians)
    earlier, later = np.triu_indices(count, 1)
    steps = medians[later] - medians[earlier]
    score = abs(float(np.sign(steps).sum())) - 1
    spread = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    slope = float(np.median(steps / (later - earlier)))
    change = slope * (count - 1) / (float(np.median(medians)) or 1.0)
    return change if score / spread > CLEAR and abs(change) >= WORTH else 0.0


def _share(value: float, base: float) -> float:
    return float(value / base - 1) if base else 0.0


def _change(share: float) -> str:
    return f"{number(abs(100 * share), 2)}{THIN}% {'slower' if share > 0 else 'faster'}"
