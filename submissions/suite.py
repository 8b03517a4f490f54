"""Are all scenarios there that a benchmark must be submitted in, and no others?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audit.finding import Finding
from loadgen_harness.types import Rules, Scenario, Suite, SystemType
from submissions import layout
from submissions.inferred import INFERENCES
from submissions.structure import error


def check(folder: Path, name: str, described: Mapping[str, Any], demands: Rules) -> Iterator[Finding]:
    """Findings on the scenarios of one benchmark's folder; `name` is what findings call it, `described` the system."""
    kind = str(described.get("system_type", ""))
    suites = suites_of(kind, demands)
    clause = f"rules, Benchmarks: scenarios of {kind or 'an unknown system type'}{_quoted(kind, demands)}"
    if not suites:
        what = ("system_type", kind or "missing", ", ".join(demands.suites))
        yield error("suite", name, what, clause, "submit the benchmark in a suite that has it")
        return
    present = _present(folder)
    edge = suites_of(SystemType.EDGE.value, demands) if SystemType.EDGE.value in kind else []
    inferable = {scenario for (source, scenario) in INFERENCES if edge and Scenario(source) in present}
    yield from _missing(name, clause, suites=suites, present=present, inferable=inferable)
    allowed = {s for suite in suites for s in (*suite.required, *suite.optional, *suite.any_of)}
    for scenario in sorted(present - allowed):
        what = (scenario.value, "present", "absent")
        yield error("suite", name, what, clause, "remove it: the checker fails the whole benchmark")


def suites_of(kind: str, demands: Rules) -> list[Suite]:
    """The suites of a system type: its own, or those of both halves of "datacenter,edge"."""
    parts = kind.split(",")
    whole = demands.suites.get(kind) or demands.suites.get(",".join(reversed(parts)))
    return [whole] if whole else [demands.suites[part] for part in parts if part in demands.suites]


def _missing(
    name: str, clause: str, *, suites: list[Suite], present: set[Scenario], inferable: set[Scenario]
) -> Iterator[Finding]:
    for scenario in sorted({scenario for each in suites for scenario in each.required} - present):
        what = ("scenario", "missing", scenario.value)
        yield error("suite", name, what, clause, f"run {scenario} too{', or infer it' * (scenario in inferable)}")
    for each in suites:
        if each.any_of and not present & set(each.any_of):
            what = ("scenario", "missing", " or ".join(s.value for s in each.any_of))
            yield error("suite", name, what, clause, f"run {each.any_of[0].value} too")


def _present(folder: Path) -> set[Scenario]:
    names = {each.name.lower() for each in layout.folders(folder)}
    return {scenario for scenario in Scenario if scenario.value.lower() in names}


def _quoted(kind: str, demands: Rules) -> str:
    """What the sources say of a suite on which they differ."""
    said = [
        each for part in dict.fromkeys((kind, *kind.split(","))) if (each := demands.disagreement(f"suites.{part}"))
    ]
    return "".join(f"; sources differ: {each}" for each in said)
