"""95 % intervals of measured accuracies."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Z95 = 1.959963984540054  # the normal distribution's 97.5 % point


def wilson(correct: int, n: int) -> tuple[float, float]:
    """The Wilson score interval of `correct` out of `n` (Wilson 1927); (0, 1) where n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = correct / n, Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # Rounding must not push an end past the share itself where the two are equal.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def bootstrap(
    function: Callable[[np.ndarray], float], data: np.ndarray, *, n_resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The percentile interval of `function` over rows of `data` drawn with replacement (Efron 1979).

    A resample for which `function` gives nan (all rows alike, say) does not count.
    """
    draw = np.random.default_rng(seed)
    values = [function(data[draw.integers(0, len(data), len(data))]) for _ in range(n_resamples)]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
