"""What the simulator samples between Go and Stop, and what it logs of it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TextIO

from power.simulator import MARK
from power.simulator.analyzer import Analyzer, Reading, stamp
from power.simulator.faults import Faults
from power.simulator.loads import Load

LIMIT = 0.01  # MLPerf's: an uncertainty above it is warned of
TESTING = "_testing"  # how the official server's mark of the second phase ends
OVER = 40.0  # times the load of the ranging phase
LOWER = 0.9


@dataclass
class Journal:
    """What a PTDaemon writes to its standard output; every line names the simulator."""

    out: TextIO
    lock: threading.Lock = field(default_factory=threading.Lock)

    def line(self, text: str) -> None:
        """A line with the time of day."""
        self.plain(f"{stamp(time.time())}: {text}")

    def plain(self, text: str) -> None:
        """Lines as they are."""
        with self.lock:
            for each in text.splitlines():
                self.out.write(f"{each} [{MARK}]\n")
            self.out.flush()


class Measurement:
    """A measurement from Go until it is ended; a thread of its own takes a sample every interval."""

    def __init__(self, mark: str, interval_s: float, *, analyzer: Analyzer, load: Load, faults: Faults) -> None:
        """Made, not begun."""
        self.mark, self.readings = mark, list[Reading]()
        self._analyzer, self._load, self._faults = analyzer, load, faults
        self._interval_s, self._told = interval_s, 0
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def begin(self, journal: Journal, log: TextIO) -> None:
        """Sample from now on."""
        self._journal, self._log, self._began = journal, log, time.monotonic()
        self._sampler.start()

    def end(self) -> None:
        """Take no more samples."""
        self._ended.set()
        self._sampler.join()

    @property
    def running(self) -> bool:
        """Whether it was not yet ended."""
        return not self._ended.is_set()

    def unread(self) -> list[Reading]:
        """The samples that were not yet asked for."""
        found = self.readings[self._told :]
        self._told += len(found)
        return found

    def _sample(self) -> None:
        due = self._began
        while not self._ended.wait(max(0.0, due + self._interval_s - time.monotonic())):
            due += self._interval_s
            reading = self._analyzer.reading(self._watts(due - self._began))
            self.readings.append(reading)
            self._log.write(reading.logged(self.mark, self._analyzer.first) + "\n")
            self._complain(reading)

    def _watts(self, elapsed_s: float) -> float:
        watts = self._load(elapsed_s)
        if not self.mark.endswith(TESTING):
            return watts
        return watts * (OVER if self._faults.over_range else LOWER if self._faults.lower else 1.0)

    def _complain(self, reading: Reading) -> None:
        """What a PTDaemon says of such a sample."""
        if reading.over_range:
            self._journal.line("ERROR: Current appears to be too high for set range")
        if reading.uncertainty is None:
            self._journal.line("ERROR: Can't evaluate uncertainty of this sample!")
            self._journal.line("WARNING: Uncertainty unknown for the last measurement sample!")
        elif reading.uncertainty > LIMIT:
            above = f"Uncertainty {reading.uncertainty:.2%}, which is above 1.00% limit for the last sample!"
            self._journal.line(f"WARNING: {above}")
        if self._faults.error and self.mark.endswith(TESTING):
            self._journal.line("ERROR: Bad watts reading nan from the simulator")


def watts_of(readings: list[Reading]) -> str:
    """The answer to Watts."""
    watts = [each.watts for each in readings]
    if not watts:
        return "Watts,-1.000000,-1.000000,-1.000000,0,0,0"
    mean, low, high = sum(watts) / len(watts), min(watts), max(watts)
    return f"Watts,{mean:.6f},{low:.6f},{high:.6f},{len(watts)},0,{len(watts)}"


def uncertainty_of(readings: list[Reading]) -> str:
    """The answer to Uncertainty."""
    known = [each.uncertainty for each in readings if each.uncertainty is not None]
    if not known:
        return f"Uncertainty,-1.0,10000000.000000,0.000000,{len(readings)},0,0,{len(readings)}"
    figures = f"{sum(known) / len(known):.6f},{min(known):.6f},{max(known):.6f}"
    return f"Uncertainty,{figures},{len(readings)},0,{len(known)},{len(readings) - len(known)}"
