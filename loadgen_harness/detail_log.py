"""LoadGen's `mlperf_log_detail.txt` in the `:::MLLOG` syntax (since v1.0), streamed.

Only the last line of each key is parsed as JSON, with the errors and warnings and the few keys of which all values are
wanted. The others are held against LoadGen's shape, many at once: a quarter of a megabyte is split where lines meet,
and its line ends, prefixes and flags are counted. Where the counts differ it is read line by line. Memory does not grow
with the log.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from loadgen_harness.inside import parsed as parsed_json
from loadgen_harness.log_record import KEPT, KEPT_KEYS, LONG, Log, Piece, pieces

PREFIX = ":::MLLOG "
KEYS = 1_000  # LoadGen knows about 150
HELD = 8 << 20  # bytes of last lines, without the set
_SET = b"loaded_qsl_set"  # the one value that may be huge
_PREFIX = PREFIX.encode()
_HEAD = b':::MLLOG {"key": "'
_BETWEEN = b"}}\n" + _HEAD
_NEWLINE = ord("\n")
_KEY = re.compile(rb'[^"\\\x00-\x1f]{0,200}')
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
    broken: set[int] = field(default_factory=set)  # lines of which damage has been noted

    def piece(self, piece: Piece) -> None:
        """Take in one piece of the file."""
        if piece.too_long:
            self.damaged(self.number, "too long for a LoadGen record")
            self.number += 1
            return
        parts, keys = _split(piece.data)
        loud = len(parts) - piece.data.count(_CALM)
        last = dict(zip(keys, range(len(keys)), strict=True))
        if _torn(piece.data, parts, last) or (loud and not self.complaints(piece.data, parts, loud)):
            lines = piece.data.split(b"\n")[:-1]
            self.line_by_line(lines, self.number)
            self.number += len(lines)
            return
        if len(last) < len(keys):
            self.repeats(keys, last)
        for key, index in last.items():
            self.hold(key, _whole(parts[index]), self.number + index)
        if not _KEPT.keys().isdisjoint(last):
            self.keep(keys, parts)
        self.number += len(parts)

    def repeats(self, keys: Sequence[bytes], last: Iterable[bytes]) -> None:
        """Note the figures that a piece states more than once: readers differ on which of them counts."""
        figures = [key for key in last if key.startswith(_FIGURES)]
        if figures:
            counts = Counter(keys)
            self.log.repeated.update(key.decode() for key in figures if counts[key] > 1 and key not in _KEPT)

    def line_by_line(self, lines: Sequence[bytes], first: int) -> None:
        """A piece with something unusual in it: each line is parsed."""
        for number, line in enumerate(lines, start=first):
            if not line.strip():
                continue
            if not _is_utf8(line):
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

    def complaints(self, data: bytes, parts: Sequence[bytes], loud: int) -> bool:
        """Take in `loud` lines that are errors or warnings; False, with nothing done, where the flags do not add up.

        Once enough of them are kept the rest is only counted.
        """
        log, errors = self.log, data.count(_ERROR)
        warnings = data.count(_WARNING) if errors < loud else 0
        if errors + warnings != loud:
            return False
        wanted = [_ERROR] * (errors > 0 and len(log.errors) < KEPT)
        wanted += [_WARNING] * (warnings > 0 and len(log.warnings) < KEPT)
        if not wanted:
            log.error_count += errors
            log.warning_count += warnings
            return True
        for number, part in enumerate(parts, start=self.number):
            if _CALM in part:
                continue
            if any(flags in part for flags in wanted):
                record = self.parsed(_whole(part), number)
                if record:
                    self.complain(record)
            else:
                log.error_count += _ERROR in part
                log.warning_count += _WARNING in part
        return True

    def complain(self, record: _Record) -> None:
        """Note an error or a warning."""
        self.log.complain(f"{record.key}: {record.value}", error=record.is_error)

    def keep(self, keys: Sequence[bytes], parts: Sequence[bytes]) -> None:
        """Values of those keys of which all are wanted."""
        for index, key in enumerate(keys):
            if key in _KEPT and len(self.log.kept.get(_KEPT[key], ())) < KEPT:
                record = self.parsed(_whole(parts[index]), self.number + index)
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
            self.damaged(number, "too long for a LoadGen record" if huge else "not a LoadGen record")
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


def _split(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Lines without what LoadGen begins and ends each with, and their keys; what is not in its shape shows in both."""
    if not (data.startswith(_HEAD) and data.endswith(b"}}\n")):
        return [], []
    parts = data[len(_HEAD) : -3].split(_BETWEEN)
    return parts, [part.partition(b'"')[0] for part in parts]


def _whole(part: bytes) -> bytes:
    return _HEAD + part + b"}}"


def _torn(data: bytes, parts: Sequence[bytes], keys: Iterable[bytes]) -> bool:
    """Whether any line is not in LoadGen's shape, holds another one's beginning, or bytes that are no text."""
    ends = np.count_nonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
    shaped = len(parts) == ends == data.count(_PREFIX) and all(map(_KEY.fullmatch, keys))
    return not shaped or b"\0" in data or not _is_utf8(data)


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parsed(line: bytes) -> _Record | None:
    try:
        entry = parsed_json(line[len(_PREFIX) :].decode("utf-8", "replace"))
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
