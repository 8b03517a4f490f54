"""Which of several ways to run a benchmark differ, and which differences are noise: figures from interleaved runs.

A way (backend, precision, batch, …) is run once in every round, so that ratios are formed within rounds and a drift of
the machine cancels out. Whether two ways differ is asked by an exact sign-flip test of the log ratios (Fisher 1935),
over all questions together by Benjamini and Hochberg's procedure (1995): of the differences called real at most 5 % are
expected to be noise. The interval of the median ratio must leave out 1 besides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks._metrics.intervals import bootstrap
from loadgen_harness import metrics
from loadgen_harness.run import Run
from loadgen_harness.types import Score
from power import energy
from power.energy import Energy

LEVEL = 0.05
EXACT = 14  # rounds up to which all sign patterns are counted
DRAWS = 1 << EXACT
LATENCIES = ("SingleStream", "MultiStream")


@dataclass(frozen=True)
class Measure:
    """One kind of figure: its key, heading, unit and direction."""

    key: str
    title: str
    unit: str
    higher_is_better: bool = False


MEASURES = (
    Measure("rate", "throughput", "samples/s", higher_is_better=True),
    Measure("tokens", "tokens", "tokens/s", higher_is_better=True),
    Measure("latency", "latency", "ms"),
    Measure("ttft", "TTFT p50", "ms"),
    Measure("tpot", "TPOT p50", "ms"),
    Measure("batch", "batch compute p50", "ms"),
    Measure("memory", "host memory", "MB"),
    Measure("device", "device memory", "MB"),
    Measure("energy", "energy", "J/sample"),
)
BY_KEY = {measure.key: measure for measure in MEASURES}


@dataclass(frozen=True)
class Way:
    """One way to run the benchmark, with its valid runs by round and what was said of it."""

    label: str
    runs: Mapping[int, Run]
    scores: tuple[Score, ...] = ()
    agreement: str = ""  # with the baseline's answers
    faults: tuple[str, ...] = ()  # failed and invalid runs, fallbacks

    @property
    def described(self) -> Mapping[str, str]:
        """What the backend said it ran, of the first run."""
        first = next(iter(self.runs.values()), None)
        found: Mapping[str, str] = first.meta.get("backend", {}) if first else {}
        return found


@dataclass(frozen=True)
class Figure:
    """The median over rounds with its 95 % bootstrap interval."""

    median: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Difference:
    """`way` against `other` in the main figure: the median ratio within rounds, and what the test says.

    `adjusted` is Benjamini and Hochberg's p value over all questions asked.
    """

    way: str
    other: str
    ratio: float
    low: float
    high: float
    n: int
    p: float
    adjusted: float = 1.0

    @property
    def verdict(self) -> str:
        """real, noise, or that there are too few rounds for the test ever to say so.

        The median's interval must leave out 1 as well: a test of all rounds may pass where the median is not sure.
        """
        if self.adjusted <= LEVEL and not self.low <= 1 <= self.high:
            return "real"
        return "noise" if smallest_p(self.n) <= LEVEL else "too few rounds"


@dataclass(frozen=True)
class Comparison:
    """All figures of a matrix: by way and measure, and the questions asked of the main measure."""

    main: Measure
    ways: tuple[Way, ...]
    figures: Mapping[str, Mapping[str, Figure]]
    to_baseline: Mapping[str, Difference] = field(default_factory=dict)
    ranked: tuple[Difference, ...] = ()  # each way against the next worse one
    refused: tuple[str, ...] = ()  # figures that are not compared, and why

    @property
    def columns(self) -> tuple[Measure, ...]:
        """The measures that at least one way has, the main one first."""
        seen = {key for table in self.figures.values() for key in table}
        rest = (measure for measure in MEASURES if measure.key in seen and measure.key != self.main.key)
        return self.main, *rest


def compare(ways: Sequence[Way], baseline: str) -> Comparison:
    """Figures and differences of all ways; those without a valid run have none."""
    spent = {way.label: {number: _spent(run) for number, run in way.runs.items()} for way in ways}
    refused = _other_parts(spent)
    values = {way.label: {number: measured(run) for number, run in way.runs.items()} for way in ways}
    for label, rounds in spent.items() if not refused else ():
        for number, each in rounds.items():
            if each:
                values[label][number]["energy"] = each.per_sample_j or 0.0
    figures = {label: _figures(rounds) for label, rounds in values.items()}
    main = _main(ways)
    series = {label: _series(rounds, main.key) for label, rounds in values.items()}
    series = {label: found for label, found in series.items() if found}
    order = sorted(series, key=lambda label: figures[label][main.key].median, reverse=main.higher_is_better)
    asked = [(label, baseline) for label in series if baseline in series and label != baseline]
    adjacent = list(itertools.pairwise(order))
    found = _answers(series, [*asked, *(pair for pair in adjacent if pair not in asked and pair[::-1] not in asked)])
    return Comparison(
        main=main,
        ways=tuple(ways),
        figures=figures,
        to_baseline={label: found[label, baseline] for label, _ in asked},
        ranked=tuple(found.get(pair) or _inverted(found[pair[::-1]]) for pair in adjacent),
        refused=refused,
    )


def _spent(run: Run) -> Energy | None:
    """What meters measured; an estimate is compared with nothing."""
    found = energy.summarize(run)
    return found if found and not found.estimated and found.per_sample_j else None


def _other_parts(spent: Mapping[str, Mapping[int, Energy | None]]) -> tuple[str, ...]:
    """Why joules are not compared: those of other parts of the machine are no measure of the same thing."""
    first: tuple[str, Energy] | None = None
    for label, rounds in spent.items():
        for each in filter(None, rounds.values()):
            if first is None:
                first = label, each
            elif set(each.parts) != set(first[1].parts):
                texts = (f"{name} of {', '.join(one.parts)} ({one.meter})" for name, one in (first, (label, each)))
                return (
                    f"Energy is not compared, since the meters covered different parts: {' and '.join(texts)}; "
                    "run all ways anew with one choice of --meters.",
                )
    return ()


def measured(run: Run) -> dict[str, float]:
    """Every figure that one run has, by Measure key, but for its energy."""
    found: dict[str, float] = {}
    result, samples, memory = run.result, run.samples, run.meta.get("memory") or {}
    if result and result.unit == "ms":
        found["latency"] = result.value
    elif result:
        found["tokens" if result.unit.startswith("tokens") else "rate"] = result.value
    if samples is not None and len(samples):
        found |= _sampled(samples, run)
    for key, name in (("memory", "host_peak_bytes"), ("device", "device_peak_bytes")):
        if memory.get(name):
            found[key] = memory[name] / 1e6
    return found


def _sampled(samples: np.ndarray, run: Run) -> dict[str, float]:
    """Figures of samples.npy; in Server the p99 latency, elsewhere LoadGen's own stands for it."""
    found: dict[str, float] = {}
    if run.scenario in LATENCIES and run.duration_s:
        found["rate"] = len(samples) / run.duration_s
    if run.scenario == "Server":
        begun = np.where(samples["scheduled"] > 0, samples["scheduled"], samples["issued"])
        found["latency"] = metrics.percentile(samples["done"] - begun, 0.99) / 1e6
    tokens = metrics.token_times(samples)
    if len(tokens.tokens):
        found["ttft"], found["tpot"] = float(np.median(tokens.ttft_ns)) / 1e6, float(np.median(tokens.tpot_ns)) / 1e6
    else:
        found["batch"] = float(np.median(samples["computed"] - samples["started"])) / 1e6
    return found


def _main(ways: Sequence[Way]) -> Measure:
    """The figure that the scenario is about."""
    first = next((run for way in ways for run in way.runs.values()), None)
    if first is None or first.result is None:
        return BY_KEY["rate"]
    if first.result.unit == "ms":
        return BY_KEY["latency"]
    return BY_KEY["tokens" if first.result.unit.startswith("tokens") else "rate"]


def _series(rounds: Mapping[int, Mapping[str, float]], key: str) -> dict[int, float]:
    return {number: found[key] for number, found in rounds.items() if found.get(key, 0) > 0}


def _figures(rounds: Mapping[int, Mapping[str, float]]) -> dict[str, Figure]:
    keys = {key for found in rounds.values() for key in found}
    return {key: _figure(np.array([found[key] for found in rounds.values() if key in found])) for key in keys}


def _figure(values: np.ndarray) -> Figure:
    low, high = bootstrap(lambda drawn: float(np.median(drawn)), values)
    return Figure(float(np.median(values)), low, high, len(values))


def _answers(
    series: Mapping[str, Mapping[int, float]], asked: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Difference]:
    raw = [_difference(way, series[way], other, series[other]) for way, other in asked]
    adjusted = benjamini_hochberg([each.p for each in raw])
    pairs = zip(raw, adjusted, strict=True)
    return {(each.way, each.other): Difference(**{**vars(each), "adjusted": p}) for each, p in pairs}


def _difference(way: str, mine: Mapping[int, float], other: str, theirs: Mapping[int, float]) -> Difference:
    both = sorted(mine.keys() & theirs.keys())
    if not both:
        return Difference(way, other, math.nan, math.nan, math.nan, 0, 1.0)
    ratios = np.array([mine[number] / theirs[number] for number in both])
    figure = _figure(ratios)
    return Difference(way, other, figure.median, figure.low, figure.high, len(both), sign_flip_p(np.log(ratios)))


def _inverted(found: Difference) -> Difference:
    """The same answer to the question asked the other way round."""
    turned = {"way": found.other, "other": found.way, "ratio": 1 / found.ratio}
    return Difference(**{**vars(found), **turned, "low": 1 / found.high, "high": 1 / found.low})


def sign_flip_p(logs: np.ndarray) -> float:
    """The two-sided p value of a mean other than 0, were each sign as likely as its opposite; exact up to 14 values."""
    n = len(logs)
    if n == 0:
        return 1.0
    if n <= EXACT:
        signs = 1 - 2 * ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = 1 - 2 * np.random.default_rng(0).integers(0, 2, (DRAWS, n))
        signs[0] = 1  # the observed pattern is one of those drawn
    sums = np.abs(signs @ logs)
    return float(np.mean(sums >= abs(logs.sum()) * (1 - 1e-12)))


def smallest_p(n: int) -> float:
    """The least p value that `n` rounds can give."""
    return 2.0 ** (1 - n) if n else 1.0


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values: at most `LEVEL` of those below it are expected to be false."""
    order = np.argsort(p_values)
    count, least = len(p_values), 1.0
    adjusted = [1.0] * count
    for rank, index in reversed(list(enumerate(order, start=1))):
        least = min(least, p_values[index] * count / rank)
        adjusted[index] = least
    return adjusted
