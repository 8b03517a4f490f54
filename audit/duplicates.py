"""The same measurement under two names: logs of different results that are copies of each other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from audit.alike import alike
from audit.cascade import COPIES, COPY
from audit.case import ACCURACY_LOG, DETAIL
from audit.evidence import Evidence
from audit.figures import LATENCY
from audit.finding import Finding, Severity
from audit.sampling import VISIBLE_BYTES
from loadgen_harness.run import Run

LEVEL = re.compile(r"-9\d(\.\d)?$")  # bert-99 and bert-99.9: the run for the higher accuracy stands for the lower too
SHORT = 1000  # bytes of a log that says too little
ORDERS = {"Server": "SingleStream"}
EARLY_MS = 1.0  # of lines before it two of a kind may share one; of later ones no two of 145,000 pairs of runs do
FEW = 4  # latencies, to the nanosecond, that no two runs share
CLAUSE = (
    "inference_rules.adoc, Replicability is mandatory; one LoadGen run for each performance result (LoadGen Operation)"
)


class Logged(NamedTuple):
    """One run of a result: whose it is and which part."""

    evidence: Evidence
    part: str
    run: Run


class Copied(NamedTuple):
    """A run and the one before it that it is a copy of."""

    first: Logged
    second: Logged


def check(evidences: Sequence[Evidence]) -> Iterator[Finding]:
    """A Finding for every two results of which one has logs that should be runs of their own, naming them."""
    runs = [Logged(each, part, run) for each in evidences for part, run in each.runs()]
    yield from (finding for _, finding in _told(_copied(runs, lambda one, other: True), _name))


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
    """The root of a tree and a Finding for every two results whose runs appear in a tree before it, too."""
    runs = [Logged(each, part, run) for each in evidences for part, run in each.runs()]
    copies = _copied(runs, lambda one, other: one.evidence.root != other.evidence.root)
    for second, finding in _told(copies, lambda each: str(each.evidence.root / _name(each))):
        yield second.evidence.root, finding


def _copied(runs: list[Logged], apart: Callable[[Logged, Logged], bool]) -> Iterator[Copied]:
    """Each run that one before it, `apart` from it, already is, once."""
    told: set[int] = set()
    for group in _groups(runs):
        for number, second in enumerate(group):
            before = [each for each in group[:number] if apart(each, second)]
            if before and id(second.run) not in told and not any(_allowed(each, second) for each in before):
                told.add(id(second.run))
                yield Copied(before[0], second)


def _told(copies: Iterator[Copied], name: Callable[[Logged], str]) -> Iterator[tuple[Logged, Finding]]:
    """One Finding for all copies of one result in another that lie alike, with the first of them."""
    pairs: dict[tuple[int, int, tuple[str, str]], list[Copied]] = defaultdict(list)
    for each in copies:
        heads = _heads(name(each.first), _name(each.second))
        pairs[id(each.first.evidence), id(each.second.evidence), heads].append(each)
    for (_, _, (head, _)), found in pairs.items():
        first, second = found[0]
        told = replace(_finding(first, second), found=f"{COPY}{name(first)}")
        if len(found) > 1:
            parts = ", ".join(each.second.part for each in found)
            told = replace(told, found=f"{COPIES}{head}: {parts}", wanted="runs of its own")
        yield second, told


def _heads(one: str, other: str) -> tuple[str, str]:
    """Two names of files without the folders at their end that both have."""
    parts, others = one.split("/"), other.split("/")
    while parts and others and parts[-1] == others[-1]:
        parts.pop()
        others.pop()
    return "/".join(parts), "/".join(others)


def _name(each: Logged) -> str:
    """A run's log as findings name it."""
    return each.evidence.name(each.run.file(DETAIL))


def _groups(runs: list[Logged]) -> Iterator[list[Logged]]:
    """Runs that share all their latencies, or stamps of time; then those whose latencies are all but the same."""
    marks: dict[Hashable, list[Logged]] = defaultdict(list)
    for each in runs:
        for mark in _marks(each.run):
            marks[mark].append(each)
    yield from (group for group in marks.values() if len(group) > 1)
    yield from ([runs[place] for place in places] for places in alike([each.run for each in runs]))


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
    stamps = {stamp for key in log if (stamp := run.time_ms(key)) is not None and stamp > EARLY_MS}
    yield from (("stamps", *both) for both in pairwise(sorted(stamps)))


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
    return Finding(
        check="duplicate",
        severity=Severity.ERROR,
        file=_name(second),
        key="log",
        found=f"{COPY}{_name(first)}",
        wanted="a run of its own",
        clause=CLAUSE,
        fix="Put back this result's own logs, or repeat its run.",
    )
