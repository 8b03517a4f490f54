"""The sample log: `power/<meter>.csv` written as samples come, and PTDaemon's `spl.txt`; one reader for both."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from loadgen_harness.errors import BadInput
from power.simulator import MARK

HEADER = "monotonic_ns,utc_s,watts,joules"
SPL_TIME = "%m-%d-%Y %H:%M:%S.%f"
OWN_MARK = "lgh-"  # marks a spl.txt that this suite derived from a meter of its own: it is no analyzer's


class Sample(NamedTuple):
    """One reading; `joules` is the meter's running count, None for a meter that does not count."""

    monotonic_ns: int
    utc_s: float
    watts: float
    joules: float | None = None


@dataclass(frozen=True)
class Readings:
    """What a sample log holds: its readings, the mark of a spl.txt, and each line that could not be read."""

    samples: tuple[Sample, ...]
    mark: str = ""
    damage: tuple[str, ...] = ()


class SampleLog:
    """Writes one line per sample at once, so that a crash costs a line at most."""

    def __init__(self, path: Path) -> None:
        """Begin the file; raises BadInput where it exists."""
        try:
            self._file = path.open("x", encoding="ascii", buffering=1)
        except FileExistsError as error:
            raise BadInput(f"{path} exists: measure into a new folder.") from error
        self._file.write(HEADER + "\n")

    def write(self, sample: Sample) -> None:
        """Append one sample."""
        joules = "" if sample.joules is None else f"{sample.joules:.6f}"
        self._file.write(f"{sample.monotonic_ns},{sample.utc_s:.6f},{sample.watts:.6f},{joules}\n")

    def close(self) -> None:
        """End the file."""
        self._file.close()


def read(path: Path) -> Readings:
    """A sample log or spl.txt; a last line without its end is dropped, any other odd line is damage."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return Readings((), damage=(f"cannot be read: {error.strerror or error}",))
    samples: list[Sample] = []
    damage: list[str] = []
    mark = ""
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        if not line.strip() or line == HEADER:
            continue
        try:
            samples.append(sample_of(line))
            mark = mark or _mark(line)
        except (ValueError, IndexError):
            damage.append(f"line {number} is no sample: {line[:60]!r}")
    return Readings(tuple(samples), mark, tuple(damage))


def spl_line(sample: Sample, mark: str) -> str:
    """One sample in PTDaemon's form, milliseconds and UTC; -1 stands for what was not measured."""
    when = datetime.fromtimestamp(round(sample.utc_s, 3), UTC).strftime(SPL_TIME)[:-3]
    rest = f"Volts,{-1:.6f},Amps,{-1:.6f},PF,{-1:.6f},Mark,{OWN_MARK}{mark}"
    return f"Time,{when},Watts,{sample.watts:.6f},{rest}"


def write_spl(path: Path, samples: Iterable[Sample], mark: str) -> None:
    """The samples as a spl.txt; raises BadInput where the file exists."""
    if path.exists():
        raise BadInput(f"{path} exists: choose another name.")
    write_whole(path, "".join(spl_line(sample, mark) + "\n" for sample in samples))


def write_whole(path: Path, text: str) -> None:
    """Write under a temporary name, then rename: the file is there whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def sample_of(line: str) -> Sample:
    """One line of a sample log or spl.txt; raises ValueError or IndexError."""
    fields = line.split(",")
    if fields[0] != "Time":  # the first Watts of a spl.txt are the total; those of its channels follow
        monotonic_ns, utc, watts, joules = fields
        return Sample(int(monotonic_ns), float(utc), float(watts), float(joules) if joules else None)
    if fields[2] != "Watts":
        raise ValueError("the third field of a spl.txt line is Watts")
    utc_s = datetime.strptime(fields[1], SPL_TIME).replace(tzinfo=UTC).timestamp()
    return Sample(round(utc_s * 1e9), utc_s, float(fields[3]))


def _mark(line: str) -> str:
    """The first Mark: channels, and the lines of several analyzers that were merged, follow it."""
    if MARK in line:
        return MARK  # of the simulator: it begins as every mark of this suite does
    return line.partition(",Mark,")[2].partition(",")[0]
