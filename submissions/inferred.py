"""The official figure of a result, measured or inferred from another scenario's logs, and whether it may be inferred.

Rules, Constraints for the Closed division: edge submitters may infer MultiStream from SingleStream, and Offline from
either, by a copy of the measured scenario's folder under the inferred one's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from audit.finding import Finding, Severity
from loadgen_harness.run import Run
from loadgen_harness.types import ResultField, Rules, Scenario, SystemType
from submissions.subject import Subject

WIDTH = 8  # samples per MultiStream query
NS = 1e9
UNITS_NS = {"Latency (ms)": 1e6, "Latency (s)": 1e9}  # LoadGen logs nanoseconds
CLAUSE = "rules, Constraints for the Closed division: inferred results"


@dataclass(frozen=True)
class Official:
    """A result's figure in the official table's unit, the log's key behind it, and the scenario it follows from."""

    value: float
    unit: str
    key: str
    inferred_from: str = ""


@dataclass(frozen=True)
class _Inference:
    """How a figure follows from another scenario's log."""

    key: str
    figure: Callable[[float, float], float]  # of the key's value and the samples per query
    words: str


INFERENCES: Mapping[tuple[str, Scenario], _Inference] = {
    ("SingleStream", Scenario.MULTI_STREAM): _Inference(
        "early_stopping_latency_ms", lambda value, _: WIDTH * value, "8 x the early-stopping p99 estimate"
    ),
    ("SingleStream", Scenario.OFFLINE): _Inference(
        "result_qps_without_loadgen_overhead", lambda value, _: value, "1000 / the mean latency in ms"
    ),
    ("MultiStream", Scenario.OFFLINE): _Inference(
        "result_mean_query_latency_ns",
        lambda value, width: width * NS / value if value else math.nan,
        "8000 / the mean query latency in ms",
    ),
}


def source(subject: Subject) -> str:
    """The scenario in the log where the result may follow from it, empty for a measured or a wrong one."""
    run = subject.performance
    return run.scenario if run and (run.scenario, subject.scenario) in INFERENCES else ""


def result(subject: Subject) -> Official | None:
    """The official figure of a result as the official table shows it; None where the log does not hold it."""
    run = subject.performance
    if run is None:
        return None
    if source(subject):
        return estimate(run, subject.scenario, subject.rules)
    wanted = subject.rules.results.get(subject.scenario)
    if wanted and (value := _number(run, wanted.key)) is not None:
        return Official(value / UNITS_NS.get(wanted.unit, 1.0), wanted.unit, wanted.key)
    own = run.result
    return Official(own.value, own.unit, own.key) if own else None


def check(subject: Subject) -> Iterator[Finding]:
    """An inferred result is named as such; it is refused outside the edge suite and where LoadGen has no estimate."""
    inferred = source(subject)
    if not inferred:
        return
    kind = str(subject.system.get("system_type", ""))
    file = subject.name(subject.place.performance.detail)
    if subject.system and SystemType.EDGE.value not in kind.lower():
        fix = f"Measure {subject.scenario}, or submit the system to the edge suite."
        yield _finding(Severity.ERROR, file, "system_type", (kind or "missing", "edge"), fix)
        return
    found = result(subject)
    if found is None or not found.value > 0 or not math.isfinite(found.value):
        fix = f"Run {inferred} longer, until LoadGen can estimate it, or measure {subject.scenario}."
        key = INFERENCES[inferred, subject.scenario].key
        yield _finding(Severity.ERROR, file, key, ("missing or 0", "an estimate"), fix)
        return
    words = INFERENCES[inferred, subject.scenario].words
    shown = f"{found.value:.6g} {found.unit} inferred from {inferred}: {words}"
    yield _finding(Severity.NOTE, file, found.key, (shown, "named as inferred"), "Name it so where you publish it.")


def estimate(run: Run, scenario: Scenario, rules: Rules) -> Official | None:
    """The figure in `scenario` that follows from another scenario's log; None where none may or can."""
    how = INFERENCES.get((run.scenario, scenario))
    value = _number(run, how.key) if how else None
    if how is None or value is None:
        return None
    width = _number(run, "effective_samples_per_query") or WIDTH
    unit = rules.results.get(scenario, ResultField("", "")).unit or _unit(scenario)
    return Official(how.figure(value, width) / UNITS_NS.get(unit, 1.0), unit, how.key, run.scenario)


def _unit(scenario: Scenario) -> str:
    return "Latency (ms)" if scenario is Scenario.MULTI_STREAM else "Samples/s"


def _number(run: Run, key: str) -> float | None:
    value = run.log.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _finding(severity: Severity, file: str, key: str, what: tuple[str, str], fix: str) -> Finding:
    found, wanted = what
    return Finding("inferred", severity, file, key, found, wanted, CLAUSE, fix)
