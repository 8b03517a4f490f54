"""What an audit of an auditee says: a ruling in one sentence, the figures behind it, findings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from audit.auditee import statistics
from audit.auditee.statistics import Ratio
from audit.finding import Finding, Severity

GUIDELINES = "Audit Guidelines"
COLUMNS = ("compared", "ratio>", "95 % interval>", "n>", "allowed>", "ruling")


class Ruling(StrEnum):
    """How a question ended; the graver of several stands for all of them."""

    PASS = "pass"
    OPEN = "undecided"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Row:
    """One comparison: its ratio, what was allowed, how it ended, and what would decide it where it is open."""

    title: str
    ratio: Ratio
    allowed: str
    ruling: Ruling
    more: str = ""

    def cells(self) -> tuple[str, ...]:
        """The row for COLUMNS."""
        found = self.ratio
        interval = f"{found.low:.1%} to {found.high:.1%}"
        return self.title, f"{found.mean:.1%}", interval, str(found.n), self.allowed, self.ruling.value


@dataclass(frozen=True)
class Report:
    """One audit's outcome."""

    audit: str
    ruling: Ruling
    sentence: str
    rows: tuple[Row, ...] = ()
    findings: tuple[Finding, ...] = ()


def gravest(rulings: Iterable[Ruling]) -> Ruling:
    """One ruling for several; a question that was not asked is passed."""
    return max(rulings, key=list(Ruling).index, default=Ruling.PASS)


def at_most(title: str, found: Ratio, *, accused: float, cleared: float) -> Row:
    """Whether a ratio of speeds is as small as it should be.

    It fails where the whole interval lies above `accused`, passes where it ends below `cleared`, and else is open.
    """
    ruling = Ruling.FAIL if found.low > accused else Ruling.PASS if found.high <= cleared else Ruling.OPEN
    bound = accused if found.mean > accused else cleared
    more = decided_by(found, bound) if ruling is Ruling.OPEN else ""
    return Row(title, found, f"<= {cleared:.0%}", ruling, more)


def between(title: str, found: Ratio, low: float, high: float) -> Row:
    """Whether a ratio lies between two bounds: it fails where its whole interval is outside."""
    if found.high < low or found.low > high:
        ruling = Ruling.FAIL
    else:
        ruling = Ruling.PASS if low <= found.low and found.high <= high else Ruling.OPEN
    nearest = min((low, high), key=lambda bound: abs(bound - found.mean))
    more = decided_by(found, nearest) if ruling is Ruling.OPEN else ""
    return Row(title, found, f"{low:.0%} to {high:.0%}", ruling, more)


def decided_by(found: Ratio, bound: float, *, one_more: bool = False) -> str:
    """How many repetitions would take the interval off `bound`, were mean and spread to stay as they are."""
    margin = abs(math.log(found.mean / bound))
    count = statistics.needed(found.spread, margin, one_more=one_more)
    if count is None:
        return f"no number of such runs would decide it, they differ by {found.spread:.1%}: make them longer"
    return f"about {max(count, found.n + 1)} would decide it"


def faults(audit: str, rows: Iterable[Row], *, clause: str, wanted: str, fix: str) -> list[Finding]:
    """A finding for every comparison that did not pass: an error where it failed, a warning where it is open."""
    found = []
    for row in rows:
        if row.ruling is not Ruling.PASS:
            failed = row.ruling is Ruling.FAIL
            remedy = fix if failed else f"Repeat with more --runs: {row.more}."
            text = row.ratio.text() if failed else f"{row.ratio.text()}, undecided"
            severity = Severity.ERROR if failed else Severity.WARNING
            found.append(Finding(audit, severity, "run.json", row.title, text, wanted, clause, remedy))
    return found
