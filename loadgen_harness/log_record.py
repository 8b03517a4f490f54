"""What is kept of a log, whatever its syntax: last values, errors and warnings, damage; its lines, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

CHUNK = 1 << 19  # fits the processor's caches with what is made of it
LONG = 1 << 20  # bytes of a record other than a sample set
LONGEST = 16 << 20  # bytes of a line; RGAT's set of 788,379 sample indices takes 6 MB
KEPT = 1_000  # errors, warnings, and values of keys of which all are wanted
KEPT_KEYS = ("power_begin", "power_end", "result_invalid_reason", "early_stopping_result")
SHOWN = 20  # damaged lines that are named
TEXT = 10_000  # characters kept of one error or warning


@dataclass
class Damage:
    """Sentences on what cannot be read; the first few are kept, all are counted."""

    sentences: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, sentence: str) -> None:
        """Note one more."""
        self.count += 1
        if self.count <= SHOWN:
            self.sentences.append(sentence)

    def named(self, name: str) -> list[str]:
        """All of it with the file's name in front, if one is given; and how many there are where not all were kept."""
        more = [f"{self.count} damaged places in all"] if self.count > SHOWN else []
        return [_named(name, sentence) for sentence in [*self.sentences, *more]]


def _named(name: str, sentence: str) -> str:
    return f"{name}{' ' if sentence.startswith('line ') else ': '}{sentence}" if name else sentence


@dataclass
class Log:
    """A log as its reader leaves it; values stand under the keys of today's LoadGen."""

    syntax: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)  # of the last value
    times_ms: dict[str, float] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)  # settings and results that are stated more than once
    kept: dict[str, list[Any]] = field(default_factory=dict)  # the first values of KEPT_KEYS
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    error_count: int = 0
    warning_count: int = 0
    damage: Damage = field(default_factory=Damage)

    def set(self, key: str, value: Any, *, line: int = 0, time_ms: float | None = None) -> None:
        """The value of a key from now on."""
        self.values[key] = value
        self.lines[key] = line
        if time_ms is not None:
            self.times_ms[key] = time_ms

    def keep(self, key: str, value: Any) -> None:
        """One more value of a key of which all are wanted."""
        values = self.kept.setdefault(key, [])
        if len(values) < KEPT:
            values.append(value)

    def complain(self, text: str, *, error: bool) -> None:
        """An error or a warning."""
        kept = self.errors if error else self.warnings
        if len(kept) < KEPT:
            kept.append(text[:TEXT])
        self.error_count += error
        self.warning_count += not error


class Piece(NamedTuple):
    """Whole lines of a file, the last of them ended; or the beginning of a line too long to be held.

    They are the first `size` bytes of a buffer that is filled anew when the next piece is asked for: fresh memory for
    every piece would cost as much as looking at it.
    """

    buffer: bytearray
    size: int
    too_long: bool = False

    def lines(self) -> list[bytes]:
        """Copies of the lines, without their ends."""
        return bytes(memoryview(self.buffer)[: self.size]).split(b"\n")[:-1]


def pieces(file: BinaryIO, longest: int = LONGEST) -> Iterator[Piece]:
    """A file as pieces of whole lines of about CHUNK bytes; of a line over `longest` bytes only the beginning.

    Memory: a few times the longest line that is let through. A last line without an end gets one.
    """
    buffer, known = bytearray(2 * CHUNK), 0
    while read := _fill(file, buffer, known):
        filled = known + read
        cut = buffer.rfind(b"\n", known, filled) + 1
        if cut:
            yield Piece(buffer, cut)
        known = filled - cut
        buffer[:known] = buffer[cut:filled]
        if known > longest:
            yield Piece(buffer, known, True)
            rest = _skipped(file)
            buffer[: len(rest)], known = rest, len(rest)
        if known + CHUNK > len(buffer):
            buffer = buffer[:known] + bytes(known + CHUNK)
    if known:
        buffer[known : known + 1] = b"\n"
        yield Piece(buffer, known + 1)


def _fill(file: BinaryIO, buffer: bytearray, begin: int) -> int:
    """Read up to CHUNK bytes into the buffer from `begin` on; how many there were, 0 at the end of the file."""
    with memoryview(buffer) as whole, whole[begin : begin + CHUNK] as part:
        return file.readinto(part) or 0  # type: ignore[attr-defined]  # BinaryIO does not declare it


def _skipped(file: BinaryIO) -> bytes:
    """Read to the end of the line; returns what was read beyond."""
    while data := file.read(CHUNK):
        end = data.find(b"\n") + 1
        if end:
            return data[end:]
    return b""


def first_line(file: BinaryIO) -> bytes:
    """The beginning of the first line that is not blank, without moving on; b"" in a file without one."""
    head = file.read(1 << 16)
    file.seek(0)
    return next((line for line in head.split(b"\n") if line.strip()), b"")
