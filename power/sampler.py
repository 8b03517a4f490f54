"""The sampler process, `python -m power.sampler FOLDER METER…`: reads meters until its standard input ends.

It stands apart from LoadGen's process, whose latencies a busy thread would spoil, and ends with its parent. Each meter
has a thread of its own here, so that a slow one on the network delays no other.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import select
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgen_harness.errors import SuiteError
from power import meter as meters
from power.events import EventLog
from power.log import Sample, SampleLog, write_whole

FORMAT = 2  # of meters.json; 1: no parts, no resolution, no ready_s
COMPLAINTS = "sampler.log"
STATED = ("scope", "uncertainty", "estimated", "interval_s", "averaging_s", "counting")
# a meter of this machine is read by the clock that LoadGen reads, and the middle of a reading is meant: 1 ms
LATER: dict[str, Any] = {"parts": (), "resolution": 0.0, "clock_s": 0.001}
LONGEST_LAG_S = 1.0
LAST_S = 3.0  # that a meter may take for its last reading once the run is over
SWERVE = 0.25  # of an interval
POLL_S = 0.25  # between two looks for a parent that is gone


@dataclass
class Track:
    """One meter with its log and that of its conditions, and when it is asked next (monotonic seconds)."""

    name: str
    meter: Any
    log: SampleLog
    due_s: float
    events: EventLog | None = None

    def take(self) -> None:
        """Write one sample and what holds the device back; the next time leaves out those that were missed."""
        taken = reading(self.meter)
        self.log.write(taken)
        if self.events and hasattr(self.meter, "conditions"):
            self.events.note(self.name, self.meter.conditions(), taken.monotonic_ns, taken.utc_s)
        interval = self.meter.interval_s
        self.due_s += interval * (max(1, 1 + int((time.monotonic() - self.due_s) / interval)) + self._swerve())

    def _swerve(self) -> float:
        """A random part of an interval, where readings are points of a curve: a load in step must not always be met."""
        points = not self.meter.counting and self.meter.averaging_s < self.meter.interval_s
        return random.uniform(-SWERVE, SWERVE) if points else 0.0

    def close(self) -> None:
        """End the log and let the meter go."""
        self.log.close()
        self.meter.close()


def reading(meter: Any) -> Sample:
    """Ask a meter once; the time stamps are those of the middle of the asking."""
    before = time.monotonic_ns()
    watts = meter.watts()
    asked = time.monotonic_ns()
    joules = meter.joules() if meter.counting else None
    after, utc_s = time.monotonic_ns(), time.time()
    middle = (asked + after) // 2 if meter.counting else (before + asked) // 2
    return Sample(middle, utc_s - (after - middle) / 1e9, watts, joules)


def description(tracks: Sequence[Track], idle_s: float) -> str:
    """The text of meters.json; the idle phase lasts at least as long as the slowest meter needs for a reading."""
    each = {t.name: described(t.meter) for t in tracks}
    idle_s = max(idle_s, *(t.meter.interval_s for t in tracks)) if idle_s else 0.0
    content = {"format": FORMAT, "idle_s": idle_s, "ready_s": time.time(), "meters": each}
    return json.dumps(content, indent=1) + "\n"


def described(meter: Any) -> dict[str, Any]:
    """One meter's entry; what a meter of somebody else, made for format 1, does not state is left to its scope."""
    stated = {key: getattr(meter, key) for key in STATED}
    more = {key: getattr(meter, key, default) for key, default in LATER.items()}
    return {**stated, **more, "parts": list(more["parts"]), "details": meter.describe()}


class Sampling:
    """The threads of all meters, from start() until stop()."""

    def __init__(self, tracks: Sequence[Track], folder: Path) -> None:
        """Nothing runs yet."""
        self._folder = folder
        self._over = threading.Event()
        self._failed = threading.Event()
        self._threads = [threading.Thread(target=self._follow, args=(each,), daemon=True) for each in tracks]

    def start(self) -> None:
        """Begin to sample."""
        for thread in self._threads:
            thread.start()

    @property
    def going(self) -> bool:
        """Whether any meter still answers."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> bool:
        """Let every meter take its last samples; False where one failed on the way or does not answer any more."""
        self._over.set()
        deadline = time.monotonic() + LONGEST_LAG_S + LAST_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not self._failed.is_set() and not self.going

    def _follow(self, track: Track) -> None:
        """Sample one meter to the end, then let it go: one that hangs is never closed under its reading."""
        for step in (self._sample, Track.close):
            try:
                step(track)
            except (SuiteError, OSError) as error:
                known = isinstance(error, SuiteError)
                complain(self._folder, str(error) if known else f"meter {track.name}: {error}")
                self._failed.set()

    def _sample(self, track: Track) -> None:
        """Take samples; after the end for as long as readings lag, or once more."""
        while not self._over.wait(max(0.0, track.due_s - time.monotonic())):
            track.take()
        lag_s = 0.0 if track.meter.counting else min(LONGEST_LAG_S, track.meter.averaging_s / 2)
        last = time.monotonic() + lag_s
        while time.monotonic() < last:
            time.sleep(max(0.0, min(track.due_s, last) - time.monotonic()))
            track.take()
        if not lag_s:
            track.take()


def complain(folder: Path, sentence: str) -> None:
    """Say what went wrong where the parent looks; a full disk may leave no room for that, but an empty log is there."""
    with contextlib.suppress(OSError), (folder / COMPLAINTS).open("a", encoding="utf-8") as log:
        log.write(f"{sentence}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the meters, take a first sample of each, write meters.json (the parent waits for it), go on sampling."""
    parser = argparse.ArgumentParser(prog="python -m power.sampler")
    parser.add_argument("folder", type=Path)
    parser.add_argument("meters", nargs="+")
    parser.add_argument("--idle-s", type=float, default=0.0)
    options = parser.parse_args(arguments)
    parent = os.getppid()
    tracks: list[Track] = []
    events = EventLog(options.folder)
    try:
        for name in options.meters:
            tracks.append(_open(name, options.folder, events))
        for track in tracks:
            track.take()
        write_whole(options.folder / "meters.json", description(tracks, options.idle_s))
    except (SuiteError, OSError) as error:
        complain(options.folder, str(error))
        return 2
    good = sample(tracks, options.folder, parent)
    return 0 if _spl(options.folder) and good else 1


def _spl(folder: Path) -> bool:
    """Write spl.txt, once the run is over: arrays are not loaded beside it. False where that failed."""
    from power import spl

    try:
        spl.write(folder)
    except (SuiteError, OSError) as error:
        complain(folder, f"spl.txt was not written: {error}")
        return False
    return True


def sample(tracks: Sequence[Track], folder: Path, parent: int) -> bool:
    """Read the meters until standard input ends or the parent is gone; False where a meter failed on the way."""
    sampling = Sampling(tracks, folder)
    sampling.start()
    while sampling.going and not _told_to_stop(POLL_S) and os.getppid() == parent:
        pass
    good = sampling.stop()
    if sampling.going:
        complain(folder, "a power meter did not answer any more when the run was over.")
    return good


def _open(name: str, folder: Path, events: EventLog) -> Track:
    meter = meters.load(name)()
    return Track(name, meter, SampleLog(folder / f"{name}.csv"), time.monotonic(), events)


def _told_to_stop(wait_s: float) -> bool:
    """Whether standard input ended (or anything came) within `wait_s`."""
    return bool(select.select([sys.stdin.fileno()], [], [], wait_s)[0])


if __name__ == "__main__":
    sys.exit(main())
