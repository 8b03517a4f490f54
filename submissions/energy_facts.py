"""What is said of the energy of one result, as plain text: figures with formula and inputs, shares, what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from power.amount import CLIPPED, Amount, Mean
from power.derived import Figure, derive
from power.figures import figure
from power.repeated import METRIC_FORMULAS, NOT_OFFICIAL, QUANTITIES, Quantity, Repeated, gather
from power.shares import FORMULA, shares
from power.surroundings import NONE_GIVEN, Surroundings

COLUMNS = ("Figure", "Value", "Unit", "95 % interval", "Formula", "Inputs")
DERIVED = ("Figure", "Per", "Value", "Unit", "95 % interval", "Formula", "Inputs")
COUNTS: Mapping[str, tuple[str, ...]] = {  # what each figure is made from
    "mean_w": ("joules", "duration_s"),
    "per_query_j": ("joules", "queries"),
    "per_sample_j": ("joules", "samples_done"),
    "per_token_j": ("joules", "tokens"),
    "samples_per_j": ("samples_done", "joules"),
    "tokens_per_j": ("tokens", "joules"),
    "wh_per_1000_queries": ("joules", "queries"),
    "wh_per_1000_samples": ("joules", "samples_done"),
    "idle_w": ("idle_s",),
    "joules": ("samples", "duration_s"),
    "min_w": ("samples",),
    "max_w": ("samples",),
}
WORDS = {
    "joules": "{} J",
    "duration_s": "{} s",
    "queries": "{} queries",
    "samples_done": "{} samples",
    "tokens": "{} tokens",
    "idle_s": "{} s before the run",
    "samples": "{} readings",
}
COUNTED = ("queries", "samples_done", "tokens", "samples")
OFFICIAL = {"W": ("official_w", "samples"), "mJ/query": ("official_w", "duration_s", "queries")}


@dataclass(frozen=True)
class Line:
    """One figure as text: `runs` is the interval of the repetition alone, "" for one run and for an estimate.

    An estimate errs by its model, in every run alike: that its runs agree says nothing of its precision.
    """

    name: str
    value: str
    unit: str
    interval: str
    formula: str
    inputs: str
    per: str = ""
    runs: str = ""


@dataclass(frozen=True)
class EnergySection:
    """Everything that is said of the energy of one result; of a result without energy `absent` alone."""

    meter: str = ""
    scope: str = ""
    word: str = ""
    n: int = 0
    lines: tuple[Line, ...] = ()
    shares: tuple[Line, ...] = ()
    derived: tuple[Line, ...] = ()
    absent: str = ""

    @property
    def head(self) -> str:
        """Meter, scope, how many runs, and that it is not official."""
        label = f"{self.word}, " if self.word else ""
        many = f", mean of {self.n} runs" if self.n > 1 else ""
        return f"{label}meter {self.meter}, scope {self.scope}{many}{self._clipped}; {NOT_OFFICIAL}"

    @property
    def _clipped(self) -> str:
        texts = (text for each in (*self.lines, *self.shares, *self.derived) for text in (each.interval, each.runs))
        return f"; lower ends {clipped(self.n)}" if any(CLIPPED in text for text in texts) else ""


def clipped(runs: int) -> str:
    """Why a lower end stands at 0."""
    return f"{CLIPPED}: {'too few or too noisy runs' if runs > 1 else 'the meter is too uncertain'}"


def of_run(run: Run, around: Surroundings = NONE_GIVEN) -> EnergySection:
    """The section of one result of a report; where there is no energy, it says so."""
    if not (run.file("power").is_dir() or run.file("spl.txt").is_file()):
        return EnergySection(absent="no meter")
    try:
        return section(gather([run]), around)
    except BadInput as error:  # a meter without a figure: what forbids it also stands among the findings
        reason = str(error).partition(" holds no energy: ")[2] or str(error)
        return EnergySection(absent=f"no figure: {reason}")


def section(found: Repeated, around: Surroundings = NONE_GIVEN) -> EnergySection:
    """The section of runs that were gathered."""
    return EnergySection(
        meter=found.first.meter,
        scope=found.first.scope,
        word=found.word,
        n=len(found.runs),
        lines=tuple(_lines(found)),
        shares=tuple(_shares(found.runs)),
        derived=tuple(map(_derived, derive(found, around))),
    )


def _lines(found: Repeated) -> Iterator[Line]:
    for quantity in QUANTITIES:
        mean = found.mean(quantity)
        if mean is None:
            continue
        own = quantity.field == "metric"
        unit = found.first.metric_unit if own else quantity.unit
        formula = METRIC_FORMULAS.get(unit, "") if own else quantity.formula
        yield Line(
            name=quantity.title,
            value=_value(mean.amount, found.word),
            unit=unit,
            interval=_interval(mean.amount, found.estimated),
            formula=formula,
            inputs=_inputs(found, quantity, unit),
            runs=mean.runs.interval() if mean.runs and not found.estimated else "",
        )


def _value(amount: Amount, word: str) -> str:
    """Of an estimate the word that it is one: its middle is no better than the ends of its interval; 0 is 0."""
    return "0" if amount.high == 0 else word or amount.middle()


def _interval(amount: Amount, estimated: bool) -> str:
    if amount.low < amount.high:
        return amount.interval()
    return figure(amount.value, 4) if estimated and amount.value else ""


def _inputs(found: Repeated, quantity: Quantity, unit: str) -> str:
    """What went in; of several runs the mean of each."""
    names = OFFICIAL.get(unit, ()) if quantity.field == "metric" else COUNTS[quantity.field]
    texts = []
    for name in names:
        values = [getattr(each, name) for each in found.energies]
        middle = sum(values) / len(values)
        if name in ("joules", "official_w") and found.estimated:
            texts.append("the estimate")
        else:
            texts.append(WORDS.get(name, "{} W").format(_count(middle) if name in COUNTED else figure(middle, 4)))
    return ("means of the runs: " if len(found.runs) > 1 else "") + ", ".join(texts)


def _count(value: float) -> str:
    """A whole number as it is, another one with four digits."""
    return f"{value:,.0f}" if float(value).is_integer() else figure(value, 4)


def _shares(runs: Sequence[Run]) -> Iterator[Line]:
    for share in shares(runs):
        part, joules = _percent(share.part), share.joules.amount
        yield Line(
            name=f"share of {share.kind}",
            value=part.middle(3),
            unit="%",
            interval=_interval(part, False),
            formula=FORMULA,
            inputs=f"{joules.text()} J",
            runs="",
        )


def _percent(mean: Mean) -> Amount:
    return mean.amount.times(100)


def _derived(each: Figure) -> Line:
    return Line(
        name=each.title,
        value=_value(each.amount, "estimated" if each.estimated else ""),
        unit=each.unit,
        interval=_interval(each.amount, each.estimated),
        formula=each.formula,
        inputs="; ".join(map(str, each.inputs)),
        per=each.per,
    )
