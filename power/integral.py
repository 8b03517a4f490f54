"""Energy from samples, as pure functions of arrays: seconds, watts, joules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Values = Sequence[float] | np.ndarray


def merged(times_s: Values, values: Values) -> tuple[np.ndarray, np.ndarray]:
    """The signal in order of time, samples with one and the same stamp averaged."""
    times, places = np.unique(np.asarray(times_s, dtype=float), return_inverse=True)
    sums = np.bincount(places, weights=np.asarray(values, dtype=float), minlength=len(times))
    return times, sums / np.bincount(places, minlength=len(times))


def integrate(times_s: Values, watts: Values, begin: float, end: float) -> float:
    """Joules from `begin` to `end` by the trapezoidal rule, interpolated at both edges.

    Raises ValueError where the samples do not cover the window: nothing is extrapolated.
    """
    times, powers = _covering(times_s, watts, begin, end)
    inside = (times > begin) & (times < end)
    grid = np.concatenate(([begin], times[inside], [end]))
    levels = np.interp(grid, times, powers)
    return float(np.sum((levels[1:] + levels[:-1]) / 2 * np.diff(grid)))


def counted(times_s: Values, joules: Values, begin: float, end: float) -> float:
    """Joules from `begin` to `end` as the difference of a running count, interpolated at both edges."""
    times, counts = _covering(times_s, joules, begin, end)
    first, last = np.interp([begin, end], times, counts)
    return float(last - first)


def _covering(times_s: Values, values: Values, begin: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    times, merged_values = merged(times_s, values)
    if not len(times) or not times[0] <= begin <= end <= times[-1]:
        raise ValueError(f"samples do not cover the window {begin} to {end}")
    return times, merged_values
