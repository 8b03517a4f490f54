"""Does the system remember answers? One sample over and over may not be faster than samples that all differ.

The difference to compliance test TEST04 is the other side: LoadGen's usual mix repeats samples too, so a result cache
speeds it up as well. Here either every sample is new (`performance_issue_unique`) or all are the same one
(`performance_issue_same`); as many, in pairs, with another sample repeated in each pair.
"""

from __future__ import annotations

from audit.auditee import speed
from audit.auditee.report import GUIDELINES, Report, Ruling, at_most, faults, gravest
from audit.auditee.subject import Plan, Runs, Subject, interleaved, numbered
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Division, Scenario

AUDIT = "cache"
CLAUSE = f"{GUIDELINES}, Rule Violation; Inference Rules, LoadGen Operation: caching of queries is prohibited"
SAME, UNIQUE = "same", "unique"
SPREAD = (5**0.5 - 1) / 2  # its multiples spread evenly, however many pairs there will be (Weyl 1916)
WORDS = {
    Ruling.PASS: "no sign of a cache: a repeated sample is no faster than unique ones",
    Ruling.OPEN: "undecided whether a repeated sample is faster",
    Ruling.FAIL: "a repeated sample is faster than unique ones: results or prefixes are cached",
}


def plan(subject: Subject) -> Plan:
    """Pairs of runs of as many queries as there are samples in memory: one sample repeated, each sample once."""
    found = {}
    for number, which in interleaved(SAME, UNIQUE, subject.runs):
        name = numbered(which, number)
        overrides = _overrides(subject, which, number)
        found[name] = subject.spec(name, division=Division.OPEN, overrides=overrides)  # closed locks these settings
    return found


def _overrides(subject: Subject, which: str, number: int) -> dict[str, float]:
    """user.conf for one run; LoadGen gives a unique run exactly as many queries as make each sample come once."""
    count = subject.run.log.get("effective_performance_sample_count")
    if not isinstance(count, int) or count < 1:
        raise BadInput(f"{subject.run.path}: its log lacks effective_performance_sample_count; audit a whole run.")
    width = int(subject.run.log.get("effective_samples_per_query") or 1)
    queries = max(count // width, 1) if subject.run.scenario == Scenario.MULTI_STREAM else count
    shared: dict[str, float] = {"min_duration": 0, "sample_concatenate_permutation": 0, "min_query_count": queries}
    if which == UNIQUE:
        return {**shared, "performance_issue_unique": 1}
    index = int(number * SPREAD % 1 * count)  # a position in LoadGen's shuffled set
    return {**shared, "performance_issue_same": 1, "performance_issue_same_index": index}


def judge(subject: Subject, runs: Runs) -> Report:
    """Compare the speeds within pairs; more than TEST04's 10 % faster, beyond noise, is a cache."""
    numbers = range(1, subject.runs + 1)
    pairs = [(runs[numbered(SAME, number)], runs[numbered(UNIQUE, number)]) for number in numbers]
    found = speed.ratios(pairs)
    rows = [at_most(name, each, accused=speed.SIMILAR, cleared=speed.SIMILAR) for name, each in found.items()]
    ruling = gravest(row.ruling for row in rows)
    fix = "Switch caches of results and of prompt prefixes off; every query is computed in its entirety."
    findings = faults(AUDIT, rows, clause=CLAUSE, wanted="at most 10 % faster than unique samples", fix=fix)
    return Report(AUDIT, ruling, WORDS[ruling], tuple(rows), tuple(findings))
