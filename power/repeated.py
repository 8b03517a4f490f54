"""Runs of one task taken together: their energies and the mean of every figure with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from power import energy
from power.amount import Amount, Mean, exact, mean
from power.figures import Energy

OWN = ("output", "hang_timeout_s")  # of a spec: what may differ between repetitions
MEASURED = ("meter", "scope", "parts", "estimated")  # of an energy: what may not
NOT_OFFICIAL = "not an official MLPerf power result"


@dataclass(frozen=True)
class Quantity:
    """One figure of an Energy: its field, what people call it, its unit, and how it follows from what was measured."""

    field: str
    title: str
    unit: str
    formula: str
    inverse: bool = False  # falls as the joules rise


QUANTITIES = (
    Quantity("mean_w", "mean power", "W", "energy ÷ seconds of LoadGen's window"),
    Quantity("min_w", "least power", "W", "the least reading inside the window"),
    Quantity("max_w", "most power", "W", "the greatest reading inside the window"),
    Quantity("idle_w", "idle power, apart", "W", "mean power before the run's process began; in no other figure"),
    Quantity("joules", "energy", "J", "power over the time from power_begin to power_end"),
    Quantity("per_query_j", "energy per query", "J", "energy ÷ queries"),
    Quantity("per_sample_j", "energy per sample", "J", "energy ÷ samples"),
    Quantity("per_token_j", "energy per output token", "J", "energy ÷ output tokens"),
    Quantity("samples_per_j", "samples per joule", "1/J", "samples ÷ energy", True),
    Quantity("tokens_per_j", "tokens per watt-second", "1/(W·s)", "output tokens ÷ energy", True),
    Quantity("wh_per_1000_queries", "energy per 1,000 queries", "Wh", "1,000 × energy ÷ queries ÷ 3,600 J/Wh"),
    Quantity("wh_per_1000_samples", "energy per 1,000 samples", "Wh", "1,000 × energy ÷ samples ÷ 3,600 J/Wh"),
    Quantity("metric", "MLPerf's power metric", "", ""),
)
PER_QUERY = ("per_query_j", "wh_per_1000_queries")  # nothing in Offline, whose samples are one query
METRIC_FORMULAS = {
    "W": "mean of the readings strictly inside the window",
    "mJ/query": "mean of the readings strictly inside the window × seconds × 1,000 ÷ queries",
}


@dataclass(frozen=True)
class Repeated:
    """One or more runs of one task on one meter, none of them without a figure."""

    runs: tuple[Run, ...]
    energies: tuple[Energy, ...]

    @property
    def first(self) -> Energy:
        """Stands for all where they agree: meter, scope, scenario, unit of the metric."""
        return self.energies[0]

    @property
    def estimated(self) -> bool:
        """Whether no meter measured this."""
        return self.first.estimated

    @property
    def word(self) -> str:
        """`estimated` and the like; empty for a measurement."""
        return self.first.word

    @property
    def source(self) -> str:
        """Meter and scope in a few words."""
        return f"{self.first.meter}, {self.first.scope}" + (f", {self.word}" if self.word else "")

    def mean(self, quantity: Quantity) -> Mean | None:
        """The mean of one figure; None where a run lacks it."""
        found = [amount(each, quantity) for each in self.energies]
        known = [each for each in found if each is not None]
        return mean(known) if len(known) == len(found) else None

    def hours_per(self, counted: str) -> Mean | None:
        """Hours of the window for one of `counted`: "samples_done", "tokens", or "" for a run."""
        counts = [getattr(each, counted) if counted else 1 for each in self.energies]
        if not all(counts):
            return None
        pairs = zip(self.energies, counts, strict=True)
        return mean([exact(each.duration_s / 3600 / count) for each, count in pairs])


def amount(found: Energy, quantity: Quantity) -> Amount | None:
    """One figure of one run with the interval that the meter's uncertainty gives it."""
    single = quantity.field in PER_QUERY and found.scenario == "Offline"
    value = None if single else getattr(found, quantity.field)
    if value is None or found.joules <= 0:
        return None
    low, high = found.interval(1.0)
    if quantity.inverse:
        return Amount(value, value / high, value / low if low > 0 else float("inf"))
    return Amount(value, value * low, value * high)


def gather(runs: Sequence[Run]) -> Repeated:
    """The runs with their energies; raises BadInput where one has none, or where they are of different kinds."""
    if not runs:
        raise BadInput("no run was given: name the folder of a run, or of its repetitions.")
    found = [energy_of(run) for run in runs]
    for run, other in zip(runs[1:], found[1:], strict=True):
        for key, mine, theirs in _differences(runs[0], found[0], run, other):
            raise BadInput(
                f"{run.path} is no repetition of {runs[0].path}: {key} is {theirs!r} instead of {mine!r};"
                " give the runs of one task and meter, and a call to each kind."
            )
    return Repeated(tuple(runs), tuple(found))


def energy_of(run: Run) -> Energy:
    """All meters of a run together, else its estimate; raises BadInput that says why there is none."""
    found = energy.summarize(run)
    if found is None or found.joules <= 0:
        raise BadInput(f"{run.path} holds no energy: {_reason(run)}")
    return found


def _reason(run: Run) -> str:
    if not run.log:
        return "there is no log of LoadGen in it; name the folder of a finished run."
    if run.mode == "AccuracyOnly":
        return "an accuracy run is not timed; name a performance run."
    if not (run.file("power").is_dir() or run.file("spl.txt").is_file()):
        return "no meter ran beside it; run again with --meters, see `lgh doctor` for those that work here."
    if run.power_window is None:
        return "LoadGen logged no power_begin and power_end; run again and let the run end by itself."
    for fault in energy.findings(run):
        if fault.forbids:
            return f"{fault.file}, {fault.key}: found {fault.found}, wanted {fault.wanted}; {fault.fix.rstrip('.')}."
    return "its meters saw no power; look at power/ and run again."


def _differences(run: Run, mine: Energy, other: Run, theirs: Energy) -> list[tuple[str, Any, Any]]:
    """What sets two runs apart that repetitions share."""
    pairs: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
        (kind(run), kind(other)),
        *(({name: getattr(mine, name)}, {name: getattr(theirs, name)}) for name in MEASURED),
    ]
    return [
        (key, one.get(key), two.get(key))
        for one, two in pairs
        for key in dict.fromkeys((*one, *two))
        if one.get(key) != two.get(key)
    ]


def kind(run: Run) -> dict[str, Any]:
    """What a run is of: its settings, of a foreign one what LoadGen logged."""
    told = {
        "LoadGen's scenario": run.scenario,
        "LoadGen's mode": run.mode,
        "system under test": run.log.get("sut_name"),
    }
    own = {key: value for key, value in run.spec.items() if key not in OWN}
    return {**told, **own, "model": run.meta.get("model_sha256"), "data": run.meta.get("data_sha256")}
