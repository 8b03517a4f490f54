"""Heartbeat and counters that a LoadGen child shares with its parent through a memory-mapped file."""

from __future__ import annotations

import mmap
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

SLOTS = 6  # as in State


class Phase(IntEnum):
    """Where a child process is."""

    STARTING = 0
    LOADING = 1
    TESTING = 2
    WRITING = 3


class State(NamedTuple):
    """What the counters say; samples each, and of a Server run those over their limits (never too many)."""

    phase: Phase
    expected: int  # 0: unknown
    issued: int
    completed: int
    late: int  # over the latency, or that of the first token
    slow: int  # over the time per output token


class Counters:
    """Counters in shared memory: written without locks on the hot path, exact with one completing thread."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Map `path`, made anew with `create`."""
        if create:
            path.write_bytes(bytes(8 * SLOTS))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8 * SLOTS)
        self._view = memoryview(self._map).cast("Q")

    def issue(self, count: int) -> None:
        """Samples handed over by LoadGen."""
        self._view[2] += count

    def complete(self, count: int) -> None:
        """Samples completed."""
        self._view[3] += count

    def exceed(self, late: int, slow: int = 0) -> None:
        """Samples over their limits."""
        self._view[4] += late
        self._view[5] += slow

    def words(self) -> memoryview:
        """Samples issued, completed, late and slow: four uint64 for a driver that counts in native code."""
        return self._view[2:]

    def enter(self, phase: Phase, expected: int = 0) -> None:
        """Begin a phase."""
        self._view[1] = expected
        self._view[0] = phase

    def read(self) -> State:
        """All of them."""
        phase, *counts = self._view
        return State(Phase(phase), *counts)

    def close(self) -> None:
        """Unmap."""
        self._view.release()
        self._map.close()
