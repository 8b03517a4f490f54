"""Energy of one run in LoadGen's window: joules, per sample and per token, with the meter's stated interval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, log10

import numpy as np

from loadgen_harness.run import Run
from power.faults import Fault, faults
from power.integral import counted, integrate
from power.measurement import Measurement, measurements

SCOPES = ("wall", "node", "board", "package", "memory")  # the wider the better, where a run has several meters


@dataclass(frozen=True)
class Energy:
    """What one meter says about one run. Joules and watts of LoadGen's window; `idle_w` is of before the run.

    `metric` is MLPerf's: mean watts of the samples inside the window, or millijoules per query for SingleStream and
    MultiStream. It is None, like the figures per sample and token, where LoadGen did not log what it needs.
    """

    meter: str
    scope: str
    estimated: bool
    counter: bool
    duration_s: float
    samples: int
    mean_w: float
    min_w: float
    max_w: float
    idle_w: float | None
    joules: float
    joules_low: float
    joules_high: float
    per_sample_j: float | None
    per_token_j: float | None
    metric: float | None
    metric_unit: str

    def text(self) -> str:
        """One line for people; an estimate says so, first."""
        digits = 2 if self.estimated else 3
        value, low, high = (figure(j, digits) for j in (self.joules, self.joules_low, self.joules_high))
        if self.estimated:
            return f"≈ {value} J (estimated, {low}\u2013{high} J)"
        return f"{value} J ({self.meter}, {self.scope}, {low}\u2013{high} J)"

    def per_text(self) -> str:
        """Joules per sample and per token where LoadGen logged the counts; of an estimate the interval alone."""
        found = (("sample", self.per_sample_j), ("token", self.per_token_j))
        texts = ", ".join(self._per(name, value) for name, value in found if value)
        return f"estimated {texts}" if texts and self.estimated else texts

    def _per(self, name: str, value: float) -> str:
        low, high = (value * edge / self.joules for edge in (self.joules_low, self.joules_high))
        interval = f"{figure(low, 2)}\u2013{figure(high, 2)} J per {name}"
        return interval if self.estimated else f"{figure(value, 3)} J per {name} ({interval})"


def figure(value: float, digits: int) -> str:
    """A number with so many significant digits and no exponent."""
    if value == 0:
        return "0"
    places = digits - 1 - floor(log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def findings(run: Run) -> Iterator[Fault]:
    """What is wrong with the power measurements of a run; nothing where none was taken."""
    if _is_timed(run):
        for measurement in measurements(run.path):
            yield from faults(measurement, run.power_window)
        yield from _complaints(run)


def summarize(run: Run) -> Energy | None:
    """The energy of a run by its best meter: a measurement before an estimate, the wider scope first."""
    return next(iter(energies(run)), None)


def energies(run: Run) -> tuple[Energy, ...]:
    """The energy of a run by each of its faultless meters, the best first."""
    window = run.power_window
    if window is None or not _is_timed(run):
        return ()
    good = [m for m in measurements(run.path) if not any(faults(m, window))]
    return tuple(sorted((_energy(run, m, *window) for m in good), key=_rank))


def _is_timed(run: Run) -> bool:
    return run.mode != "AccuracyOnly"


def _rank(energy: Energy) -> tuple[bool, int]:
    known = energy.scope in SCOPES
    return energy.estimated, SCOPES.index(energy.scope) if known else len(SCOPES)


def _energy(run: Run, measurement: Measurement, begin: float, end: float) -> Energy:
    times, watts, counts = measurement.times_s, measurement.watts, measurement.joules
    joules = integrate(times, watts, begin, end) if counts is None else counted(times, counts, begin, end)
    inside = watts[(times > begin) & (times < end)]
    samples, tokens = sample_count(run), token_count(run)
    metric, unit = _metric(run, float(inside.mean()), end - begin)
    return Energy(
        meter=measurement.meter,
        scope=measurement.scope,
        estimated=measurement.estimated,
        counter=counts is not None,
        duration_s=end - begin,
        samples=len(inside),
        mean_w=joules / (end - begin),
        min_w=float(inside.min()),
        max_w=float(inside.max()),
        idle_w=_idle(measurement, begin),
        joules=joules,
        joules_low=joules * max(0.0, 1 - measurement.uncertainty),
        joules_high=joules * (1 + measurement.uncertainty),
        per_sample_j=joules / samples if samples else None,
        per_token_j=joules / tokens if tokens else None,
        metric=metric,
        metric_unit=unit,
    )


def sample_count(run: Run) -> int:
    """Samples that LoadGen measured, 0 where it did not say."""
    return round(_number(run, "result_query_count") * _number(run, "generated_samples_per_query"))


def token_count(run: Run) -> float:
    """Output tokens of the measured samples, from the record per sample or from LoadGen's rate; 0 without any."""
    table = run.samples
    if table is not None and len(table) == sample_count(run) and table["tokens"].sum():
        return float(table["tokens"].sum())
    rate = _number(run, "result_tokens_per_second") or _number(run, "result_completed_tokens_per_second")
    return rate * (run.duration_s or 0.0)


def _metric(run: Run, mean_w: float, duration_s: float) -> tuple[float | None, str]:
    if run.scenario not in ("SingleStream", "MultiStream"):
        return mean_w, "W"
    queries = _number(run, "result_query_count")
    return (mean_w * duration_s * 1000 / queries if queries else None), "mJ/query"


def _idle(measurement: Measurement, begin: float) -> float | None:
    """Mean watts of the seconds before the run's process was started."""
    times = measurement.times_s
    idle = measurement.watts[(times <= times.min() + measurement.idle_s) & (times < begin)]
    return float(np.mean(idle)) if measurement.idle_s and len(idle) else None


def _number(run: Run, key: str) -> float:
    """A positive figure of the log, else 0; LoadGen writes large counts as 2.2176e+08."""
    value = run.log.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if 0 < value < float("inf") else 0.0


def _complaints(run: Run) -> Iterator[Fault]:
    """What the sampler wrote before it gave up."""
    log = run.file("power/sampler.log")
    if log.exists():
        text = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
        if text:
            yield Fault("power/sampler.log", "meter", text[-300:], "meters that answer", "mend the meter, run again")
