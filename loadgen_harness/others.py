"""How much of this machine's processors others took during the timed part of a run: a figure for run.json."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

import psutil

SHORTEST_S = 1.0  # clocks tick every 10 ms: less tells nothing


class _Mark(NamedTuple):
    """Processor seconds up to a moment: of everything, and of this process with all that it started."""

    at_s: float
    busy_s: float
    own_s: float


class Others:
    """Looks at the clocks when the timed part begins and ends; between them it costs nothing."""

    def __init__(self) -> None:
        """Nothing has been timed yet."""
        self._begin: _Mark | None = None
        self._end: _Mark | None = None

    def timed(self, now: bool) -> None:
        """Say whether the timed part is going on: it counts from when it first is to when it first no longer is."""
        if now and self._begin is None:
            self._begin = _mark()
        elif not now and self._begin is not None and self._end is None:
            self._end = _mark()

    def found(self) -> dict[str, float] | None:
        """Processors that others kept busy on average, how many there are, and over how many seconds that was seen.

        None where nothing was timed, or too short. A machine's host may take processors too: what it took counts.
        """
        if self._begin is None or self._end is None or self._end.at_s - self._begin.at_s < SHORTEST_S:
            return None
        seconds, busy, own = (end - begin for begin, end in zip(self._begin, self._end, strict=True))
        others = max(busy - own, 0.0) / seconds
        return {"other_cores": round(others, 3), "cores": os.cpu_count() or 1, "seconds": round(seconds, 1)}


def _mark() -> _Mark:
    clocks = psutil.cpu_times()
    guests = getattr(clocks, "guest", 0.0) + getattr(clocks, "guest_nice", 0.0)  # are in user and nice as well
    busy = sum(clocks) - clocks.idle - getattr(clocks, "iowait", 0.0) - guests
    return _Mark(time.monotonic(), busy, sum(map(_taken, _family())))


def _family() -> list[psutil.Process]:
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def _taken(process: psutil.Process) -> float:
    """Processor seconds of a process and of those that it started and waited for."""
    try:
        clocks = process.cpu_times()
    except psutil.Error:  # it has just ended: whoever started it has its seconds
        return 0.0
    return float(clocks.user + clocks.system + clocks.children_user + clocks.children_system)
