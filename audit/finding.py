"""A Finding: one thing that is wrong with a result, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs: the rules reject an error."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One fault of a result: where, what was found, what was wanted, which clause says so, what to do.

    `line` is the line of the file, 0 where the fault has none. `official` is what the round's official checker does
    about this very fault: "accepts", "rejects", "crashes", or nothing where it was never asked (`audit.official`).
    """

    check: str
    severity: Severity
    file: str
    key: str
    found: str
    wanted: str
    clause: str
    fix: str
    line: int = 0
    official: str = ""


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Those findings for which the rules reject the result."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]
