"""What is said of the energy of one run: one record, its shares per query, sample and token, and its words."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, isclose, isfinite, log10
from typing import Any

JOULES_PER_WH = 3600.0
STREAMS = ("SingleStream", "MultiStream")
SAME = 1e-9  # ends nearer than this differ by rounding alone
PER_MULTISTREAM = 8  # samples of a query, so queries of a SingleStream run that MultiStream is inferred from
ESTIMATED, REPLAYED = "estimated", "estimated, replay of a recorded log"


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What one meter, or a sum of meters, says about one run; `made()` completes it.

    Joules and watts are those of LoadGen's window; `idle_w` is the mean of `idle_s` seconds before the run, None where
    nothing was measured then. [`joules_low`, `joules_high`] is the 95 % interval of power/uncertainty.py. `official_w`
    is the mean of the samples strictly inside the window, from which `metric` is made in MLPerf's units: watts, or
    millijoules per query for SingleStream and MultiStream. Figures that need a count that LoadGen did not log are None.
    """

    meter: str
    scope: str
    parts: tuple[str, ...]
    estimated: bool  # modelled or replayed: never in stars, comparisons, Pareto fronts
    replay: bool
    counter: bool
    duration_s: float
    samples: int  # readings inside the window
    mean_w: float
    min_w: float
    max_w: float
    official_w: float
    idle_w: float | None
    idle_s: float
    joules: float
    joules_low: float
    joules_high: float
    scenario: str
    queries: int | None
    samples_done: int | None
    tokens: float | None
    per_query_j: float | None
    per_sample_j: float | None
    per_token_j: float | None
    samples_per_j: float | None
    tokens_per_j: float | None  # the same as tokens per watt-second
    wh_per_1000_queries: float | None
    metric: float | None
    metric_unit: str

    @property
    def word(self) -> str:
        """What must stand beside every figure that is no measurement of this machine; empty for a measurement."""
        return word(self.estimated, self.replay)

    def text(self) -> str:
        """One line for people; of an estimate the word and the ends alone."""
        interval = ends(self.joules_low, self.joules_high)
        if self.estimated:
            return f"{self.word}: {interval} J"
        value = within(self.joules, (self.joules_low, self.joules_high), 3)
        return f"{value} J ({self.meter}, {self.scope}, {interval} J)"

    def per_text(self) -> str:
        """Joules per sample and per token where LoadGen logged the counts; of an estimate the interval alone."""
        found = (("sample", self.per_sample_j), ("token", self.per_token_j))
        texts = ", ".join(self._per(name, value) for name, value in found if value)
        return f"{self.word}: {texts}" if texts and self.estimated else texts

    def idle_text(self) -> str:
        """Idle power and how long it was watched; empty where nothing was measured before the run."""
        if self.idle_w is None:
            return ""
        watts = f"{self.word} {ends(*self.interval(self.idle_w))}" if self.estimated else figure(self.idle_w, 3)
        return f"idle {watts} W over {figure(self.idle_s, 2)} s before"

    def interval(self, value: float) -> tuple[float, float]:
        """The 95 % interval of a figure that is proportional to the joules."""
        if not self.joules:
            return value, value
        return value * self.joules_low / self.joules, value * self.joules_high / self.joules

    @property
    def wh_per_1000_samples(self) -> float | None:
        """What every scenario has, Offline too, whose samples are one query."""
        return None if self.per_sample_j is None else self.per_sample_j * 1000 / JOULES_PER_WH

    def metric_as(self, scenario: str) -> tuple[float | None, str]:
        """MLPerf's power metric where the run counts as another scenario, inferred from it as the rules permit."""
        value, unit = metric(scenario, self.official_w, self.duration_s, self.queries)
        if value is not None and scenario == "MultiStream" and self.scenario == "SingleStream":
            value *= PER_MULTISTREAM
        return value, unit

    def _per(self, name: str, value: float) -> str:
        interval = f"{ends(*self.interval(value))} J per {name}"
        return interval if self.estimated else f"{within(value, self.interval(value), 3)} J per {name} ({interval})"


def word(estimated: bool, replay: bool) -> str:
    """What must stand beside figures that are no measurement of this machine; empty for a measurement."""
    return (REPLAYED if replay else ESTIMATED) if estimated or replay else ""


def made(*, joules: float, queries: int, samples_done: int, tokens: float, **known: Any) -> Energy:
    """An Energy with every figure that follows from the others; a count of 0 is one that LoadGen did not log."""
    value, unit = metric(known["scenario"], known["official_w"], known["duration_s"], queries)
    per_query = _share(joules, queries)
    return Energy(
        **known,
        joules=joules,
        queries=queries or None,
        samples_done=samples_done or None,
        tokens=tokens or None,
        per_query_j=per_query,
        per_sample_j=_share(joules, samples_done),
        per_token_j=_share(joules, tokens),
        samples_per_j=_share(samples_done, joules) or None,
        tokens_per_j=_share(tokens, joules) or None,
        wh_per_1000_queries=None if per_query is None else per_query * 1000 / JOULES_PER_WH,
        metric=value,
        metric_unit=unit,
    )


def metric(scenario: str, mean_w: float, duration_s: float, queries: int | None) -> tuple[float | None, str]:
    """MLPerf's power metric: watts, for the stream scenarios millijoules per query (its joules per stream)."""
    if scenario not in STREAMS:
        return mean_w, "W"
    return (mean_w * duration_s * 1000 / queries if queries else None), "mJ/query"


def _share(value: float, count: float) -> float | None:
    return value / count if count else None


def figure(value: float, digits: int) -> str:
    """A number with so many significant digits and no exponent."""
    return "0" if value == 0 else _placed(value, digits - 1 - floor(log10(abs(value))))


def ends(low: float, high: float) -> str:
    """An interval to two significant digits of its half-width, so that ends that differ are printed so."""
    if not isfinite(high):
        return f"{figure(low, 3)}\u2013\u221e"
    if isclose(low, high, rel_tol=SAME):
        return figure(high, 4)
    places = _places(low, high)
    lower = figure(low, 2) if low and not round(low, places) else _placed(low, places)
    return f"{'0' if low == 0 else lower}\u2013{_placed(high, places)}"


def within(value: float, interval: tuple[float, float], digits: int) -> str:
    """The middle of an interval with so many digits, with more where it would else be printed outside its ends."""
    low, high = interval
    if not low <= value <= high or isclose(low, high, rel_tol=SAME) or not isfinite(high):
        return figure(value, digits)
    places, most = digits - 1 - floor(log10(abs(value))) if value else 0, _places(low, high)
    while places < most and not low <= round(value, places) <= high:
        places += 1
    return _placed(value, places) if value else "0"


def readings(low: float, high: float) -> str:
    """Least and greatest reading, with the digits of a figure of its own, with more where they would look equal."""
    digits = 4
    while figure(low, digits) == figure(high, digits) and not isclose(low, high, rel_tol=SAME):
        digits += 1
    return f"{figure(low, digits)}\u2013{figure(high, digits)}"


def _places(low: float, high: float) -> int:
    """Decimal places of two significant digits of the half-width."""
    return 1 - floor(log10((high - low) / 2))


def _placed(value: float, places: int) -> str:
    return f"{round(value, places):,.{max(0, places)}f}"
