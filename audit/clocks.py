"""When the runs behind a result took place: no end before its beginning, no two at once, power over the whole of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from statistics import median_low

from audit.case import DETAIL
from audit.evidence import CrossCheck, Evidence
from audit.finding import Finding, Severity
from loadgen_harness.errors import SuiteError
from loadgen_harness.run import Run
from power import log

CLOCK = "Put back the log as LoadGen wrote it; where the clock was wrong, set it by NTP and repeat the run."
APART_S = 180 * 86400  # a round's submission phase is shorter
SLACK_S = 2.0  # an analyzer's sample stands for the second before it
SPL = "spl.txt"
POWER_CLAUSE = "power_measurement.adoc, LoadGen and Start/End TimeStamps"
CLAUSE = "inference_rules.adoc, LoadGen Operation: a performance run and its accuracy run come from one system"


def order(evidence: Evidence) -> Iterator[Finding]:
    """Every run ends after it began, and all belong to one round."""
    begun = {}
    for name, run in evidence.runs():
        span = run.power_window
        if span is None:
            continue
        begun[name] = span[0]
        if span[1] < span[0]:
            said = {"found": _time(span[1]), "wanted": f"after power_begin, {_time(span[0])}"}
            yield _finding(evidence, run, "times", Severity.ERROR, **said)
    if begun and max(begun.values()) - min(begun.values()) > APART_S:
        usual = median_low(begun.values())
        name = max(begun, key=lambda each: abs(begun[each] - usual))  # the odd one out; of two the later
        run = dict(evidence.runs())[name]
        said = {"found": _time(begun[name]), "wanted": f"within half a year of {_time(usual)}, as the other runs"}
        yield _finding(evidence, run, "times", Severity.WARNING, **said)


def overlap(evidence: Evidence) -> Iterator[Finding]:
    """No two timed runs took place at once: they would share the system. A note: their figures may still be right."""
    timed = [(name, run.power_window) for name, run in evidence.runs() if name != "accuracy"]
    spans = [(name, span) for name, span in timed if span and span[0] < span[1]]
    for (name, first), (other, second) in combinations(spans, 2):
        shared = min(first[1], second[1]) - max(first[0], second[0])
        if shared > 1:
            run = dict(evidence.runs())[other]
            said = {"found": f"{shared:.0f} s at the same time as the {name} run", "wanted": "one run at a time"}
            yield _finding(evidence, run, "overlap", Severity.NOTE, **said)
            return


def power(evidence: Evidence) -> Iterator[Finding]:
    """Power was measured over the whole of the performance run."""
    run = evidence.performance
    if evidence.power is None or run is None or run.power_window is None:
        return
    path = run.file(SPL)
    begin, end = run.power_window
    times = _times(path)
    if times is None:  # whether the file is there and readable is another check
        return
    inside = [each for each in times if begin < each < end]
    first, last = (min(times), max(times)) if times else (0.0, 0.0)
    if not inside or first > begin + SLACK_S or last < end - SLACK_S:
        yield Finding(
            check="power-window",
            severity=Severity.ERROR,
            file=evidence.name(path),
            key="Time",
            found=f"{len(inside)} samples inside, from {_time(first)} to {_time(last)}" if times else "no samples",
            wanted=f"samples from {_time(begin)} to {_time(end)}",
            clause=POWER_CLAUSE,
            fix="Repeat the power session: the analyzer must run before LoadGen begins and after it ends.",
        )


def _times(path: Path) -> list[float] | None:
    if path.is_symlink() or not path.is_file():
        return None
    try:
        return [float(sample.utc_s) for sample in log.read(path).samples]
    except SuiteError:
        return None


def _time(utc_s: float) -> str:
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d %H:%M:%S") if abs(utc_s) < 1e11 else f"{utc_s:g} s"


def _finding(evidence: Evidence, run: Run, check: str, severity: Severity, **said: str) -> Finding:
    return Finding(
        check=check,
        severity=severity,
        file=evidence.name(run.file(DETAIL)),
        key="power_end" if check == "times" else "power_begin",
        clause=CLAUSE,
        fix=CLOCK if check == "times" else "Repeat the runs one after another on a quiet system.",
        line=run.line("power_end" if check == "times" else "power_begin"),
        **said,
    )


CHECKS: tuple[CrossCheck, ...] = (order, overlap, power)
