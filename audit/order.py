"""The order of LoadGen's lines: one thread writes them, each with the time since LoadGen began, from head to results.

In all 330 published and golden logs, v0.7 to v6.1, no time stamp lies before the one above it, and in those of the
`:::MLLOG` syntax no setting stands below a result. LoadGen's clock may be set back while it runs: that gives one step.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from audit.absent import CLAUSE, FIX, written_by_loadgen
from audit.case import DETAIL, Case, Check
from audit.finding import Finding, Severity

PHASES = (
    ("loadgen_", "test_datetime", "sut_name", "qsl_"),
    ("requested_",),
    ("effective_",),
    ("generated_", "power_"),
    ("result_", "early_stopping_"),
)
STEPPED = 1  # steps backwards that a clock which was set gives


def stamps(case: Case) -> Iterator[Finding]:
    """Times rise from line to line, and what LoadGen writes first stands first."""
    if not written_by_loadgen(case):
        return
    keys = sorted((key for key in case.log if _phase(key) is not None), key=case.run.line)
    known = [(stamp, key) for key in keys if (stamp := case.run.time_ms(key)) is not None]
    back = [(before, after) for before, after in pairwise(known) if after[0] < before[0]]
    if back:
        (earlier, above), (stamp, key) = back[0]
        severity = Severity.ERROR if len(back) > STEPPED else Severity.WARNING
        steps = f"{len(back)} steps backwards, the first to {stamp:g} ms at {key}"
        yield _finding(case, key, steps, f"times that rise: {above} above it has {earlier:g} ms", severity)
        return
    for above, key in pairwise(keys):
        if (_phase(key) or 0) < (_phase(above) or 0):
            yield _finding(case, key, f"{key} below {above}", f"{key} above it, as LoadGen writes", Severity.ERROR)
            return


def _phase(key: str) -> int | None:
    """Which part of the log LoadGen writes a key in; None where that is not fixed, as with errors."""
    return next((number for number, begins in enumerate(PHASES) if key.startswith(begins)), None)


def _finding(case: Case, key: str, found: str, wanted: str, severity: Severity) -> Finding:
    line = case.run.line(key)
    said = {"file": DETAIL, "line": line, "clause": CLAUSE, "fix": FIX, "severity": severity}
    return case.finding("times", "time_ms", wanted, found=found, **said)


CHECKS: tuple[Check, ...] = (stamps,)
