"""Many records of a detail log at once: where they stand, whether they have LoadGen's shape, and which keys they have.

What costs time in Python is every line that it looks at. Line ends, heads and tails are therefore compared as arrays of
bytes, and all records of one key are found together: a log repeats few keys, thousands of times each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loadgen_harness.log_record import Piece

PREFIX = b":::MLLOG "
Places = NDArray[np.intp]
_HEAD = PREFIX + b'{"key": "'
_TAIL = b"}}"
_RARE = PREFIX[7:8]  # "G": hardly ever part of anything else that LoadGen writes
_KEY = re.compile(rb'[^"\\\x00-\x1f]{0,200}')
_FEW = 8  # keys sought as arrays; looking at each line pays off beyond
_LINES = 64  # likewise up to so many lines


@dataclass(frozen=True)
class Block:
    """A piece whose lines all have LoadGen's shape: line n stands from starts[n] to ends[n], the place of its end."""

    piece: Piece
    starts: Places
    ends: Places

    def __len__(self) -> int:
        return self.starts.size

    def line(self, number: int) -> bytes:
        """One line, counted from 0."""
        return bytes(self.piece.buffer[self.starts[number] : self.ends[number]])

    def count(self, part: bytes) -> int:
        """How often something stands in the lines."""
        return self.piece.buffer.count(part, 0, self.piece.size)

    def keys(self) -> dict[bytes, list[int] | Places] | None:
        """Each key in the order of its first line, with all its lines; None where one is not in LoadGen's shape."""
        found: dict[bytes, list[int] | Places] = {}
        left = np.arange(len(self))
        while left.size > _LINES and len(found) < _FEW:
            key = self._key(int(left[0]))
            if key is None:
                return None
            same = _holds(self.piece, self.starts[left] + len(_HEAD), key + b'"')
            found[key] = left[same]
            left = left[~same]
        return self._one_by_one(found, left.tolist())

    def _one_by_one(
        self, found: dict[bytes, list[int] | Places], left: list[int]
    ) -> dict[bytes, list[int] | Places] | None:
        """The keys of some lines beside those found; these are of other keys."""
        more: dict[bytes, list[int]] = {}
        for number in left:
            key = self._key(number)
            if key is None:
                return None
            more.setdefault(key, []).append(number)
        return {**found, **more}

    def _key(self, number: int) -> bytes | None:
        begin = self.starts[number] + len(_HEAD)
        end = self.piece.buffer.find(b'"', begin, self.ends[number])
        key = bytes(self.piece.buffer[begin:end]) if end >= 0 else b'"'
        return key if _KEY.fullmatch(key) else None


class Blocks:
    """Makes blocks of pieces; holds memory that they share."""

    def __init__(self) -> None:
        """Nothing is held yet."""
        self._marks = np.empty(0, np.bool_)

    def block(self, piece: Piece) -> Block | None:
        """A piece as a block; None where a line is not in LoadGen's shape, holds another's beginning or is no text."""
        raw = np.frombuffer(piece.buffer, np.uint8, piece.size)
        ends = np.flatnonzero(self._equal(raw, b"\n"))
        starts = np.concatenate((ends[:0], [0], ends[:-1] + 1))
        if (ends - starts).min() < len(_HEAD) + len(_TAIL) or piece.buffer.find(b"\0", 0, piece.size) >= 0:
            return None
        if not (_holds(piece, starts, _HEAD).all() and _holds(piece, ends - len(_TAIL), _TAIL).all()):
            return None
        found = Block(piece, starts, ends)
        # No more records begin than there are lines; the rarest letter of a beginning stands at least as often.
        alone = np.count_nonzero(self._equal(raw, _RARE)) == ends.size or found.count(PREFIX) == ends.size
        return found if alone and _is_text(piece) else None

    def _equal(self, raw: NDArray[np.uint8], letter: bytes) -> NDArray[np.bool_]:
        if self._marks.size < raw.size:
            self._marks = np.empty(2 * raw.size, np.bool_)
        return np.equal(raw, ord(letter), out=self._marks[: raw.size])


def is_utf8(data: bytes) -> bool:
    """Whether bytes are text."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_text(piece: Piece) -> bool:
    return piece.buffer.isascii() or is_utf8(bytes(memoryview(piece.buffer)[: piece.size]))


def _holds(piece: Piece, places: Places, wanted: bytes) -> NDArray[np.bool_]:
    """At which places, in rising order, `wanted` stands; there are no NULs in either."""
    size = len(wanted)
    windows: NDArray[Any] = np.ndarray((piece.size - size + 1,), f"S{size}", piece.buffer, strides=(1,))
    found = np.zeros(places.size, np.bool_)
    inside = int(np.searchsorted(places, windows.size))
    found[:inside] = windows[places[:inside]] == wanted
    return found
