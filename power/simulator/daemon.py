"""The simulator's answers: PTDaemon's commands, as MLCommons' power server sends them, and the lines it logs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from power.simulator import MARK
from power.simulator.analyzer import Analyzer, Reading, stamp
from power.simulator.faults import Faults
from power.simulator.loads import Load

HELLO = "Hello, PTDaemon here!"
NOTHING = "Error: no measurement to stop"
LIMIT = 0.01  # MLPerf's: an uncertainty above it is warned of
MOST = 500000
# The official server merges its copy of our lines before the last 8 kB of it are written: be longer than that.
FILLING = 120


class Dropped(Exception):
    """The connection is to end here, without an answer."""


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


@dataclass
class Measurement:
    """What was sampled since Go; `unread` counts what RL has not told yet."""

    mark: str
    interval_s: float
    began: float = field(default_factory=time.monotonic)
    readings: list[Reading] = field(default_factory=list)
    told: int = 0
    ended: threading.Event = field(default_factory=threading.Event)


class Daemon:
    """Answers one command at a time, whoever asks; a thread of its own takes the samples."""

    def __init__(self, analyzer: Analyzer, load: Load, journal: Journal, log: Path, faults: Faults) -> None:
        """Ready to listen; raises OSError where the log file cannot be written."""
        self.analyzer, self.load, self.journal, self.faults = analyzer, load, journal, faults
        self._log = log.open("a", encoding="ascii", buffering=1)
        self._lock = threading.Lock()
        self._measurement: Measurement | None = None
        self._sampler: threading.Thread | None = None
        self._answers: dict[str, Callable[[str], str]] = {
            "Hello": lambda _: HELLO,
            "Identify": lambda _: self.identity(),
            "RR": lambda _: f"Ranges,{self.analyzer.amps},{self.analyzer.volts}",
            "SR": self._set_range,
            "Go": self._go,
            "Stop": lambda _: self._stop(),
            "RL": self._read,
            "DC-RL": self._read_direct,
            "Watts": lambda _: self._watts(),
            "Uncertainty": lambda _: self._uncertainty(),
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
            self._end()
        self._log.close()

    def _set_range(self, rest: str) -> str:
        which, _, value = rest.partition(",")
        ranges = {"V": self.analyzer.volts, "A": self.analyzer.amps}
        if which not in ranges or not ranges[which].set(value):
            return f"Error: no range {which} for {value}"
        return f"Range {which} changed"

    def _go(self, rest: str) -> str:
        try:
            interval, ramp, mark = rest.split(",", 2)
            measurement = Measurement(mark, int(interval) / 1000)
        except ValueError:
            return "Invalid number of parameters"
        if self._sampler is not None:
            return "Error: a measurement is running"
        self._measurement = measurement
        self.journal.line(f"Go with mark '{mark}'")
        self._sampler = threading.Thread(target=self._sample, args=(measurement,), daemon=True)
        self._sampler.start()
        return f"Starting untimed measurement, maximum {MOST} samples at {interval}ms with {ramp} rampup samples"

    def _sample(self, measurement: Measurement) -> None:
        """A sample every interval until told to end."""
        due = measurement.began
        while not measurement.ended.wait(max(0.0, due + measurement.interval_s - time.monotonic())):
            due += measurement.interval_s
            reading = self.analyzer.reading(self._load_w(measurement, due))
            measurement.readings.append(reading)
            self._log.write(reading.logged(measurement.mark, self.analyzer.first) + "\n")
            self._complain(reading, measurement)

    def _load_w(self, measurement: Measurement, due: float) -> float:
        watts = self.load(due - measurement.began)
        if not measurement.mark.endswith("_testing"):
            return watts
        return watts * (40.0 if self.faults.over_range else 0.9 if self.faults.lower else 1.0)

    def _complain(self, reading: Reading, measurement: Measurement) -> None:
        if reading.over_range:
            self.journal.line("ERROR: Current appears to be too high for set range")
        if reading.uncertainty is None:
            self.journal.line("ERROR: Can't evaluate uncertainty of this sample!")
            self.journal.line("WARNING: Uncertainty unknown for the last measurement sample!")
        elif reading.uncertainty > LIMIT:
            above = f"Uncertainty {reading.uncertainty:.2%}, which is above 1.00% limit for the last sample!"
            self.journal.line(f"WARNING: {above}")
        if self.faults.error and measurement.mark.endswith("_testing"):
            self.journal.line("ERROR: Bad watts reading nan from the simulator")

    def _stop(self) -> str:
        if self._sampler is None:
            return NOTHING
        self._end()
        self.journal.line("Completed test")
        self.journal.line(f"Avg watts {self._watts()}")
        if not self.faults.quiet:
            self.journal.plain("\n".join(["No analyzer is attached: these watts are invented."] * FILLING))
        return "Stopping untimed measurement"

    def _end(self) -> None:
        if self._measurement and self._sampler:
            self._measurement.ended.set()
            self._sampler.join()
        self._sampler = None

    def _read(self, rest: str) -> str:
        if self.analyzer.direct:
            return "Unknown command"
        if self.analyzer.several != (rest == "*,*"):
            return "Invalid number of parameters"
        return self._unread()

    def _read_direct(self, rest: str) -> str:
        return self._unread() if self.analyzer.direct and not rest else "Unknown command"

    def _unread(self) -> str:
        measurement = self._measurement
        rows = [each.row() for each in measurement.readings[measurement.told :]] if measurement else []
        if measurement:
            measurement.told += len(rows)
        return "\n".join((f"Last {len(rows)} samples", *rows))

    def _watts(self) -> str:
        watts = [each.watts for each in self._measurement.readings] if self._measurement else []
        if not watts:
            return "Watts,-1.000000,-1.000000,-1.000000,0,0,0"
        mean, low, high = sum(watts) / len(watts), min(watts), max(watts)
        return f"Watts,{mean:.6f},{low:.6f},{high:.6f},{len(watts)},0,{len(watts)}"

    def _uncertainty(self) -> str:
        every = [each.uncertainty for each in self._measurement.readings] if self._measurement else []
        known = [each for each in every if each is not None]
        if not known:
            return f"Uncertainty,-1.0,10000000.000000,0.000000,{len(every)},0,0,{len(every)}"
        figures = f"{sum(known) / len(known):.6f},{min(known):.6f},{max(known):.6f}"
        return f"Uncertainty,{figures},{len(every)},0,{len(known)},{len(every) - len(known)}"
