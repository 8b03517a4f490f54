"""The 95 % interval of measured joules: the meter's gain, its resolution, what lies between samples, clocks and lag.

The model, each term taken from what the meter states or from the readings themselves:

- *Gain*: one relative error of the meter, normal, 95 % of it within its stated `uncertainty`.
- *Between samples* (sampled meters): the power is a slow part, whose steps from sample to sample are independent, and a
  fast part that is another at every sample. The covariance of neighbouring steps tells the two apart: the trapezoid
  then errs by h²·step²/12 an interval for the slow part (a Brownian bridge, or one jump anywhere in the interval) and
  by h²·variance for the fast one. A reading that is a mean over `averaging_s` has seen that share of its interval. The
  steps of a smooth curve follow each other: for them little remains, as the rule is exact on ramps.
- *Edges*: LoadGen's window begins and ends between two readings, as a rule with a jump of the power. A count that is
  interpolated there errs by at most f(1-f)·h·jump at a share f of the interval. Both edges err the same way.
- *Lag*: a mean over the last `averaging_s` stands for the time half of that before; its stamps are moved (`moved_s`) as
  far as the samples reach, and what remains (the blur of a jump, a move that fell short) is a bounded error.
- *Resolution*: readings on one level share one rounding error, uniform within half a step; counts are rounded once an
  edge.
- *Clocks*: LoadGen prints milliseconds; the samples' clock may be off by `clock_s`.

Independent terms add up as variances; the largest bounded one stays uniform, so that an interval that it rules is not
too wide. The least possible half-width is that of the interval around the same estimate that holds 95 % of the errors
of one known signal; tests/power/test_uncertainty.py holds this module to twice that.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, exp, pi, sqrt

import numpy as np

from power.integral import merged
from power.measurement import Measurement

NORMAL_95 = 1.959964
UNIFORM_95 = 0.95
FEW = 8.0  # a variance told from n steps is uncertain itself: as Student's t is wider, by about this over n
STAMP_S = 0.001  # LoadGen's stamps are rounded to milliseconds


@dataclass(frozen=True)
class Signal:
    """The readings in and around a window: `powers` of the steps between `times`, or at them where they are sampled."""

    times: np.ndarray
    powers: np.ndarray
    begin: float
    end: float


@dataclass(frozen=True)
class Errors:
    """All but the gain: the variance of what is normal, bounds of what is uniform, and what the edges cost at most."""

    variance: float
    bounds: tuple[float, ...] = ()
    edges: float = 0.0


def half_width(measurement: Measurement, begin: float, end: float, joules: float) -> float:
    """Half the 95 % interval of the joules of a window that the samples cover."""
    gain = (measurement.uncertainty * joules / NORMAL_95) ** 2
    if len(np.unique(measurement.times_s)) < 2:
        return NORMAL_95 * sqrt(gain)
    errors = (_sampled if measurement.joules is None else _counted)(measurement, begin, end)
    widest = max(errors.bounds, default=0.0)
    rest = max(0.0, sum(bound**2 for bound in errors.bounds) - widest**2) / 3
    return quantile(sqrt(gain + errors.variance + rest), widest, errors.edges)


def moved_s(measurement: Measurement, end: float) -> float:
    """How far before its stamp a reading stands: half of what it is a mean over, less where the samples end early."""
    times = measurement.times_s
    if measurement.joules is not None or not len(times):
        return 0.0
    return max(0.0, min(measurement.averaging_s / 2, float(times.max()) - end))


def quantile(sigma: float, bound: float, shift: float = 0.0) -> float:
    """What 5 % of sums exceed in size: a normal error, one uniform within ± `bound`, and `shift`, always the same."""
    if sigma <= 1e-9 * (bound + shift):
        return shift + UNIFORM_95 * bound
    bound = max(bound, 1e-3 * sigma)
    low, high = 0.0, NORMAL_95 * sigma + bound + shift
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, sigma, bound, shift) < 0.95 else (low, middle)
    return high


def _within(width: float, sigma: float, bound: float, shift: float) -> float:
    """The share of such sums within ± `width`."""
    upper, lower = (
        (_ramp((end - shift + bound) / sigma), _ramp((end - shift - bound) / sigma)) for end in (width, -width)
    )
    return sigma / (2 * bound) * (upper[0] - upper[1] - lower[0] + lower[1])


def _ramp(x: float) -> float:
    """The integral of the normal distribution up to x."""
    return x * (1 + erf(x / sqrt(2))) / 2 + exp(-x * x / 2) / sqrt(2 * pi)


def _sampled(measurement: Measurement, begin: float, end: float) -> Errors:
    """Of the trapezoid over readings."""
    moved = moved_s(measurement, end)
    times, powers = merged(measurement.times_s - moved, measurement.watts)
    first, last = _cut(times, begin, end)
    around = Signal(times, powers, begin, end)
    times, powers = times[first : last + 1], powers[first : last + 1]
    widths, steps = np.diff(times), np.diff(powers)
    fast, share = _parts(steps)
    ratio = measurement.averaging_s / float(np.median(widths))
    blind = max(0.0, 1 - ratio) ** 2  # of a slow step that no reading has seen
    slow = blind * share * (steps * widths) ** 2 / 12
    slow[[0, -1]] = 0.0  # these are the edges
    weights = _weights(times, begin, end)
    widest = float(slow.max(initial=0.0))
    variance = float(np.sum(slow)) - widest + _unseen(ratio) * fast * float(np.sum(weights**2))
    variance += _blur(measurement.averaging_s, ratio, fast, share * float(np.mean(steps**2)))
    rounding = measurement.resolution / 2 * np.bincount(np.unique(powers, return_inverse=True)[1], weights=weights)
    bounds = (sqrt(3 * widest), *rounding.tolist())
    return Errors(variance + _stamps(powers[0], powers[-1]), bounds, _edges(around, measurement, moved))


def _counted(measurement: Measurement, begin: float, end: float) -> Errors:
    """Of a running count, where nothing is lost between samples but at the edges."""
    times, counts = merged(measurement.times_s, measurement.joules if measurement.joules is not None else ())
    widths = np.diff(times)
    powers = np.diff(counts) / widths
    first, last = _cut(times, begin, end)
    inside = powers[first:last]
    fast, _ = _parts(np.diff(inside))
    bound = variance = 0.0
    for place, when in ((first, begin), (last - 1, end)):
        f = (when - times[place]) / widths[place]
        beside = powers[max(0, place - 1) : place + 2]
        bound += f * (1 - f) * widths[place] * float(np.ptp(beside))
        variance += f * (1 - f) * widths[place] ** 2 * fast
    bound += measurement.clock_s * _jump(Signal(times[1:], powers, begin, end), 0.0)
    return Errors(variance + measurement.resolution**2 / 6 + _stamps(inside[0], inside[-1]), edges=bound)


def _cut(times: np.ndarray, begin: float, end: float) -> tuple[int, int]:
    """The readings around the window: the last not after its begin, the first not before its end."""
    first = max(0, int(np.searchsorted(times, begin, side="right")) - 1)
    return first, max(first + 1, min(len(times) - 1, int(np.searchsorted(times, end, side="left"))))


def _parts(steps: np.ndarray) -> tuple[float, float]:
    """The variance of the fast part, and the share of the steps' squares that the slow part has."""
    if len(steps) < 3:
        return 0.0, 1.0
    square = float(np.mean(steps**2))
    if square == 0:
        return 0.0, 0.0
    together = float(np.mean(steps[1:] * steps[:-1]))
    fast = min(max(0.0, -together), square / 2)
    return fast * (1 + FEW / len(steps)), max(0.0, square - max(together, 2 * fast)) / square


def _unseen(ratio: float) -> float:
    """The share of the fast part that means over `ratio` intervals do not average away."""
    over = ratio - int(ratio)
    return 1.0 if not ratio else over * (1 - over) / ratio


def _weights(times: np.ndarray, begin: float, end: float) -> np.ndarray:
    """How many seconds each reading stands for, about: the trapezoid's weights cut to the window."""
    edges = np.clip(np.concatenate(([begin], (times[1:] + times[:-1]) / 2, [end])), begin, end)
    return np.diff(edges)


def _blur(averaging_s: float, ratio: float, fast: float, slow: float) -> float:
    """The variance of noise at both edges that cut through means: of disjoint ones, or of ones that overlap."""
    if ratio <= 1:
        return averaging_s**2 * fast / 3
    return averaging_s**2 * (fast / 3 + ratio * slow / 12)


def _edges(around: Signal, measurement: Measurement, moved: float) -> float:
    """The bound of what jumps at the two edges cost."""
    bound, times = 0.0, around.times
    first, last = _cut(times, around.begin, around.end)
    for place, inner in ((first, times[first + 1] - around.begin), (last - 1, around.end - times[last - 1])):
        width = times[place + 1] - times[place]
        a = min(1.0, inner / width)
        step = abs(around.powers[place + 1] - around.powers[place])
        bound += step * width * sqrt(a**3 - 0.75 * a**4)
    lag = measurement.averaging_s / 8 * 2 + max(0.0, measurement.averaging_s / 2 - moved)
    jump = _jump(around, measurement.averaging_s / 2)
    return bound + (lag + measurement.clock_s) * jump


def _jump(around: Signal, reach: float) -> float:
    """By how much the power changes at an edge: the larger range of the readings about one."""
    return max(_range(around, when, reach) for when in (around.begin, around.end))


def _range(around: Signal, when: float, reach: float) -> float:
    low = max(0, int(np.searchsorted(around.times, when - reach, side="right")) - 1)
    high = int(np.searchsorted(around.times, when + reach, side="left")) + 1
    return float(np.ptp(around.powers[low:high])) if len(around.powers[low:high]) else 0.0


def _stamps(*powers: float) -> float:
    """The variance of LoadGen's rounded stamps at both edges."""
    return sum(power**2 for power in powers) * STAMP_S**2 / 12
