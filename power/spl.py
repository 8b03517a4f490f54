"""`power/spl.txt`: what the meters of a run measured together, in PTDaemon's form and with this suite's own mark.

The lines are sums over the meters that measure different parts, so nothing is counted twice (`metered.independent`); of
estimates, the best one alone, named in the mark. One line stands for one interval of the slowest of these meters, from
the first moment that all of them saw to the last: the stamp is its end, as PTDaemon's is, the watts are the mean over
it (the count's where a meter counts). The file is made from power/*.csv, of a crashed run too: `write(folder)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from power.integral import merged
from power.log import Sample, write_spl
from power.measurement import Measurement, own
from power.metered import independent, rank

FILE = "spl.txt"
ESTIMATED = "estimated-"
MOST_GAPS = 100  # lines for each sample
SHORTEST_S = 0.001  # the stamps of a spl.txt are milliseconds


def write(power: Path) -> bool:
    """Make power/spl.txt of a run's folder `power`; False where it is there already or nothing usable was sampled."""
    chosen = summed(own(power))
    lines = samples(chosen)
    if not lines or (power / FILE).exists():
        return False
    mark = "+".join(each.meter for each in chosen)
    write_spl(power / FILE, lines, f"{ESTIMATED if chosen[0].estimated else ''}{mark}")
    return True


def summed(taken: Sequence[Measurement]) -> list[Measurement]:
    """The readable measurements behind the lines: independent ones, else the best estimate."""
    usable = [each for each in taken if _usable(each)]
    return independent(usable) or sorted(usable, key=rank)[:1]


def samples(chosen: Sequence[Measurement]) -> list[Sample]:
    """The mean watts of all together over each interval of the slowest."""
    if not chosen:
        return []
    curves = [_energy(each) for each in chosen]
    first, last = max(times[0] for times, _ in curves), min(times[-1] for times, _ in curves)
    step = max(SHORTEST_S, *(each.interval_s for each in chosen))
    if last - first > MOST_GAPS * step * max(len(each.samples) for each in chosen):
        return []  # the clock was set far away in between: no seconds lie there
    stamps = first + step * np.arange(int((last - first) / step + 1e-6) + 1)
    joules = sum(np.interp(stamps, times, counts) for times, counts in curves)
    watts = np.diff(joules) / step
    offset_s = np.median([sample.utc_s - sample.monotonic_ns / 1e9 for sample in chosen[0].samples])
    return [Sample(round((t - offset_s) * 1e9), float(t), float(w)) for t, w in zip(stamps[1:], watts, strict=True)]


def _usable(measurement: Measurement) -> bool:
    """Whether a curve can be made of it: damage elsewhere in the log is the audit's to judge."""
    times, watts, joules = measurement.times_s, measurement.watts, measurement.joules
    known = np.isfinite(times).all() and np.isfinite(watts).all() and (joules is None or np.isfinite(joules).all())
    return bool(known) and len(np.unique(times)) > 1


def _energy(measurement: Measurement) -> tuple[np.ndarray, np.ndarray]:
    """The running energy of one meter; a mean stands for the middle of the time that it covers."""
    if measurement.joules is not None:
        return merged(measurement.times_s, measurement.joules)
    times, watts = merged(measurement.times_s - measurement.averaging_s / 2, measurement.watts)
    steps = (watts[1:] + watts[:-1]) / 2 * np.diff(times)
    return times, np.concatenate(([0.0], np.cumsum(steps)))
