"""What is wrong with a power measurement: pure checks that yield Faults, for the audit to judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np

from power import stuck, throttling
from power.fault import AGAIN
from power.fault import Fault as Fault
from power.integral import counted, integrate, merged
from power.measurement import Measurement

FEWEST = 3
GAP = 5.0  # intervals
APART = 0.05
STEP_S = 0.05  # of a clock: what its steering does between two samples is far below
DRIFT = 0.001  # of the time: twice what the kernel's clock steering (500 ppm) can do
QUARTER_S = 900  # time zones are whole quarter hours apart
ANALYZERS_ZONE = "run the analyzer's program with TZ=UTC, then repeat the run"
OWN_ZONE = "let the machine's clock be in UTC and the log as it was written, then repeat the run"
FARTHEST_S = 14 * 3600  # from UTC


def faults(
    measurement: Measurement, window: tuple[float, float] | None, beside: Sequence[Measurement] = ()
) -> Iterator[Fault]:
    """Everything wrong in LoadGen's window (UTC seconds); `beside` are the run's measurements, to compare with.

    A fault that `forbids` leaves the meter without a number.
    """
    here = measurement.file
    for damage in measurement.damage:
        yield Fault(here, "samples", damage, "a readable sample log", AGAIN)
    yield from measurement.doubts
    if window is None:
        fix = "measure a performance run that ends naturally"
        yield Fault("mlperf_log_detail.txt", "power_begin", "missing", "power_begin and power_end", fix)
        return
    begin, end = window
    if not end > begin:
        yield Fault("mlperf_log_detail.txt", "power_end", f"{end - begin:g} s after power_begin", "a window", AGAIN)
        return
    wrong = list(_values(measurement, begin, end))
    yield from wrong
    coverage = list(_coverage(measurement, begin, end))
    yield from coverage
    yield from _clock(measurement)
    if not wrong and not coverage:
        yield from _counter(measurement.readable, begin, end)
        yield from stuck.check(measurement.readable, begin, end, beside)
    yield from throttling.check(measurement, begin, end)


def _values(measurement: Measurement, begin: float, end: float) -> Iterator[Fault]:
    here, joules = measurement.file, measurement.joules
    near = _near(measurement.times_s, begin, end)
    watts, bad = measurement.watts[near], measurement.bad[near]
    if bad.any():
        count = f"{int(bad.sum())} of {len(watts)} samples in and next to LoadGen's window"
        found = f"{count}, the first {watts[bad][0]:g} W"
        yield Fault(here, "watts", found, "finite watts, none negative", "check the meter, then repeat the run")
    if not np.isfinite(measurement.times_s).all():
        yield Fault(here, "utc_s", "a time that is no number", "UTC seconds", AGAIN)
    if joules is None and any(sample.joules is not None for sample in measurement.samples):
        yield Fault(here, "joules", "missing in some samples", "a count in every sample", AGAIN)
    if joules is not None and not (np.isfinite(joules).all() and (np.diff(joules) >= 0).all()):
        yield Fault(here, "joules", "a count that falls or is no number", "a count that never falls", AGAIN)


def _near(times: np.ndarray, begin: float, end: float) -> np.ndarray:
    """Which samples stand behind the window: from the last not after its begin to the first not before its end."""
    first = times[times <= begin].max(initial=-np.inf)
    last = times[times >= end].min(initial=np.inf)
    return np.asarray((times >= first) & (times <= last), dtype=bool)


def _coverage(measurement: Measurement, begin: float, end: float) -> Iterator[Fault]:
    here = measurement.file
    times = np.unique(measurement.times_s)
    if not len(times):
        fix = "look at power/sampler.log for what kept the meter silent, then repeat the run"
        yield Fault(here, "samples", "no sample at all", f"at least {FEWEST} in LoadGen's window", fix)
        return
    if not times[0] <= begin < end <= times[-1]:
        yield _uncovered(here, times, begin, end)  # that few are inside follows from it
        return
    inside = times[(times >= begin) & (times <= end)]
    if len(inside) < FEWEST:
        fix = "run longer or sample more often"
        yield Fault(here, "samples", f"{len(inside)} in LoadGen's window", f"at least {FEWEST}", fix)
    first = np.searchsorted(times, begin, side="right") - 1
    last = np.searchsorted(times, end, side="left")
    gap = float(np.diff(times[first : last + 1]).max(initial=0.0))
    limit = GAP * measurement.interval_s
    if gap > limit:
        fix = "free a CPU for the sampler, then repeat the run"
        yield Fault(here, "utc_s", f"a gap of {gap:.2f} s", f"at most {limit:.2f} s ({GAP:g} intervals)", fix)


def _uncovered(here: str, times: np.ndarray, begin: float, end: float) -> Fault:
    """Samples that do not span the window; where a time zone would explain it, its offset is named, never taken off."""
    wanted = f"+0 s to {end - begin:+.2f} s covered"
    zone_s = _zone(times, begin, end)
    if zone_s:
        hours, minutes = divmod(abs(zone_s) // 60, 60)
        away = f"{hours} h {minutes:02d} min {'ahead of' if zone_s > 0 else 'behind'}"
        found = f"stamps that are {away} LoadGen's UTC: those of a time zone?"
        return Fault(here, "utc_s", found, wanted, OWN_ZONE if here.endswith(".csv") else ANALYZERS_ZONE)
    if times[-1] < end and times[0] <= begin:
        key, edge = ("power_begin", begin) if times[-1] < begin else ("power_end", end)
        found = f"the log ends {edge - times[-1]:.2f} s before {key}: the sampler stopped?"
        return Fault(here, "utc_s", found, wanted, "look at power/sampler.log, then repeat the run")
    spans = f"{times[0] - begin:+.2f} s to {times[-1] - begin:+.2f} s"
    fix = "let the sampler start before and end after the run (see power/sampler.log), with UTC clocks in step"
    return Fault(here, "utc_s", f"{spans} after power_begin", wanted, fix)


def _zone(times: np.ndarray, begin: float, end: float) -> int:
    """The least whole number of quarter hours, in seconds, by which stamps that would cover the window are ahead."""
    if not np.isfinite(times).all():
        return 0
    farthest = FARTHEST_S // QUARTER_S
    least = max(ceil((times[0] - begin) / QUARTER_S), -farthest)
    most = min(int((times[-1] - end) // QUARTER_S), farthest)
    fitting = [quarters * QUARTER_S for quarters in range(least, most + 1)]
    return min(filter(None, fitting), key=abs, default=0)


def _clock(measurement: Measurement) -> Iterator[Fault]:
    """The wall clock must neither be set nor drift while it is compared with LoadGen's stamps."""
    if len(measurement.samples) < 2:
        return
    stamps = np.array([sample.monotonic_ns for sample in measurement.samples]) / 1e9
    offsets = measurement.times_s - stamps
    step = float(np.abs(np.diff(offsets)).max(initial=0.0))
    limit = max(measurement.interval_s, STEP_S)
    if step > limit:
        found = f"the clock was set by {step:.2f} s"
        yield Fault(measurement.file, "utc_s", found, f"steps below {limit:.2f} s", "synchronise it before the run")
        return
    drift = float(np.ptp(offsets))
    allowed = STEP_S + DRIFT * float(np.ptp(stamps))
    if drift > allowed:
        found = f"the clock drifted by {drift:.2f} s in {np.ptp(stamps):.0f} s"
        wanted = f"at most {allowed:.2f} s"
        yield Fault(measurement.file, "utc_s", found, wanted, "let it be synchronised for a while before the run")


def _counter(measurement: Measurement, begin: float, end: float) -> Iterator[Fault]:
    """Count and integral must agree, but for the lag of watts that are means over the last `averaging_s`."""
    times, joules = measurement.times_s, measurement.joules
    if joules is None:
        return
    count = counted(times, joules, begin, end)
    total = integrate(times, measurement.watts, begin, end)
    _, watts = merged(times, measurement.watts)
    lag = measurement.averaging_s * float(np.ptp(watts))
    if abs(count - total) > APART * max(count, total) + lag:
        found = f"counter {count:.4g} J, watts integrated {total:.4g} J"
        yield Fault(measurement.file, "joules", found, f"at most {APART:.0%} apart", "check the meter and its driver")
