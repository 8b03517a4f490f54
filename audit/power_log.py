"""Item 9: the analyzer's log holds both phases whole, uncertainty was checked, nothing went wrong in the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from audit.finding import Finding, Severity
from audit.power_facts import TOLERANCE_S
from audit.power_record import REPEAT, Malformed, Record, entry
from power.simulator import MARK

FILE = "power/ptd_logs.txt"
TIMED = re.compile(r"(\d\d-\d\d-\d{4} \d\d:\d\d:\d\d\.\d{3})(.*)")
ACTIVATED = re.compile(r"Uncertainty checking for Yokogawa\S+ is activated")
TOO_UNCERTAIN = re.compile(r"Uncertainty \d+.\d+%, which is above 1.00% limit for the last sample!")
DONE = ": Completed test"
# While the ranges adjust themselves these are what one expects
RANGING_ERRORS = (
    "Can't evaluate uncertainty of this sample!",
    "Bad watts reading nan from ",
    "Bad amps reading nan from ",
    "Bad pf reading nan from ",
    "Bad volts reading nan from ",
    "Current appears to be too high for set range",
)
BUS_ERRORS = ("USB.",)
BLIND_S = 800.0  # at either end of the test the official check overlooks warnings for so long
LOGS, METER = "Performance and Power Logs", "Power Analyzer Settings"
WIRING = "look at the analyzer, its cable and its range, then repeat the session"

Line = tuple[float, str]  # UTC seconds and what follows the time stamp


def logged(record: Record) -> Iterator[Finding]:
    """What ptd_logs.txt says of the session, each line with the simulator's mark taken off: that is its own finding."""
    lines = [line for text in record.log_lines if (line := _timed(text))]
    name = str(entry(record.server, "session_name", str))
    spans = {phase: _span(lines, f"{name}_{phase}") for phase in ("ranging", "testing")}
    for phase, (begin, end) in spans.items():
        if begin is None or end is None:
            said = "not begun" if begin is None else "not completed"
            yield record.fault(
                "log", FILE, (phase, said, f"{phase}, from its mark to 'Completed test'"), (LOGS, REPEAT)
            )
    begin, end = spans["ranging"]
    yield from _checked(record, lines, begin)
    yield from _errors(record, lines, (begin or 0.0, end or 0.0))
    yield from _warnings(record, lines)


def _timed(text: str) -> Line | None:
    found = TIMED.match(text.removesuffix(f" [{MARK}]"))
    if not found:
        return None
    try:
        when = datetime.strptime(found[1], "%m-%d-%Y %H:%M:%S.%f").replace(tzinfo=UTC)
    except ValueError:
        raise Malformed(f"ptd_logs.txt has no such time as {found[1]}") from None
    return when.timestamp(), found[2].strip()


def _span(lines: list[Line], mark: str) -> tuple[float | None, float | None]:
    """When a phase began and was completed, None where the log does not say."""
    go = f": Go with mark {mark!r}"
    begin = next((at for at, (_, text) in enumerate(lines) if text == go), None)
    if begin is None:
        return None, None
    end = next((when for when, text in lines[begin:] if text == DONE), None)
    return lines[begin][0], end


def _checked(record: Record, lines: list[Line], begin: float | None) -> Iterator[Finding]:
    """PTDaemon watched its uncertainty before ranging began."""
    when = next((when for when, text in lines if ACTIVATED.search(text)), None)
    if when is None or (begin is not None and when >= begin):
        said = "never" if when is None else "after ranging began"
        fix = "use a PTDaemon and an analyzer that MLCommons accepts, and repeat the session"
        yield record.fault("log", FILE, ("uncertainty checking", said, "activated before ranging"), (METER, fix))


def _errors(record: Record, lines: list[Line], ranging: tuple[float, float]) -> Iterator[Finding]:
    """No ERROR outside ranging, but for those of the USB bus; unusual ones inside it are remarked on."""
    said = [(when, text.partition("ERROR:")[2].strip()) for when, text in lines if "ERROR:" in text]
    inside = [each for when, each in said if ranging[0] < when < ranging[1]]
    outside = [each for when, each in said if not ranging[0] < when < ranging[1]]
    what = ("ERROR", "none outside ranging")
    yield from _counted(record, what, [each for each in outside if each not in BUS_ERRORS], Severity.ERROR)
    borne = [each for each in inside if not each.startswith(RANGING_ERRORS)]
    bus = [each for each in outside if each in BUS_ERRORS]
    yield from _counted(record, ("ERROR", "none, though the official check bears it"), [*borne, *bus], Severity.WARNING)


def _warnings(record: Record, lines: list[Line]) -> Iterator[Finding]:
    """Inside the window of the test no sample is more than 1 % uncertain.

    The official check leaves out 800 s at either end where it means 800 ms, so in runs of ten minutes it sees nothing:
    what it does not see is a warning here.
    """
    begin, end = record.windows["testing"]
    said = [(when, text.partition("WARNING:")[2].strip()) for when, text in lines if "WARNING:" in text]
    inside = [(when, each) for when, each in said if begin + TOLERANCE_S < when < end - TOLERANCE_S]
    seen = [TOO_UNCERTAIN.search(each) is not None and begin + BLIND_S < when < end - BLIND_S for when, each in inside]
    for severity, wanted in ((Severity.ERROR, True), (Severity.WARNING, False)):
        texts = [each for (_, each), by_official in zip(inside, seen, strict=True) if by_official is wanted]
        yield from _counted(record, ("WARNING", "none in the test"), texts, severity)


def _counted(record: Record, what: tuple[str, str], said: list[str], severity: Severity) -> Iterator[Finding]:
    """One Finding for all lines that say the same but for their figures."""
    kinds: dict[str, list[str]] = {}
    for each in said:
        kinds.setdefault(re.sub(r"[\d.]+", "", each), []).append(each)
    for first, *more in kinds.values():
        found = f"{first} ({len(more) + 1} such lines)" if more else first
        yield replace(record.fault("log", FILE, (what[0], found, what[1]), (METER, WIRING)), severity=severity)
