"""Accuracy: judged against the round's targets, from measured scores or from what accuracy.txt states.

The official checker compares the printed figure, whatever its unit, with `>=`: where that differs from the rules, the
Finding says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from audit import accuracy_text
from audit.accuracy_text import FILE, FRACTION, OFFICIAL, PERCENT, Stated, mended, read, recorded_hash, with_hash
from audit.finding import Finding, Severity
from loadgen_harness.types import Benchmark, Division, Metric, Rules, Scenario, Score, Target

__all__ = [
    "FILE",
    "OFFICIAL",
    "judge",
    "judge_text",
    "mended",
    "metrics_of",
    "read",
    "recorded_hash",
    "text",
    "with_hash",
]

CLAUSE = "inference_rules.adoc, Constraints for the Closed division: quality target"
SHARES = ("acc", "AUC", "mAP", "ACCURACY", "exact_match", "E2E_ACCURACY", "vbench_score", "gsm8k_accuracy", "F1")
ACCEPTS, REJECTS = "accepts", "rejects"


@dataclass(frozen=True)
class _Court:
    """Under which rules and how severely one result is judged."""

    rules: Rules
    division: Division
    scenario: Scenario | None

    @property
    def open(self) -> bool:
        """The open division asks for the figure alone, and so does the checker."""
        return self.division is Division.OPEN

    @property
    def severity(self) -> Severity:
        """Of a missed target."""
        return Severity.NOTE if self.open else Severity.ERROR

    def accepts(self, figure: float, target: Target) -> bool:
        """The checker's own comparison: never below its target, whatever the metric's direction."""
        return figure >= self.official_target(target) and (target.upper is None or figure <= target.upper)

    def official_target(self, target: Target) -> float:
        """Where lower is better the checker wants at least the reference less the same margin."""
        said = self.rules.disagreement(f"accuracy.{target.metric}")
        if said and isinstance(said.checker, float):
            return said.checker
        return target.target if target.higher_is_better else 2 * target.reference - target.target

    def targets(self) -> Iterator[Target]:
        """Those that hold in the scenario."""
        for target in self.rules.targets:
            if not (self.scenario and target.scenarios and self.scenario not in target.scenarios):
                yield target


class _Figures(NamedTuple):
    """One metric of one result: its value in the target's unit, what the checker reads, and how to name it."""

    value: float
    printed: Sequence[float]
    shown: str
    line: int = 0


def judge(
    scores: Sequence[Score],
    rules: Rules,
    *,
    division: Division = Division.CLOSED,
    scenario: Scenario | None = None,
) -> Iterator[Finding]:
    """A Finding for every target that is missed, a note in the open division, which asks for the figure alone.

    Targets of other scenarios than `scenario` are left out. A warning where the rules are satisfied but the official
    checker, which reads the rounded figure, is not.
    """
    court = _Court(rules, division, scenario)
    measured = {score.metric: score for score in scores}
    metrics = {metric.name: metric for metric in metrics_of(rules)}
    for target in court.targets():
        score = measured.get(target.metric)
        if score is None:
            yield _missing(court, target)
            continue
        from_file = score.method == FILE  # a figure that was read is what the checker reads
        printed = score.value if from_file else _printed(score, metrics[target.metric])
        shown = f"{score.value:.6g} (95 % {score.low:.6g} to {score.high:.6g}, n = {score.n})"
        yield from _judged(
            court, target, _Figures(score.value, [printed], f"{score.value:.9g}" if from_file else shown)
        )


def judge_text(
    text_: str,
    metrics: Sequence[Metric],
    rules: Rules,
    *,
    division: Division = Division.CLOSED,
    scenario: Scenario | None = None,
) -> Iterator[Finding]:
    """The same of accuracy.txt itself: with lines, the forms that the checker cannot read, and figures stated twice.

    `metrics` are the benchmark's; the unit of a figure is that of the round's target.
    """
    court = _Court(rules, division, scenario)
    units = {metric.name: metric for metric in metrics_of(rules)}
    forms = {metric.name: metric for metric in metrics}
    wanted = [replace(forms.get(name, metric), name=name, unit=metric.unit) for name, metric in units.items()]
    found = accuracy_text.stated(text_, wanted)
    last = _last_line(text_, court, found)
    for target in court.targets():
        figures = found.get(target.metric, [])
        if not figures:
            yield _missing(court, target, accuracy_text.unreadable(text_, units[target.metric]))
            continue
        worst = next((each for each in figures if not _met(each.value, target)), figures[-1])
        seen = [each.figure for each in figures if each.line <= last]
        yield from _judged(court, target, _Figures(worst.value, seen, f"{worst.value:.9g}", worst.line))


def text(scores: Sequence[Score], benchmark: Benchmark | None = None) -> str:
    """accuracy.txt: the lines that the official checker parses, else the metric's own form.

    Raises BadInput where an official line needs a score that is not there, or a value is no number.
    """
    return accuracy_text.write(scores, benchmark.metrics if benchmark else ())


def metrics_of(rules: Rules) -> tuple[Metric, ...]:
    """The metrics that a round's targets name, each in its target's unit."""
    first: dict[str, Target] = {}
    for target in rules.targets:
        first.setdefault(target.metric, target)
    return tuple(Metric(name, _unit(target), target.higher_is_better) for name, target in first.items())


def _unit(target: Target) -> str:
    if target.metric == "acc" and target.reference <= 1:
        return FRACTION
    return PERCENT if target.metric in SHARES and target.reference > 1 else ""


def _judged(court: _Court, target: Target, figures: _Figures) -> Iterator[Finding]:
    known = target.metric in OFFICIAL  # our own benchmarks' metrics mean nothing to the checker
    read_well = bool(figures.printed) and all(court.accepts(each, target) for each in figures.printed)
    accepted = not known or court.open or read_well
    official = (ACCEPTS if accepted else REJECTS) if known else ""
    if not _met(figures.value, target):
        yield replace(_finding(court, target, figures.shown), line=figures.line, official=official)
    elif not accepted:
        yield _rejected(court, target, figures)


def _rejected(court: _Court, target: Target, figures: _Figures) -> Finding:
    """The rules are satisfied, the checker is not: the wrong direction, or a figure lost by rounding."""
    wrong_way = not target.higher_is_better
    return replace(
        _finding(court, target, f"{figures.shown}, read as {', '.join(f'{each:.9g}' for each in figures.printed)}"),
        severity=Severity.WARNING,
        wanted=f">= {court.official_target(target):.9g} for the official checker",
        line=figures.line,
        official=REJECTS,
        fix="Keep the result and tell the organisers: the checker compares in the wrong direction."
        if wrong_way
        else "State the figure with more digits, once.",
    )


def _met(value: float, target: Target) -> bool:
    if not math.isfinite(value):
        return False
    reached = value >= target.target if target.higher_is_better else value <= target.target
    return reached and (target.upper is None or value <= target.upper)


def _printed(score: Score, metric: Metric) -> float:
    if not math.isfinite(score.value):
        return math.nan
    return accuracy_text.figure(score, metric if metric.unit else None)


def _last_line(text_: str, court: _Court, found: dict[str, list[Stated]]) -> int:
    """Up to which line the checker reads: it stops once every target was reached and the hash was seen."""
    lines = text_.splitlines()
    hashes = [number for number, line in enumerate(lines, start=1) if line.startswith("hash=")]
    reached = [
        min((each.line for each in found.get(target.metric, []) if court.accepts(each.figure, target)), default=0)
        for target in court.targets()
    ]
    return max(*reached, hashes[0]) if hashes and reached and all(reached) else len(lines)


def _wanted(target: Target) -> str:
    sign = ">=" if target.higher_is_better else "<="
    return f"{sign} {target.target:.9g}" + (f" and <= {target.upper:.9g}" if target.upper is not None else "")


def _finding(court: _Court, target: Target, found: str) -> Finding:
    return Finding(
        check="accuracy",
        severity=court.severity,
        file=FILE,
        key=target.metric,
        found=found,
        wanted=_wanted(target),
        clause=CLAUSE + (f" ({target.note})" if target.note else ""),
        fix="Use a precision or calibration that keeps the accuracy, or submit to the open division.",
    )


def _missing(court: _Court, target: Target, line: int = 0) -> Finding:
    """No figure; one that is only bounded from above, which reference scripts do not all print, is a warning."""
    bounded = target.target <= 0 and target.upper is not None
    found = "in a form that the official checker does not read" if line else "missing"
    example = OFFICIAL[target.metric].form.format_map(_Blanks()) if target.metric in OFFICIAL else target.metric
    return replace(
        _finding(court, target, found),
        severity=Severity.WARNING if bounded and not court.open else court.severity,
        line=line,
        official="" if target.metric not in OFFICIAL else ACCEPTS if bounded or court.open else REJECTS,
        fix=f"Write it as the reference script does, such as {example}"
        + ("; lgh check TREE --fix does." if line else "."),
    )


class _Blanks(dict[str, float]):
    """Any field of a form, as an example."""

    def __missing__(self, key: str) -> float:
        """Counts and shares alike."""
        return 50
