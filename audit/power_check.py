"""The eleven items of MLCommons' power check over the folder of one session, and the refusal of a simulated analyzer.

Each item is a check of its own, as strict as the official one or stricter; tests/audit/test_power_check.py holds both
against the same sessions. No item stops another, and a hostile file is a Finding.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from audit import power_log, power_replies, power_times
from audit.finding import Finding, Severity
from audit.power_facts import PHASES, SESSION
from audit.power_record import JSONS, REPEAT, Malformed, Record, entry, files, load
from loadgen_harness.inside import Damaged, Inside
from power.official import SOURCES
from power.simulator import MARK

Item = Callable[[Record], Iterator[Finding]]
UNCHANGED = "run an unmodified checkout of mlcommons/power-dev at c4b3ad82 on both machines, and repeat the session"
MOST = 50  # findings of one item: a hostile file could have a million
LONE = ("spl.txt", "ptd_out.txt")  # of a run
MARKED = (*SESSION, *(f"{place}/{name}" for place in PHASES.values() for name in LONE))


def check(folder: Path, root: Path | None = None, *, old: bool = False) -> Iterator[Finding]:
    """What is wrong with the session in `folder`: power/, ranging/ and run_1/; files are named from `root`.

    Of an `old` one, before v5.0, what does not depend on the release of the programs; a note says what was left out.
    """
    record, unread = load(folder, root or folder, old=old)
    yield from simulated(folder, record.root)
    yield from unread
    if unread:
        return
    if old:
        yield _left_out(record)
    for name, item in {**ITEMS, **BEYOND}.items():
        if old and item is sources:
            continue
        try:
            yield from islice(map(_lighter, item(record)) if old else item(record), MOST)
        except (Malformed, Damaged) as reason:
            what = (name, str(reason), "what the official programs write")
            yield record.fault(name, "power", what, ("Performance and Power Logs", REPEAT))


def _left_out(record: Record) -> Finding:
    """What is not known of the programs of an earlier round, so that nobody takes it for checked."""
    what = ("items", "not checked: sources of the programs, version of PTDaemon", "what the round demanded of them")
    fix = "nothing to do: these differ from round to round, and are known here from v5.0 on"
    return replace(record.fault("sources", JSONS[1], what, ("Power Measurement Flow", fix)), severity=Severity.NOTE)


def _lighter(finding: Finding) -> Finding:
    """Remarks on the analyzer's log beyond the official check, which bore such lines, are notes in earlier rounds."""
    remark = finding.check == "power-log" and finding.severity is Severity.WARNING
    return replace(finding, severity=Severity.NOTE) if remark else finding


def simulated(folder: Path, root: Path | None = None, files: Sequence[str] = MARKED) -> Iterator[Finding]:
    """Every file of a session that carries the mark of the PTDaemon simulator: nothing was measured.

    For one run's folder, apart from its session, `files` are LONE.
    """
    record = Record(folder, root or folder, {}, {})
    for file in files:
        try:
            with Inside(record.root).open(folder / file) as opened:
                marked = carries(iter(lambda: opened.read(1 << 20), b""))
        except Damaged:
            continue  # that it cannot be read is another check's
        if marked:
            what = ("mark", MARK, "an analyzer's readings")
            why = ("Am I required to use the MLPerf Power workflow?", "measure with PTDaemon and a power analyzer")
            yield record.fault("simulated", file, what, why)


def carries(blocks: Iterator[bytes]) -> bool:
    """Whether the simulator's mark is in a file, read block by block."""
    mark, kept = MARK.encode(), b""
    for block in blocks:
        if mark in kept + block:
            return True
        kept = block[-len(mark) :]
    return False


def sources(record: Record) -> Iterator[Finding]:
    """Items 1 and 2: client and server ran the published code, and nothing beside it."""
    for file, side in zip(JSONS, (record.client, record.server), strict=True):
        told = entry(side, "sources", dict)
        for name in sorted(told.keys() | SOURCES.keys()):
            if told.get(name) != SOURCES.get(name):
                what = (f"sources.{name}", str(told.get(name, "missing")), SOURCES.get(name, "no such file"))
                yield record.fault("sources", file, what, ("Power Measurement Flow", UNCHANGED))


def identifiers(record: Record) -> Iterator[Finding]:
    """Item 4: both sides tell of the same two UUIDs."""
    ours, theirs = (entry(side, "uuid", dict) for side in (record.client, record.server))
    for key in ("client", "server"):
        mine, other = (_uuid(entry(each, key, str)) for each in (ours, theirs))
        if mine != other:
            yield record.fault("uuid", JSONS[0], (f"uuid.{key}", str(mine), f"{other}, as in server.json"))


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Malformed(f"{text[:60]!r} is no UUID") from None


def name(record: Record) -> Iterator[Finding]:
    """Item 5: both sides tell of the same session."""
    ours, theirs = (entry(side, "session_name", str) for side in (record.client, record.server))
    if ours != theirs:
        yield record.fault("name", JSONS[0], ("session_name", ours, f"{theirs}, as in server.json"))


def digests(record: Record) -> Iterator[Finding]:
    """Item 8: every file is there, and what client and server digested when they wrote it."""
    ours, theirs = (entry(side, "results", dict) for side in (record.client, record.server))
    for file in (each for each in files() if each not in JSONS or each in theirs):  # v1.0 digested client.json too
        told = {str(side[file]) for side in (ours, theirs) if file in side}
        found = record.digest(file)
        if told != {found}:
            wanted = " and ".join(sorted(told)) or "a digest in client.json or server.json"
            fix = "put back the file as the session wrote it: no byte of it may be edited"
            yield record.fault("digest", file, ("sha1", found, wanted), ("Performance and Power Logs", fix))


def debug(record: Record) -> Iterator[Finding]:
    """Item 11: the server was not in debug mode."""
    if record.server.get("debug", False) is not False:
        fix = "unset MLPP_DEBUG on the director, and repeat the session"
        yield record.fault("debug", JSONS[1], ("debug", str(record.server["debug"]), "false"), ("", fix))


ITEMS: dict[str, Item] = {
    "sources": sources,
    "replies": power_replies.replies,
    "uuid": identifiers,
    "name": name,
    "phases": power_times.phases,
    "ranging": power_times.ranging,
    "messages": power_replies.messages,
    "digest": digests,
    "log": power_log.logged,
    "device": power_replies.device,
    "debug": debug,
}
BEYOND: dict[str, Item] = {"samples": power_times.samples}  # no item of the official check
