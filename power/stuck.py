"""Sensors that no longer follow the power: readings that stay the same to the last digit where they should not.

One reading that repeats is no proof: an idle board in a 1 W sensor does that. It is one where

- a counter has not moved, or nothing at all was drawn: whatever can be measured draws power;
- a finer sensor repeats itself: RUN readings or more over at least PERIODS of its averaging times, each the same to a
  thousandth or finer step of its value, while real power flickers by more than that. Where a meter does not state its
  resolution, the digits of the repeated reading tell its step: a whole number may come of a 1 W sensor, 21.37 does not;
- another meter beside it, whose watts are inside this one's, moved by more than it could have missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from power.fault import Fault
from power.integral import counted, merged
from power.measurement import Measurement
from power.parts import covers

RUN = 30  # readings
PERIODS = 10.0
FINE = 1e-3  # of the reading
MISSED = 3.0  # steps
DIGITS = 6  # places after the point in a sample log
FIX = "look at the sensor (a driver that was reloaded, a daemon that hangs), then repeat the run"


def check(measurement: Measurement, begin: float, end: float, beside: Sequence[Measurement] = ()) -> Iterator[Fault]:
    """A sensor that stood still all through the window; an estimate has none."""
    if measurement.estimated:
        return
    times, watts = _inside(measurement, begin, end)
    if measurement.joules is not None:
        if not counted(measurement.times_s, measurement.joules, begin, end):
            yield _fault(measurement, "joules", f"a count that stays at {measurement.joules.max():g} J")
        return
    if len(watts) < 2 or np.ptp(watts):
        return
    level = float(watts[0])
    found = f"{level:g} W in each of {len(watts)} readings"
    if level == 0:
        yield _fault(measurement, "watts", f"{found}: nothing draws no power at all")
        return
    step = measurement.resolution or _last_digit(level)
    if step <= FINE * level and len(watts) >= RUN and times[-1] - times[0] >= PERIODS * measurement.averaging_s:
        yield _fault(measurement, "watts", f"{found}, the same to {step:g} W")
        return
    for other in beside:
        if _around(measurement, other) and _swing(other, measurement, begin, end) > MISSED * step:
            yield _fault(measurement, "watts", f"{found}, while {other.meter}, whose watts they hold, moved")
            return


def _inside(measurement: Measurement, begin: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    times, watts = merged(measurement.times_s, measurement.watts)
    inside = (times >= begin) & (times <= end)
    return times[inside], watts[inside]


def _around(measurement: Measurement, other: Measurement) -> bool:
    """Whether all that `other` measures is a part of what this one does."""
    if other is measurement or other.estimated:
        return False
    return all(any(covers(mine, each) for mine in measurement.parts) for each in other.parts)


def _swing(other: Measurement, measurement: Measurement, begin: float, end: float) -> float:
    """By how much the other meter's means moved, each over a time in which this one must have seen it."""
    times, watts = _inside(other, begin, end)
    if not np.isfinite(watts).all():
        return 0.0
    bins = ((times - begin) // (3 * max(measurement.interval_s, measurement.averaging_s, 1e-3))).astype(int)
    _, means = merged(bins, watts)
    return float(np.ptp(means)) if len(means) else 0.0


def _fault(measurement: Measurement, key: str, found: str) -> Fault:
    return Fault(measurement.file, key, found, "a sensor that follows the power", FIX)


def _last_digit(level: float) -> float:
    """The place value of the last digit of a reading in a sample log."""
    digits = f"{level:.{DIGITS}f}".rstrip("0").partition(".")[2]
    if digits:
        return float(10.0 ** -len(digits))
    whole = f"{level:.0f}"
    return float(10.0 ** (len(whole) - len(whole.rstrip("0"))))
