"""The energy of a run by each of its faultless meters, and which of them may be added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from loadgen_harness.run import Run
from power import uncertainty
from power.faults import faults
from power.figures import Energy, made
from power.integral import counted, integrate
from power.measurement import Measurement, measurements
from power.parts import overlap, width


@dataclass(frozen=True)
class Metered:
    """One faultless measurement of a run and its energy in LoadGen's window."""

    measurement: Measurement
    energy: Energy


def metered(run: Run) -> tuple[Metered, ...]:
    """The faultless meters of a run, the best first: a measurement before an estimate, the wider scope first."""
    window = run.power_window
    if window is None or not is_timed(run):
        return ()
    taken = measurements(run.path)
    good = [each for each in taken if not any(fault.forbids for fault in faults(each, window, taken))]
    return tuple(Metered(each, _energy(run, each.readable, *window)) for each in sorted(good, key=rank))


def is_timed(run: Run) -> bool:
    """Whether energy belongs to the run: an accuracy run is not timed."""
    return run.mode != "AccuracyOnly"


def rank(measurement: Measurement) -> tuple[bool, bool, int, float, str]:
    """The best sorts first; a replay is the last of the estimates."""
    about = measurement
    return about.estimated, about.replay, width(about.scope), about.uncertainty, about.meter


def independent(taken: Iterable[Measurement]) -> list[Measurement]:
    """Measurements none of whose watts are inside another's, the widest first; estimates are never among them."""
    chosen: list[Measurement] = []
    for each in sorted(taken, key=rank):
        if not each.estimated and not any(overlap(each.parts, other.parts) for other in chosen):
            chosen.append(each)
    return chosen


def _energy(run: Run, measurement: Measurement, begin: float, end: float) -> Energy:
    times, watts, counts = measurement.times_s, measurement.watts, measurement.joules
    joules = joules_in(measurement, begin, end)
    inside = watts[(times > begin) & (times < end)]
    idle_w, idle_s = _idle(measurement, begin)
    half = uncertainty.half_width(measurement, begin, end, joules)
    return made(
        meter=measurement.meter,
        scope=measurement.scope,
        parts=measurement.parts,
        estimated=measurement.estimated,
        replay=measurement.replay,
        counter=counts is not None,
        duration_s=end - begin,
        samples=len(inside),
        mean_w=joules / (end - begin),
        min_w=float(inside.min()),
        max_w=float(inside.max()),
        official_w=_official_w(inside),
        idle_w=idle_w,
        idle_s=idle_s,
        joules=joules,
        joules_low=max(0.0, joules - half),
        joules_high=joules + half,
        scenario=run.scenario,
        queries=query_count(run),
        samples_done=sample_count(run),
        tokens=token_count(run),
    )


def joules_in(measurement: Measurement, begin: float, end: float) -> float:
    """Joules from `begin` to `end`: what was counted, else the integral of the watts at the times they stand for."""
    if measurement.joules is not None:
        return counted(measurement.times_s, measurement.joules, begin, end)
    times = measurement.times_s - uncertainty.moved_s(measurement, end)
    return integrate(times, measurement.watts, begin, end)


def _official_w(inside: np.ndarray) -> float:
    """The mean that MLPerf's parser takes: of the samples above zero (-1 stands for one that was not measured)."""
    above = inside[inside > 0]
    return float(above.mean()) if len(above) else 0.0


def _idle(measurement: Measurement, begin: float) -> tuple[float | None, float]:
    """Mean watts before the run's process was started, and of how many seconds; (None, 0) where nobody watched."""
    until, times = measurement.idle_until_s, measurement.times_s
    if until is None:
        return None, 0.0
    last = min(until, begin)
    watched = times[(times <= last)]
    if not len(watched):
        return None, 0.0
    first = float(times.min())
    if len(np.unique(watched)) < 2:
        return float(measurement.watts[times <= last].mean()), last - first
    span = float(watched.max()) - first
    if measurement.joules is not None:
        return counted(times, measurement.joules, first, first + span) / span, span
    return integrate(times, measurement.watts, first, first + span) / span, span


def query_count(run: Run) -> int:
    """Queries that LoadGen measured, 0 where it did not say; up to v1.0 it logged a stream's rate in place of them."""
    stream = _number(run, "result_qps_with_loadgen_overhead") * (run.duration_s or 0.0)
    return round(_number(run, "result_query_count") or stream)


def sample_count(run: Run) -> int:
    """Samples that LoadGen measured, 0 where it did not say."""
    return round(query_count(run) * _number(run, "generated_samples_per_query"))


def token_count(run: Run) -> float:
    """Output tokens of the measured samples, from the record per sample or from LoadGen's rate; 0 without any."""
    table = run.samples
    if table is not None and len(table) == sample_count(run) and table["tokens"].sum():
        return float(table["tokens"].sum())
    rate = _number(run, "result_tokens_per_second") or _number(run, "result_completed_tokens_per_second")
    return rate * (run.duration_s or 0.0)


def _number(run: Run, key: str) -> float:
    """A positive figure of the log, else 0; LoadGen writes large counts as 2.2176e+08."""
    value = run.log.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 < value < float("inf") else 0.0
