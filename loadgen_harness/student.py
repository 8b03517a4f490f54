"""Student's t: how far the mean of a few repetitions may be off."""

from __future__ import annotations

import functools
import math

CONFIDENCE = 0.95
LARGEST_T = 1000.0


@functools.cache
def student(freedom: int) -> float:
    """The t that |t| exceeds in 5 % of cases, by bisection; raises ValueError below one degree of freedom."""
    if freedom < 1:
        raise ValueError("no degrees of freedom")
    low, high = 0.0, LARGEST_T
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if inside(middle, freedom) > CONFIDENCE else (middle, high)
    return high


def inside(t: float, freedom: int) -> float:
    """The chance that Student's |t| stays below `t` (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
