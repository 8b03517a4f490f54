"""The energy of all meters of a run together: boards and packages add up, a wider meter stands for what is inside it.

Of meters whose parts overlap the widest counts and the others are left out whole, the more certain one first where they
are equally wide: a sum may miss watts that nobody measured apart, and it never counts one twice. Estimates are no
addends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadgen_harness.run import Run
from power.figures import Energy, made
from power.metered import Metered, independent, metered


def total(run: Run) -> Energy | None:
    """The sum over the faultless meters that measure different parts; None where nothing was measured."""
    found = metered(run)
    chosen = independent(each.measurement for each in found)
    addends = [each for each in found if any(each.measurement is one for one in chosen)]
    if len(addends) < 2:
        return addends[0].energy if addends else None
    return _sum(addends, run.power_window or (0.0, 0.0))


def _sum(addends: Sequence[Metered], window: tuple[float, float]) -> Energy:
    """The meters' gains are independent of each other, so their half-widths add up as squares."""
    energies = [each.energy for each in addends]
    first, joules = energies[0], sum(each.joules for each in energies)
    half = float(np.sqrt(sum((each.joules_high - each.joules) ** 2 for each in energies)))
    idle = [each.idle_w for each in energies if each.idle_w is not None]
    low_w, high_w = _extremes(addends, window)
    return made(
        meter=" + ".join(each.meter for each in energies),
        scope=" + ".join(dict.fromkeys(each.scope for each in energies)),
        parts=tuple(part for each in energies for part in each.parts),
        estimated=False,
        replay=False,
        counter=all(each.counter for each in energies),
        duration_s=first.duration_s,
        samples=min(each.samples for each in energies),
        mean_w=joules / first.duration_s,
        min_w=low_w,
        max_w=high_w,
        official_w=sum(each.official_w for each in energies),
        idle_w=sum(idle) if len(idle) == len(energies) else None,
        idle_s=min(each.idle_s for each in energies),
        joules=joules,
        joules_low=max(0.0, joules - half),
        joules_high=joules + half,
        scenario=first.scenario,
        queries=first.queries or 0,
        samples_done=first.samples_done or 0,
        tokens=first.tokens or 0.0,
    )


def _extremes(addends: Sequence[Metered], window: tuple[float, float]) -> tuple[float, float]:
    """The least and the most of the summed curves, at every stamp that any of the meters has inside the window."""
    curves = [(each.measurement.times_s, each.measurement.watts) for each in addends]
    stamps = np.unique(np.concatenate([times for times, _ in curves]))
    stamps = stamps[(stamps > window[0]) & (stamps < window[1])]
    summed = np.zeros(len(stamps))
    for times, watts in curves:
        order = np.argsort(times, kind="stable")
        summed += np.interp(stamps, times[order], watts[order])
    return float(summed.min()), float(summed.max())
