"""Findings that only follow from another one: what a log lacks because it was cut, damaged or never finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audit.finding import Finding, Severity

DETAIL = "mlperf_log_detail.txt"
LACKING = "missing"
OF_THE_END = ("power_begin", "power_end")  # without them a duration is 0
# The first that holds for a file is the cause of what else it lacks.
CAUSES = (("readable", ""), ("structure", "file"), ("validity", "result_validity"))


def split(findings: Sequence[Finding]) -> tuple[list[Finding], Mapping[Finding, list[Finding]]]:
    """Findings that stand for themselves, and those that follow from one of these."""
    causes: dict[str, Finding] = {}
    for check, key in CAUSES:
        for finding in findings:
            if finding.check == check and finding.key.startswith(key) and _is_cause(finding):
                causes.setdefault(finding.file, finding)
    own: list[Finding] = []
    following: dict[Finding, list[Finding]] = {}
    for finding in findings:
        cause = causes.get(finding.file)
        if cause is None or finding is cause or not _lacks(finding):
            own.append(finding)
        else:
            following.setdefault(cause, []).append(finding)
    return own, following


def _is_cause(finding: Finding) -> bool:
    """A damaged or unfinished detail log."""
    of_log = finding.file.endswith(DETAIL) and finding.severity is Severity.ERROR
    return of_log and (finding.check != "validity" or finding.found.startswith(LACKING))


def _lacks(finding: Finding) -> bool:
    """Whether a finding says no more than that something is not in the log."""
    unread = finding.check in ("readable", "structure")
    return not unread and (finding.found.startswith(LACKING) or finding.key in OF_THE_END)
