"""One row for each audited result, as official tables have it: who, what, how fast, how accurate, and the verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from audit import accuracy, accuracy_text, official
from audit.finding import Finding, errors
from loadgen_harness.types import Metric, Rules, Scenario, Target

ACCEPTS, REJECTS = "accepts", "rejects"
WORDS = {"would accept": ACCEPTS, "would reject": REJECTS, "would crash": "crashes"}
UNKNOWN = "–"
CHECKERS = ("new", "old")  # the official ones that may have been run
OWN = ("system", "benchmark", "scenario", "result", "accuracy", "power", "rules", "official checker")
COLUMNS = (*OWN, *(f"official, {name}" for name in CHECKERS))


@dataclass(frozen=True)
class Quality:
    """One metric of the accuracy: what was stated (None: nothing) and the target's bounds in words."""

    metric: str
    value: float | None
    wanted: str

    @property
    def words(self) -> str:
        """Both, as in "acc 75.7 (>= 75.6954)"."""
        said = UNKNOWN if self.value is None else f"{self.value:.6g}"
        return f"{self.metric} {said}" + (f" ({self.wanted})" if self.wanted else "")


@dataclass(frozen=True)
class Figures:
    """What a result states: its official figure and unit, its accuracy, its power in words; empty where unknown."""

    value: float | None = None
    unit: str = ""
    inferred_from: str = ""
    accuracy: tuple[Quality, ...] = ()
    power: str = ""


@dataclass(frozen=True)
class ResultRow:
    """A result with its figures, the two verdicts on its own findings, and what official checkers `said` of it."""

    result: str
    figures: Figures
    rules: str
    official: str
    said: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, str, str]:
        """System (with division and submitter, where a tree names them), benchmark, scenario."""
        system, _, rest = self.result.rpartition("/")
        system, _, benchmark = system.rpartition("/")
        return system, benchmark, rest

    @property
    def cells(self) -> tuple[str, ...]:
        """Texts under COLUMNS."""
        figures = self.figures
        unit = figures.unit.rstrip(")").rpartition("(")[2]  # "Latency (ms)" in the official table
        value = UNKNOWN if figures.value is None else f"{figures.value:.6g} {unit}".rstrip()
        if figures.inferred_from:
            value += f", inferred from {figures.inferred_from}"
        said = ", ".join(each.words for each in figures.accuracy)
        answers = (self.said.get(name, "") for name in CHECKERS)
        return (*self.parts, value, said, figures.power, self.rules, self.official, *answers)


def rows(
    results: Sequence[str], figures: Mapping[str, Figures], found: Mapping[str, Sequence[Finding]], *, predicted: bool
) -> list[ResultRow]:
    """A row for each result, from its figures and findings; the checker's verdict only where one was `predicted`."""
    made: list[ResultRow] = []
    for result in results:
        own = found.get(result, ())
        said = WORDS[official.verdicts(own).official] if predicted else ""
        made.append(ResultRow(result, figures.get(result, Figures()), REJECTS if errors(own) else ACCEPTS, said))
    return made


def shown(rows_: Sequence[ResultRow]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Column names and cells, without the columns in which nothing stands."""
    cells = [row.cells for row in rows_]
    used = [n for n in range(len(COLUMNS)) if any(row[n] for row in cells)]
    return tuple(COLUMNS[n] for n in used), [tuple(row[n] or UNKNOWN for n in used) for row in cells]


def qualities(text: str, metrics: Sequence[Metric], rules: Rules, scenario: Scenario | None) -> tuple[Quality, ...]:
    """What an accuracy.txt states, in the unit of each target that holds in the scenario; the last of each metric."""
    forms = {metric.name: metric for metric in metrics}
    targets = [each for each in rules.targets if not (scenario and each.scenarios and scenario not in each.scenarios)]
    wanted = [_in_unit(forms.get(metric.name, metric), metric) for metric in accuracy.metrics_of(rules)]
    values = accuracy_text.read(text, wanted or metrics)
    if not targets:
        return tuple(Quality(name, value, "") for name, value in values.items())
    return tuple(Quality(each.metric, values.get(each.metric), bounds(each)) for each in targets)


def bounds(target: Target) -> str:
    """What the round wants of a figure."""
    least = f"{'>=' if target.higher_is_better else '<='} {target.target:.6g}"
    return least if target.upper is None else f"{least}, <= {target.upper:.6g}"


def _in_unit(form: Metric, target: Metric) -> Metric:
    return replace(form, name=target.name, unit=target.unit)
