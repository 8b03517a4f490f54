"""What a power session left: both summaries, the analyzer's log, and the two runs with their samples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from audit.finding import Finding, Severity
from audit.power_facts import PHASES, RULES, RUN, SESSION
from loadgen_harness.inside import Absent, Damaged, Inside, parsed
from loadgen_harness.run import Run
from power import log

MOST_BYTES = 50_000_000  # no file of a submission is larger
REPEAT = "repeat the power session and submit what it wrote"
MISSING = "missing"
JSONS = ("power/client.json", "power/server.json")


class Malformed(Exception):
    """A summary that does not say what an item needs."""


@dataclass(frozen=True)
class Record:
    """The session in `folder`, which holds power/, ranging/ and run_1/; findings name files from `root`."""

    folder: Path
    root: Path
    client: Mapping[str, Any]
    server: Mapping[str, Any]
    old: bool = False  # of a round before the facts of power_facts: as earlier releases of the programs wrote it

    def fault(self, item: str, file: str, what: tuple[str, str, str], why: tuple[str, str] = ("", REPEAT)) -> Finding:
        """A Finding of one item; `what` is (key, found, wanted), `why` the section of the rules and the remedy."""
        section = why[0] or "Power Measurement Flow"
        key, found, wanted = what
        clause = f"{RULES}, {section}; MLCommons' power check"
        return Finding(
            f"power-{item}", Severity.ERROR, named(self, file), key, found[:300], wanted[:300], clause, why[1]
        )

    def text(self, file: str) -> str:
        """A file's text; raises Malformed where it cannot be read."""
        try:
            return Inside(self.root).read(self.folder / file, MOST_BYTES).decode("utf-8", errors="replace")
        except Damaged as reason:
            raise Malformed(f"{file} {reason}") from None

    def digest(self, file: str) -> str:
        """SHA-1 of a file, or why it has none: missing, unreadable."""
        try:
            return hashlib.sha1(Inside(self.root).read(self.folder / file, MOST_BYTES)).hexdigest()
        except Absent:
            return MISSING
        except Damaged:
            return "unreadable"

    @cached_property
    def log_lines(self) -> Sequence[str]:
        """The lines of ptd_logs.txt."""
        return self.text("power/ptd_logs.txt").splitlines()

    @cached_property
    def windows(self) -> Mapping[str, tuple[float, float]]:
        """power_begin and power_end of both phases in UTC seconds; raises Malformed where a log has none."""
        return {phase: self._window(place) for phase, place in PHASES.items()}

    def _window(self, place: str) -> tuple[float, float]:
        window = Run(self.folder / place, self.root).power_window
        if window is None:
            raise Malformed(f"{place}/{RUN[0]} has no power_begin and power_end")
        return window

    def watts(self, phase: str) -> float | None:
        """Mean of the positive samples strictly inside LoadGen's window, None without any."""
        place, (begin, end) = PHASES[phase], self.windows[phase]
        readings = log.read(Path(Inside(self.root).path(self.folder / place / RUN[2])))
        inside = [each.watts for each in readings.samples if begin < each.utc_s < end and each.watts > 0]
        return sum(inside) / len(inside) if inside else None

    def instants(self, phase: str) -> list[float]:
        """UTC seconds of the samples inside LoadGen's window, in the file's order."""
        place, (begin, end) = PHASES[phase], self.windows[phase]
        readings = log.read(Path(Inside(self.root).path(self.folder / place / RUN[2])))
        return [each.utc_s for each in readings.samples if begin <= each.utc_s <= end]


def named(record: Record, file: str) -> str:
    """A file of the session as findings name it."""
    path = record.folder / file
    return path.relative_to(record.root).as_posix() if path.is_relative_to(record.root) else path.as_posix()


def load(folder: Path, root: Path, *, old: bool = False) -> tuple[Record, list[Finding]]:
    """The session, and a Finding for each summary that cannot be read; its side is then empty."""
    empty, found, sides = Record(folder, root, {}, {}), [], []
    for file in JSONS:
        side, fault = _summary(folder / file, root)
        sides.append(side)
        if fault:
            found.append(empty.fault("record", file, ("file", fault, "the summary of a session")))
    client, server = sides
    return Record(folder, root, client, server, old), found


def _summary(path: Path, root: Path) -> tuple[Mapping[str, Any], str]:
    try:
        content = parsed(Inside(root).read(path, MOST_BYTES).decode("utf-8"))
    except Absent:
        return {}, MISSING
    except (Damaged, ValueError, RecursionError) as reason:
        return {}, str(reason)[:200]
    return (content, "") if isinstance(content, dict) else ({}, f"a {type(content).__name__}, not an object")


def files() -> list[str]:
    """Every file that a session's folder must hold."""
    return [*SESSION, *(f"{place}/{name}" for place in PHASES.values() for name in RUN)]


def entry(of: Any, key: str, kind: type) -> Any:
    """A value of a certain type; raises Malformed."""
    value = of.get(key) if isinstance(of, Mapping) else None
    if not isinstance(value, kind):
        raise Malformed(f"{key} is {'missing' if value is None else f'a {type(value).__name__}'}")
    return value


def texts(messages: Any, *keys: str) -> list[tuple[str, ...]]:
    """A list of objects as tuples of their texts; raises Malformed."""
    return [tuple(entry(each, key, str) for key in keys) for each in messages]
