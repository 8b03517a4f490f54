"""The dates in one log: LoadGen was built before the run, and the run began on the day that its log began."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from audit.case import Case, Check
from audit.figures import CLAUSE, FIX
from audit.finding import Finding, Severity
from loadgen_harness.logged import POWER_FORMAT

ZONES = timedelta(hours=14.5)  # LoadGen writes some stamps in local time, some in UTC


def built(case: Case) -> Iterator[Finding]:
    """No LoadGen runs before it was built."""
    began, made = _date(case.log.get("test_datetime")), _date(case.log.get("loadgen_build_date_utc"))
    if began and made and made - began > ZONES:
        wanted = f"before the run, {case.log['test_datetime']}, or one of the two was edited"
        yield _finding(case, "loadgen_build_date_utc", wanted)


def begun(case: Case) -> Iterator[Finding]:
    """power_begin lies between the beginning of the log and the line that tells it."""
    began, stamp = _date(case.log.get("test_datetime")), case.run.time_ms("power_begin")
    try:
        power = datetime.strptime(str(case.log.get("power_begin"))[:40], POWER_FORMAT)
    except ValueError:
        return
    if not began or stamp is None or not 0 <= stamp < 1e12:
        return
    if not -ZONES <= power - began <= ZONES + timedelta(milliseconds=stamp):
        wanted = f"{case.log['power_begin']} less the time before it, as power_begin, or one of the two was edited"
        yield _finding(case, "test_datetime", wanted)


def _date(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)[:19]).replace(tzinfo=None)
    except ValueError:
        return None


def _finding(case: Case, key: str, wanted: str) -> Finding:
    return case.finding("times", key, wanted, clause=CLAUSE, fix=FIX, severity=Severity.WARNING)


CHECKS: tuple[Check, ...] = (built, begun)
