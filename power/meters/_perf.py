"""RAPL through the kernel's perf interface, where powercap is missing or closed: the `power` and `power_core` PMUs."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loadgen_harness.errors import BadInput
from power.meter import MeterFailed
from power.meters import _sysfs
from power.meters._counter import Clock, Counter, Scale, Source

SYSFS = Path("/sys")
REMEDY = "`sudo sysctl kernel.perf_event_paranoid=0` (until the next boot)"
EVENTS = {  # domain: PMU, event, what it counts; AMD has energy-pkg and, since Linux 6.13, one energy-core a core
    "package": (("power", "energy-pkg", "cpu/{}"),),
    "core": (("power_core", "energy-core", "cpu/{}/core"), ("power", "energy-cores", "cpu/{}/core")),
    "dram": (("power", "energy-ram", "memory/{}"),),
    "psys": (("power", "energy-psys", "platform"),),
}
SYSCALL = {"x86_64": 298}  # perf_event_open; no other machine has a RAPL PMU
ATTRIBUTES = struct.Struct("=IIQQQQQIIQ")  # struct perf_event_attr in its first form, all zero but three
CLOSE_ON_EXEC = 8


class Event(Protocol):
    """An open counter of one PMU on one CPU."""

    def read(self) -> int:
        """The count since it was opened; raises MeterFailed."""

    def close(self) -> None:
        """Let it go."""


Opener = Callable[[int, int, int], Event]


class KernelEvent:
    """A counter opened with perf_event_open(2): `kind` and `config` as sysfs names them, all processes of one CPU."""

    def __init__(self, kind: int, config: int, cpu: int) -> None:
        """Raises OSError as the kernel says, ENOSYS where the number of the call is not known."""
        number = SYSCALL.get(platform.machine())
        if number is None or platform.system() != "Linux":
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        asked = ATTRIBUTES.pack(kind, ATTRIBUTES.size, config, *[0] * 7)
        library = ctypes.CDLL(None, use_errno=True)
        library.syscall.restype = ctypes.c_long
        numbers = [ctypes.c_long(each) for each in (-1, cpu, -1, CLOSE_ON_EXEC)]  # pid, cpu, group, flags
        self._file = library.syscall(ctypes.c_long(number), ctypes.create_string_buffer(asked, len(asked)), *numbers)
        if self._file < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def read(self) -> int:
        """The count since it was opened."""
        try:
            return int.from_bytes(os.read(self._file, 8), "little")
        except OSError as error:
            raise MeterFailed(f"a perf counter cannot be read ({error.strerror}): use another meter.") from error

    def close(self) -> None:
        """Close the file of the kernel."""
        os.close(self._file)


@dataclass(frozen=True)
class Perf:
    """Where the PMUs are described and how their counters are opened."""

    sysfs: Path = SYSFS
    opener: Opener = KernelEvent
    clock: Clock = time.monotonic

    def sources(self, domain: str) -> list[Source]:
        """The counters of one domain, none where no PMU has it; raises BadInput where the kernel refuses."""
        for pmu, event, part in EVENTS[domain]:
            folder = self.sysfs / "bus/event_source/devices" / pmu
            if (folder / "events" / event).is_file():
                return self._sources(folder, event, part)
        return []

    def _sources(self, folder: Path, event: str, part: str) -> list[Source]:
        kind, config = _sysfs.number(folder / "type"), _config(folder / "events" / event)
        scale = _scale(folder / "events", event)
        opened: list[Source] = []
        try:
            for cpu in _cpus(folder / "cpumask"):
                counter = self._open(kind, config, cpu)
                name = f"{event} of CPU {cpu}"
                place = part.format(self._package(cpu))
                opened.append(Source(place, Counter(name, counter.read, scale, clock=self.clock), counter.close))
        except (BadInput, MeterFailed):
            close(opened)
            raise
        return opened

    def _open(self, kind: int, config: int, cpu: int) -> Event:
        try:
            return self.opener(kind, config, cpu)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise BadInput(f"the kernel lets root alone count energy with perf: run {REMEDY}.") from error
            raise BadInput(f"perf cannot count energy here ({error.strerror}): use another meter.") from error

    def _package(self, cpu: int) -> str:
        topology = self.sysfs / f"devices/system/cpu/cpu{cpu}/topology/physical_package_id"
        return _sysfs.optional(topology) or "0"


def close(sources: Iterable[Source]) -> None:
    """Let all counters go."""
    for source in sources:
        source.close()


def _config(file: Path) -> int:
    found = re.fullmatch(r"event=(0x[0-9a-f]+)", _sysfs.text(file))
    if not found:
        raise MeterFailed(f"{file} holds {_sysfs.text(file)[:40]!r}, not event=0x…: use another meter.")
    return int(found[1], 16)


def _scale(folder: Path, event: str) -> Scale:
    """Counts are 64 bits wide in the kernel, which mends the hardware's wraps itself."""
    unit = _sysfs.text(folder / f"{event}.unit")
    try:
        joules = float(_sysfs.text(folder / f"{event}.scale"))
    except ValueError:
        joules = 0.0
    if unit != "Joules" or not 0 < joules < 1:
        raise MeterFailed(f"{folder / event} does not count joules ({joules:g} {unit}): use another meter.")
    return Scale(joules)


def _cpus(file: Path) -> list[int]:
    """The CPUs of a list such as `0,28` or `0-3`."""
    found: list[int] = []
    for each in _sysfs.text(file).split(","):
        first, _, last = each.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise MeterFailed(f"{file} holds no list of CPUs: use another meter.")
        found += range(int(first), int(last or first) + 1)
    return found
