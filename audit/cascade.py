"""Findings that only follow from another one: what a damaged log lacks, where a copied or exchanged run differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from audit.finding import Finding, Severity

DETAIL, SUMMARY = "mlperf_log_detail.txt", "mlperf_log_summary.txt"
LACKING = "missing"
OF_THE_END = ("power_begin", "power_end")  # without them a duration is 0
COPY = "the same run as "  # how a duplicate names the other one,
COPIES = "the same runs as in "  # and a folder of several
OF_SWAPPED = ("audit-config", "audit-settings", "compliance", "verdict-text", "test-settings", "mode", "responses")
OF_COPIES = (
    "query-count",
    "samples-per-query",
    "percentile",
    "early-stopping",
    "early-stopping-figures",
    "latency",
    "rates",
    "scenario",
    "compliance",
    "verdict-text",
    "test-settings",
    "user-conf",
)


class Cause(NamedTuple):
    """One kind of finding and what follows from it: of the check, with a key that begins so."""

    check: str
    key: str
    follows: Callable[[Finding, Finding], bool]  # of the cause and of another finding
    is_one: Callable[[Finding], bool] = lambda finding: True


def split(findings: Sequence[Finding]) -> tuple[list[Finding], Mapping[Finding, list[Finding]]]:
    """Findings that stand for themselves, and those that follow from one of these."""
    causes = [(cause, each) for cause in CAUSES for each in findings if _matches(cause, each)]
    settled: set[int] = set()  # causes, and what follows: a cause may follow from one before it
    near: dict[str, list[Finding]] = {}
    for each in findings:
        near.setdefault(_result(each.file), []).append(each)
    following: dict[Finding, list[Finding]] = {}
    for cause, finding in causes:
        if id(finding) in settled:
            continue
        settled.add(id(finding))
        for place in _places(finding):
            after = [each for each in near.get(place, ()) if id(each) not in settled and cause.follows(finding, each)]
            settled.update(map(id, after))
            if after:
                following.setdefault(finding, []).extend(after)
    followers = {id(each) for after in following.values() for each in after}
    return [each for each in findings if id(each) not in followers], following


def _matches(cause: Cause, finding: Finding) -> bool:
    of_it = finding.check == cause.check and finding.key.startswith(cause.key)
    return of_it and finding.severity is Severity.ERROR and cause.is_one(finding)


def _of_log(finding: Finding) -> bool:
    return finding.file.endswith(DETAIL)


def _unfinished(finding: Finding) -> bool:
    return _of_log(finding) and finding.found.startswith(LACKING)


def _lacks(cause: Finding, finding: Finding) -> bool:
    """Whether a finding says no more than that something is not in the log."""
    unread = finding.check in ("readable", "structure")
    missing = finding.found.startswith(LACKING) or finding.key in OF_THE_END or finding.check == "absent"
    return finding.file == cause.file and not unread and missing


def _other_figures(cause: Finding, finding: Finding) -> bool:
    return finding.file == cause.file and finding.check == "summary"


def _backwards(cause: Finding, finding: Finding) -> bool:
    """A time before its beginning: what was reckoned with it."""
    reckoned = finding.key in OF_THE_END or " -" in f" {finding.wanted}"
    return finding.file == cause.file and finding.check in ("duration", "rates") and reckoned


def _swapped(cause: Finding, finding: Finding) -> bool:
    """What two runs in each other's place contradict, in the same result."""
    return _result(finding.file) == _result(cause.file) and finding.check in OF_SWAPPED


def _copied(cause: Finding, finding: Finding) -> bool:
    """What a copied log contradicts, in either result: the copy may be the one that is named first."""
    return _result(finding.file) in _places(cause) and finding.check in OF_COPIES


def _places(cause: Finding) -> list[str]:
    """The results that findings may lie in which follow from it."""
    other = [cause.found.removeprefix(COPY)] if cause.found.startswith(COPY) else []
    if cause.found.startswith(COPIES):
        head = cause.found.removeprefix(COPIES).rpartition(": ")[0]
        depth = head.count("/") + 1
        other = [head, "/".join((head, *cause.file.split("/")[depth:]))]
    return list(dict.fromkeys(map(_result, (cause.file, *other))))


def _result(file: str) -> str:
    """The folder of the result that a run's file lies in."""
    parts = file.split("/")
    ends = [at for at, part in enumerate(parts) if part in ("performance", "accuracy") or part.startswith("TEST")]
    return "/".join(parts[: ends[0]]) if ends else file


# The first that holds for a finding is its cause.
CAUSES = (
    Cause("readable", "", _lacks, _of_log),
    Cause("structure", "file", _lacks, _of_log),
    Cause("validity", "result_validity", _lacks, _unfinished),
    Cause("summary", "figures", _other_figures),
    Cause("times", "power_end", _backwards),
    Cause("test-settings", "run", _swapped),
    Cause("duplicate", "log", _copied, lambda finding: finding.found.startswith((COPY, COPIES))),
)
