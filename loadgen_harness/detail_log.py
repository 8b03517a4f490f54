"""LoadGen's `mlperf_log_detail.txt` in the `:::MLLOG` syntax (since v1.0), streamed.

Only the last line of each key is parsed as JSON, with the errors and warnings and the few keys of which all values are
wanted. The others are held against LoadGen's shape, many at once (`record_block`), and their flags are counted. Where
the shape or the counts differ a piece of the log is read line by line. Memory does not grow with the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from loadgen_harness.inside import parsed as parsed_json
from loadgen_harness.log_record import KEPT, KEPT_KEYS, LONG, Log, Piece, pieces
from loadgen_harness.record_block import Block, Blocks, Places, is_utf8

PREFIX = ":::MLLOG "
KEYS = 1_000  # LoadGen knows about 150
HELD = 8 << 20  # bytes of last lines, without the set
_SET = b"loaded_qsl_set"  # the one value that may be huge
_PREFIX = PREFIX.encode()
_FLAT = re.compile(rb':::MLLOG \{"key": "loaded_qsl_set", "value": "?\[[\d, ]*\]"?, [^\[\]{}]*\{[^\[\]{}]*\}\}\r?')
_CALM = b'"is_error": false, "is_warning": false'
_WARNING = b'"is_error": false, "is_warning": true'
_ERROR = b'"is_error": true, "is_warning": '
_FIGURES = (b"effective_", b"requested_", b"result_", b"early_stopping_")
_KEPT = {key.encode(): key for key in KEPT_KEYS}


def read(file: BinaryIO) -> Log:
    """The whole log; never raises for what stands in it."""
    reader = _Reader()
    for piece in pieces(file):
        reader.piece(piece)
    return reader.finished()


@dataclass(frozen=True)
class _Record:
    """One line, parsed."""

    key: str
    value: Any
    is_error: bool
    is_warning: bool
    time_ms: float | None


@dataclass
class _Reader:
    """The state between pieces: the raw last line of each key and its number."""

    log: Log = field(default_factory=lambda: Log(syntax="mllog"))
    last: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    number: int = 1  # of the next line
    held: int = 0
    blocks: Blocks = field(default_factory=Blocks)
    broken: set[int] = field(default_factory=set)  # lines of which damage has been noted

    def piece(self, piece: Piece) -> None:
        """Take in one piece of the file."""
        if piece.too_long:
            self.damaged(self.number, "too long for a LoadGen record")
            self.number += 1
            return
        found = self.blocks.block(piece)
        keys = found.keys() if found else None
        if found is None or keys is None or not self.complaints(found, piece):
            lines = piece.lines()
            self.line_by_line(lines, self.number)
            self.number += len(lines)
            return
        for key, places in keys.items():
            if len(places) > 1 and key.startswith(_FIGURES) and key not in _KEPT:
                self.log.repeated.add(key.decode())  # readers differ on which of them counts
            self.hold(key, found.line(places[-1]), self.number + int(places[-1]))
        if not _KEPT.keys().isdisjoint(keys):
            self.keep(found, keys)
        self.number += len(found)

    def line_by_line(self, lines: Sequence[bytes], first: int) -> None:
        """A piece with something unusual in it: each line is parsed."""
        for number, line in enumerate(lines, start=first):
            if not line.strip():
                continue
            if not is_utf8(line):
                self.damaged(number, "not UTF-8")
            record = self.parsed(line, number)
            if record is None:
                continue
            key = record.key.encode()
            self.hold(key, line, number)
            if record.is_error or record.is_warning:
                self.complain(record)
            if key in _KEPT:
                self.log.keep(record.key, record.value)

    def complaints(self, found: Block, piece: Piece) -> bool:
        """Take in the errors and warnings of a block; False, with nothing done, where the flags do not add up.

        Once enough of them are kept the rest is only counted.
        """
        log, loud = self.log, len(found) - found.count(_CALM)
        errors = found.count(_ERROR) if loud else 0
        warnings = found.count(_WARNING) if errors < loud else 0
        if errors + warnings != loud:
            return False
        wanted = [_ERROR] * (errors > 0 and len(log.errors) < KEPT)
        wanted += [_WARNING] * (warnings > 0 and len(log.warnings) < KEPT)
        if not wanted:
            log.error_count += errors
            log.warning_count += warnings
            return True
        for number, line in enumerate(piece.lines(), start=self.number):
            if _CALM in line:
                continue
            if any(flags in line for flags in wanted):
                record = self.parsed(line, number)
                if record:
                    self.complain(record)
            else:
                log.error_count += _ERROR in line
                log.warning_count += _WARNING in line
        return True

    def complain(self, record: _Record) -> None:
        """Note an error or a warning."""
        self.log.complain(f"{record.key}: {record.value}", error=record.is_error)

    def keep(self, found: Block, keys: Mapping[bytes, Sequence[int] | Places]) -> None:
        """Values of those keys of which all are wanted."""
        wanted = sorted((int(place), name) for key, name in _KEPT.items() for place in keys.get(key, ()))
        for place, name in wanted:
            if len(self.log.kept.get(name, ())) < KEPT:
                record = self.parsed(found.line(place), self.number + place)
                if record:
                    self.log.keep(record.key, record.value)

    def hold(self, key: bytes, line: bytes, number: int) -> None:
        """Remember a key's last line, as long as all such lines together stay small."""
        old = self.last.get(key, (b"", 0))[0]
        if old and key.startswith(_FIGURES) and key not in _KEPT:
            self.log.repeated.add(key.decode(errors="replace"))
        grown = self.held if key == _SET else self.held + len(line) - len(old)
        if grown > HELD or (key not in self.last and len(self.last) >= KEYS):
            self.damaged(number, "more keys and text than LoadGen writes")
            return
        self.held = grown
        self.last[key] = line, number

    def parsed(self, line: bytes, number: int) -> _Record | None:
        """A line as a record; None, with damage noted, where it is none."""
        huge = len(line) > LONG and not _FLAT.fullmatch(line)
        record = _parsed(line) if line.startswith(_PREFIX) and not huge else None
        if record is None:
            self.damaged(number, "too long for a LoadGen record" if huge else _fault(line))
        return record

    def damaged(self, number: int, what: str) -> None:
        """Note damage, once for each line."""
        if number not in self.broken:
            self.log.damage.add(f"line {number}: {what}")
        if len(self.broken) < 100 * KEYS:
            self.broken.add(number)

    def finished(self) -> Log:
        """The log, with the last value of each key."""
        for line, number in self.last.values():
            record = self.parsed(line, number)
            if record:
                self.log.set(record.key, record.value, line=number, time_ms=record.time_ms)
        return self.log


def _fault(line: bytes) -> str:
    """What is wrong with a line that is no record."""
    strange = line.startswith(_PREFIX) and _parsed(line, strictly=False) is not None
    return "not strict JSON: NaN, Infinity or a key twice" if strange else "not a LoadGen record"


def _parsed(line: bytes, *, strictly: bool = True) -> _Record | None:
    try:
        entry = parsed_json(line[len(_PREFIX) :].decode("utf-8", "replace"), strictly=strictly)
        notes, time_ms = entry["metadata"], entry.get("time_ms")
        flags = bool(notes["is_error"]), bool(notes["is_warning"])
        return _Record(str(entry["key"]), entry["value"], *flags, _number(time_ms))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _number(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        return None
