"""Power logs of a result: both phases in the log of the analyzer, a ranging run, and no less power in the test."""

from __future__ import annotations

import re
from collections.abc import Iterator

from audit.finding import Finding
from loadgen_harness.errors import SuiteError
from power import log
from submissions import layout
from submissions.structure import error
from submissions.subject import Subject

PTD_LOGS = "ptd_logs.txt"
PHASES = {"ranging": "_ranging", "testing": "_testing"}
MARK = r"Go with mark '?[^'\n]{{0,80}}{}'?"
DONE = "Completed test"
LOWER = 0.05  # the power checker: the test may draw so much less than ranging did
MOST_BYTES = 50_000_000
CLAUSE = "power_measurement.adoc, Performance and Power Logs: of the ranging and testing phases"
FIX = "repeat the power session and submit what it wrote"


def check(subject: Subject) -> Iterator[Finding]:
    """Findings on the contents of a result's power logs; that they are there is another check."""
    yield from _phases(subject)
    yield from _ranging(subject)


def _phases(subject: Subject) -> Iterator[Finding]:
    """ptd_logs.txt holds both phases to their end: the official server merges it before its buffer is written out."""
    path = subject.place.power / PTD_LOGS
    if not subject.readable(path) or path.stat().st_size > MOST_BYTES:
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    for name, ending in PHASES.items():
        begun = re.search(MARK.format(ending), text)
        if not begun or DONE not in text[begun.end() :]:
            what = (name, "not begun" if not begun else "not completed", f"{name}, from its mark to '{DONE}'")
            yield error("power", subject.name(path), what, CLAUSE, FIX)


def _ranging(subject: Subject) -> Iterator[Finding]:
    """The ranging run has its logs, and the test drew at most 5 % less power than it."""
    place = subject.place
    missing = [path for path in (place.ranging.detail, place.ranging.summary) if not subject.readable(path)]
    for path in missing:
        yield error("power", subject.name(path), ("file", "missing", "LoadGen's log"), CLAUSE, FIX)
    ranged, tested = (_watts(subject, logs) for logs in (place.ranging, place.performance))
    if ranged and tested and tested < ranged * (1 - LOWER):
        what = ("Watts", f"{tested:.4g} W", f">= {ranged * (1 - LOWER):.4g} W, 5 % below ranging")
        path = place.performance.path / layout.POWER_RUN_FILE
        yield error("power", subject.name(path), what, CLAUSE, FIX)


def _watts(subject: Subject, logs: layout.Logs) -> float | None:
    """Mean power between LoadGen's power_begin and power_end, None where it cannot be told."""
    run, path = subject.run(logs), logs.path / layout.POWER_RUN_FILE
    window = run.power_window if run else None
    if window is None or not subject.readable(path):
        return None
    try:
        readings = log.read(path)
    except SuiteError:
        return None
    inside = [sample.watts for sample in readings.samples if window[0] < sample.utc_s < window[1] and sample.watts > 0]
    return sum(inside) / len(inside) if inside else None
