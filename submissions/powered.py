"""Power logs of a result: the eleven items of the official power check, the ranging run, and no simulated analyzer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from audit import power_check
from audit.finding import Finding, Severity
from audit.power_record import MISSING
from submissions import layout
from submissions.structure import error
from submissions.subject import Subject

CLAUSE = "power_measurement.adoc, Performance and Power Logs: of the ranging and testing phases"
DESCRIBED = {"analyzer_table": "Power Analyzer Settings", "power_settings": "Power Management Settings"}
FIX = "repeat the power session and submit what it wrote"


def check(subject: Subject) -> Iterator[Finding]:
    """Findings on the contents of a result's power logs; that the official files are there is another check."""
    place = subject.place
    for path in (place.ranging.detail, place.ranging.summary):
        if not subject.readable(path):
            yield error("power", subject.name(path), ("file", MISSING, "LoadGen's log"), CLAUSE, FIX)
    yield from _described(subject)
    for finding in power_check.check(place.power.parent, subject.tree):
        if finding.found != MISSING and finding.check != "power-simulated":
            yield finding


def of_old(subject: Subject) -> Iterator[Finding]:
    """The session of a result whose round has no rules here: what depends on no round, and what was left out."""
    place = subject.place
    if place.power.is_dir() and not place.power.is_symlink():
        found = power_check.check(place.power.parent, subject.tree, old=True)
        yield from (each for each in found if each.check != "power-simulated")
    elif subject.readable(place.performance.path / layout.POWER_RUN_FILE):
        what = ("items", "not checked: no session's files beside it", "power/, ranging/ and run_1/")
        path = subject.name(place.performance.path / layout.POWER_RUN_FILE)
        told = error("power", path, what, CLAUSE, "nothing to do: older rounds kept them elsewhere")
        yield replace(told, severity=Severity.NOTE)


def _described(subject: Subject) -> Iterator[Finding]:
    """What the rules want told of analyzer and power management lies beside the result, or beside a folder above it."""
    place = subject.place
    roots = (place.path, place.settings)
    folders = [folder for root in roots for folder in (root, *root.parents) if folder.is_relative_to(place.home.path)]
    for name, section in DESCRIBED.items():
        if not any(each.is_file() for folder in folders for each in folder.glob(f"{name}.*")):
            what = (name, MISSING, f"{name}.md, or .txt, .csv, .html")
            clause = f"power_measurement.adoc, {section}"
            yield error("power", subject.name(place.path), what, clause, f"write {name}.md into the result's folder")


def simulated(subject: Subject) -> Iterator[Finding]:
    """Files with the mark of the PTDaemon simulator, whatever round or benchmark the result is of."""
    yield from power_check.simulated(subject.place.power.parent, subject.tree)
