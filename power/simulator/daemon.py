"""The simulator's answers: PTDaemon's commands, as MLCommons' power server sends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from power.simulator import MARK
from power.simulator.analyzer import Analyzer, Reading
from power.simulator.faults import Faults
from power.simulator.loads import Load
from power.simulator.sampling import Journal, Measurement, uncertainty_of, watts_of

HELLO = "Hello, PTDaemon here!"
NOTHING = "Error: no measurement to stop"
MOST = 500000
# The official server merges its copy of our lines before the last 8 kB of it are written: be longer than that.
FILLING = 120


class Dropped(Exception):
    """The connection is to end here, without an answer."""


class Daemon:
    """Answers one command at a time, whoever asks; a thread of its own takes the samples."""

    def __init__(self, analyzer: Analyzer, load: Load, journal: Journal, log: Path, faults: Faults) -> None:
        """Ready to listen; raises OSError where the log file cannot be written."""
        self.analyzer, self.load, self.journal, self.faults = analyzer, load, journal, faults
        self._log = log.open("a", encoding="ascii", buffering=1)
        self._lock = threading.Lock()
        self._measurement: Measurement | None = None
        self._answers: dict[str, Callable[[str], str]] = {
            "Hello": lambda _: HELLO,
            "Identify": lambda _: self.identity(),
            "RR": lambda _: f"Ranges,{self.analyzer.amps},{self.analyzer.volts}",
            "SR": self._set_range,
            "Go": self._go,
            "Stop": lambda _: self._stop(),
            "RL": self._read,
            "DC-RL": self._read_direct,
            "Watts": lambda _: watts_of(self._readings),
            "Uncertainty": lambda _: uncertainty_of(self._readings),
        }

    def identity(self) -> str:
        """The model is the simulator: MLPerf's power check knows no such analyzer, which is right."""
        middle = "1000,1,1,1,1,0,0,1"
        version = f"version={self.faults.version}-{MARK}-20260101"
        return f"{MARK},{middle},{version},OS=none,mode=power,1,1,1,0,0,no_cal_date,SIMULATED;{self.analyzer.kind};0;F0"

    def answer(self, command: str) -> str:
        """The reply to one command, in one or several lines; raises Dropped."""
        time.sleep(self.faults.slow)
        if self.faults.drop and command.startswith(self.faults.drop):
            raise Dropped
        name, _, rest = command.partition(",")
        with self._lock:
            known = self._answers.get(name)
            refused = self.faults.refuse and command.startswith(self.faults.refuse)
            reply = "Error: refused" if refused else known(rest) if known else "Unknown command"
        if not self.faults.quiet:
            self.journal.line(f"Response to client sent: {reply}")
        return reply

    def close(self) -> None:
        """End sampling and the log."""
        with self._lock:
            if self._measurement and self._measurement.running:
                self._measurement.end()
        self._log.close()

    @property
    def _readings(self) -> list[Reading]:
        return self._measurement.readings[:] if self._measurement else []

    def _set_range(self, rest: str) -> str:
        which, _, value = rest.partition(",")
        ranges = {"V": self.analyzer.volts, "A": self.analyzer.amps}
        if which not in ranges or not ranges[which].set(value):
            return f"Error: no range {which} for {value}"
        return f"Range {which} changed"

    def _go(self, rest: str) -> str:
        try:
            interval, ramp, mark = rest.split(",", 2)
            interval_s = int(interval) / 1000
        except ValueError:
            return "Invalid number of parameters"
        if self._measurement and self._measurement.running:
            return "Error: a measurement is running"
        self._measurement = Measurement(mark, interval_s, analyzer=self.analyzer, load=self.load, faults=self.faults)
        self.journal.line(f"Go with mark '{mark}'")
        self._measurement.begin(self.journal, self._log)
        return f"Starting untimed measurement, maximum {MOST} samples at {interval}ms with {ramp} rampup samples"

    def _stop(self) -> str:
        if self._measurement is None or not self._measurement.running:
            return NOTHING
        self._measurement.end()
        self.journal.line("Completed test")
        self.journal.line(f"Avg watts {watts_of(self._readings)}")
        if not self.faults.quiet:
            self.journal.plain("\n".join(["No analyzer is attached: these watts are invented."] * FILLING))
        return "Stopping untimed measurement"

    def _read(self, rest: str) -> str:
        if self.analyzer.direct:
            return "Unknown command"
        if self.analyzer.several != (rest == "*,*"):
            return "Invalid number of parameters"
        return self._unread()

    def _read_direct(self, rest: str) -> str:
        return self._unread() if self.analyzer.direct and not rest else "Unknown command"

    def _unread(self) -> str:
        rows = [each.row() for each in self._measurement.unread()] if self._measurement else []
        return "\n".join((f"Last {len(rows)} samples", *rows))
