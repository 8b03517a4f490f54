"""The same measurement under two names: logs of different results that are copies of each other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from audit.case import ACCURACY_LOG, DETAIL
from audit.evidence import Evidence
from audit.figures import LATENCY
from audit.finding import Finding, Severity
from audit.sampling import VISIBLE_BYTES
from loadgen_harness.run import Run

LEVEL = re.compile(r"-9\d(\.\d)?$")  # bert-99 and bert-99.9: the run for the higher accuracy stands for the lower too
SHORT = 1000  # bytes of a log that says too little
ORDERS = {"Server": "SingleStream"}
FEW = 4  # latencies, to the nanosecond, that no two runs share
CLAUSE = (
    "inference_rules.adoc, Replicability is mandatory; one LoadGen run for each performance result (LoadGen Operation)"
)


class Logged(NamedTuple):
    """One run of a result: whose it is and which part."""

    evidence: Evidence
    part: str
    run: Run


def check(evidences: Sequence[Evidence]) -> Iterator[Finding]:
    """A Finding for every run whose log appears before where it should be a run of its own."""
    runs = [Logged(each, part, run) for each in evidences for part, run in each.runs()]
    told: set[int] = set()
    for group in _groups(runs):
        for number, second in enumerate(group):
            before = group[:number]
            if before and id(second.run) not in told and not any(_allowed(each, second) for each in before):
                told.add(id(second.run))
                yield _finding(before[0], second)


def responses(evidences: Sequence[Evidence]) -> Iterator[Finding]:
    """A Finding for each accuracy log that stands in results of several scenarios, at the one that the fewest share.

    LoadGen draws the order of samples in each kind of scenario another way; only Server's is that of SingleStream.
    """
    holders: dict[tuple[str, bytes], dict[str, list[Logged]]] = defaultdict(lambda: defaultdict(list))
    for each in evidences:
        measured = each.performance.scenario if each.performance else ""
        for part, run in (("accuracy", each.accuracy), *each.test_accuracy.items()):
            content = run.read(ACCURACY_LOG, VISIBLE_BYTES) if run else b""
            if run is not None and len(content) >= SHORT and measured == each.scenario.loadgen:
                holders[part, content][ORDERS.get(measured, measured)].append(Logged(each, part, run))
    for kinds in holders.values():
        fewest, *others = sorted(kinds.values(), key=len)
        for copy in fewest if others else ():
            first = others[0][0]
            if set(_marks(first.run)) & set(_marks(copy.run)):
                continue  # the whole run is a copy: told above
            place = first.evidence.name(first.run.file(ACCURACY_LOG))
            wanted = "the responses of its own run, in the order of its scenario: one of the two is a copy"
            file = copy.evidence.name(copy.run.file(ACCURACY_LOG))
            yield replace(_finding(first, copy), file=file, key="responses", found=f"those of {place}", wanted=wanted)


def between(evidences: Sequence[Evidence]) -> Iterator[tuple[Path, Finding]]:
    """The root of a tree and a Finding for every run in it that appears in a tree before it."""
    runs = [Logged(each, part, run) for each in evidences for part, run in each.runs()]
    told: set[int] = set()
    for group in _groups(runs):
        for number, second in enumerate(group):
            before = [each for each in group[:number] if each.evidence.root != second.evidence.root]
            if before and id(second.run) not in told and not any(_allowed(each, second) for each in before):
                told.add(id(second.run))
                found = _finding(before[0], second)
                first = before[0].evidence.root / before[0].evidence.name(before[0].run.file(DETAIL))
                yield second.evidence.root, replace(found, found=f"the same run as {first}")


def _groups(runs: list[Logged]) -> Iterator[list[Logged]]:
    """Runs that share all their latencies, or the milliseconds of their beginning and end."""
    marks: dict[Hashable, list[Logged]] = defaultdict(list)
    for each in runs:
        for mark in _marks(each.run):
            marks[mark].append(each)
    yield from (group for group in marks.values() if len(group) > 1)


def _marks(run: Run) -> Iterator[Hashable]:
    """What two runs never share."""
    log = run.log
    figures = {key: value for key, value in log.items() if isinstance(value, int | float)}
    latencies = tuple(sorted((key, figures[key]) for key in figures if re.fullmatch(LATENCY.between, key)))
    ends = tuple(figures.get(key) for key in (LATENCY.least, LATENCY.mean, LATENCY.most))
    if len({value for _, value in latencies}) >= FEW and all(ends):
        yield "latencies", ends, latencies
    window = tuple(str(log.get(key, "")) for key in ("test_datetime", "power_begin", "power_end"))
    if all(window[1:]):
        yield "times", window, run.loadgen_version, run.time_ms("power_end")


def _allowed(first: Logged, second: Logged) -> bool:
    """Whether one log may stand in both places."""
    if first.part != second.part:
        return False
    one, other = first.evidence, second.evidence
    if (one.submitter, one.system_name) != (other.submitter, other.system_name):
        return False
    if one.division != other.division:  # a closed result may be entered in the open division too
        return one.scenario == other.scenario
    names = {LEVEL.sub("", each.benchmark.name) for each in (one, other)}
    return len(names) == 1 and (one.scenario == other.scenario or _inferred(first) or _inferred(second))


def _inferred(each: Logged) -> bool:
    """Whether a result's logs, all of them, are another scenario's (that it may be inferred is another check)."""
    measured = each.evidence.performance.scenario if each.evidence.performance else ""
    return each.run.scenario == measured != each.evidence.scenario.loadgen


def _finding(first: Logged, second: Logged) -> Finding:
    name = second.evidence.name(second.run.file(DETAIL))
    return Finding(
        check="duplicate",
        severity=Severity.ERROR,
        file=name,
        key="log",
        found=f"the same run as {first.evidence.name(first.run.file(DETAIL))}",
        wanted="a run of its own",
        clause=CLAUSE,
        fix="Put back this result's own logs, or repeat its run.",
    )
