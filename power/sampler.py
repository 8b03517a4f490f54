"""The sampler process, `python -m power.sampler FOLDER METER…`: reads meters until its standard input ends.

It stands apart from LoadGen's process, whose latencies a busy thread would spoil, and ends with its parent.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgen_harness.errors import SuiteError
from power import meter as meters
from power.log import Sample, SampleLog, write_whole

FORMAT = 1
COMPLAINTS = "sampler.log"


@dataclass
class Track:
    """One meter, its log, and when it is asked next (monotonic seconds)."""

    name: str
    meter: Any
    log: SampleLog
    due_s: float

    def take(self) -> None:
        """Write one sample and set the next time, leaving out those that were missed."""
        self.log.write(reading(self.meter))
        interval = self.meter.interval_s
        self.due_s += interval * max(1, 1 + int((time.monotonic() - self.due_s) / interval))

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
    """The text of meters.json."""
    keys = ("scope", "uncertainty", "estimated", "interval_s", "averaging_s", "counting")
    each = {t.name: {key: getattr(t.meter, key) for key in keys} | {"details": t.meter.describe()} for t in tracks}
    return json.dumps({"format": FORMAT, "idle_s": idle_s, "meters": each}, indent=1) + "\n"


def sample(tracks: list[Track], folder: Path, parent: int) -> bool:
    """Read the meters until standard input ends or the parent is gone; False where a meter failed on the way."""
    failed = False
    while tracks and not _told_to_stop(min(t.due_s for t in tracks) - time.monotonic()) and os.getppid() == parent:
        now = time.monotonic()
        for track in [t for t in tracks if t.due_s <= now]:
            if not _take(track, folder):
                tracks.remove(track)
                failed = True
    return all([_take(track, folder) for track in tracks]) and not failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the meters, take a first sample of each, write meters.json (the parent waits for it), go on sampling."""
    parser = argparse.ArgumentParser(prog="python -m power.sampler")
    parser.add_argument("folder", type=Path)
    parser.add_argument("meters", nargs="+")
    parser.add_argument("--idle-s", type=float, default=0.0)
    options = parser.parse_args(arguments)
    parent = os.getppid()
    tracks: list[Track] = []
    try:
        for name in options.meters:
            tracks.append(_open(name, options.folder))
        for track in tracks:
            track.take()
        write_whole(options.folder / "meters.json", description(tracks, options.idle_s))
    except SuiteError as error:
        _complain(options.folder, error)
        return 2
    every = list(tracks)
    good = sample(tracks, options.folder, parent)
    for track in every:
        track.close()
    return 0 if good else 1


def _open(name: str, folder: Path) -> Track:
    meter = meters.load(name)()
    return Track(name, meter, SampleLog(folder / f"{name}.csv"), time.monotonic())


def _take(track: Track, folder: Path) -> bool:
    try:
        track.take()
    except SuiteError as error:
        _complain(folder, error)
        return False
    return True


def _complain(folder: Path, error: SuiteError) -> None:
    with (folder / COMPLAINTS).open("a", encoding="utf-8") as log:
        log.write(f"{error}\n")


def _told_to_stop(wait_s: float) -> bool:
    """Whether standard input ended (or anything came) within `wait_s`."""
    return bool(select.select([sys.stdin.fileno()], [], [], max(0.0, wait_s))[0])


if __name__ == "__main__":
    sys.exit(main())
