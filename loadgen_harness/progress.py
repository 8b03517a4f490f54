"""Heartbeat and counters that a LoadGen child shares with its parent through a memory-mapped file."""

from __future__ import annotations

import mmap
from enum import IntEnum
from pathlib import Path

SLOTS = 4  # phase, samples issued, samples completed, samples expected (0: unknown)


class Phase(IntEnum):
    """Where a child process is."""

    STARTING = 0
    LOADING = 1
    TESTING = 2
    WRITING = 3


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
        self._view[1] += count

    def complete(self, count: int) -> None:
        """Samples completed."""
        self._view[2] += count

    def pair(self) -> memoryview:
        """Samples issued and completed, two uint64 for a driver that counts in native code."""
        return self._view[1:3]

    def enter(self, phase: Phase, expected: int = 0) -> None:
        """Begin a phase."""
        self._view[3] = expected
        self._view[0] = phase

    def read(self) -> tuple[Phase, int, int, int]:
        """Phase, issued, completed, expected."""
        phase, issued, completed, expected = self._view
        return Phase(phase), issued, completed, expected

    def close(self) -> None:
        """Unmap."""
        self._view.release()
        self._map.close()
