"""Power and energy sensors of the kernel's hwmon drivers: a server's power meter, graphics boards, CPU packages."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from loadgen_harness.errors import BadInput
from power.meter import MeterFailed, Scope
from power.meters import _sysfs
from power.meters._counter import Clock, Counter, MeanPower, Scale
from power.meters._trial import refusal

VARIABLE = "LGH_HWMON"
ROOT = Path("/sys/class/hwmon")
MICRO = 1e-6
MOST_W = 1e5
# A library (psutil, PySensors) tells temperatures and fans here, but no power: hence the files themselves.


@dataclass(frozen=True)
class Chip:
    """What a driver measures: scope, ± of its readings (nobody states them but ACPI), labels of the channels."""

    scope: Scope
    uncertainty: float
    labels: tuple[str, ...] = ()  # regular expressions, the first that matches any channel; none: channel 1


KNOWN = {
    "power_meter": Chip("node", 0.10),  # ACPI 4.0: the whole machine, as its maker wired it
    "corsairpsu": Chip("node", 0.05, ("power total",)),  # all outputs of a power supply
    "amdgpu": Chip("board", 0.05, ("PPT|slowPPT",)),
    "xe": Chip("board", 0.05, ("card", "pkg")),
    "i915": Chip("board", 0.05, ("card", "pkg", "")),
    "nouveau": Chip("board", 0.10),
    "amd_energy": Chip("package", 0.05, (r"Esocket\d+",)),  # several drivers may tell of one package: this one first
    "zenpower": Chip("package", 0.10, ("SVI2_P_(Core|SoC)",)),
    "fam15h_power": Chip("package", 0.10),
}
APU = Chip("package", 0.10, ("PPT|slowPPT",))  # amdgpu again: there its sensor is that of CPU and GPU together
PARTS: dict[str, str] = {
    "wall": "wall",
    "node": "node",
    "platform": "platform",
    "board": "gpu/{device}",
    "package": "cpu/{number}",
    "memory": "memory/{number}",
}
ORDER: tuple[Scope, ...] = ("node", "board", "package")  # one meter has one scope: the widest that is found


@dataclass(frozen=True)
class Channel:
    """One `powerN` or `energyN` of a driver's folder."""

    folder: Path
    name: str
    chip: Chip

    @property
    def counts(self) -> bool:
        """Whether it counts microjoules; else it tells microwatts."""
        return self.name.startswith("energy")

    @property
    def file(self) -> Path:
        """The average where the driver has one: between two samples it misses nothing."""
        average = self.folder / f"{self.name}_average"
        return average if average.is_file() else self.folder / f"{self.name}_input"

    @property
    def label(self) -> str:
        """What the driver calls it, mostly nothing."""
        return _sysfs.optional(self.folder / f"{self.name}_label")

    @property
    def averaging_s(self) -> float:
        """As the driver says; a second for a node's sensor and 0.1 s for others where it does not."""
        told = _sysfs.optional(self.folder / f"{self.name}_average_interval")
        known = 1.0 if self.chip.scope in ("node", "wall") else 0.1
        return int(told) / 1e3 if told.isdigit() and int(told) else known

    @property
    def uncertainty(self) -> float:
        """ACPI's meters state their accuracy as `95.000%`; below ± 2 % no firmware is believed."""
        told = re.fullmatch(r"(\d+\.?\d*)%", _sysfs.optional(self.folder / f"{self.name}_accuracy"))
        accuracy = float(told[1]) / 100 if told else 0.0
        return max(0.02, 1 - accuracy) if 0 < accuracy <= 1 else self.chip.uncertainty

    def text(self) -> str:
        """Driver, folder, channel and label."""
        driver = _sysfs.optional(self.folder / "name")
        return f"{driver} {self.folder.name}/{self.file.name}" + (f" ({self.label})" if self.label else "")


class HwmonMeter:
    """One sensor, or all of a kind: a node's power meter, else all graphics boards, else all CPU packages.

    LGH_HWMON names another as DRIVER/CHANNEL, with @SCOPE where the driver is not known, such as `ina226/power1@node`:
    what an INA, a PMBus supply or a similar chip measures is the wiring of its board. Several node sensors are not
    added, since nothing says whether one is inside the other: name one.
    """

    scope: Scope = "node"
    parts: tuple[str, ...] = ("node",)
    uncertainty = 0.10
    resolution = MICRO
    estimated = False
    interval_s = 1.0
    averaging_s = 1.0
    counting = False

    def __init__(self, root: Path = ROOT, *, clock: Clock = time.monotonic) -> None:
        """Find the sensors below `root`; raises BadInput saying what is there."""
        wanted = os.environ.get(VARIABLE, "")
        self._channels = _named(root, wanted) if wanted else _found(root)
        chips = [channel.chip for channel in self._channels]
        self.scope = chips[0].scope
        self.parts = _parts(self._channels)
        self.uncertainty = max(channel.uncertainty for channel in self._channels)
        self.averaging_s = max(channel.averaging_s for channel in self._channels)
        self.interval_s = min(1.0, max(0.1, self.averaging_s))
        self.resolution = MICRO * len(self._channels)
        self.counting = self._channels[0].counts
        self._counters = [_counter(channel, clock) for channel in self._channels if self.counting]
        self._mean = MeanPower(self.joules, clock=clock)
        self.watts()

    @classmethod
    def available(cls, root: Path = ROOT) -> str:
        """Empty where a sensor can be read, else what is missing."""
        return refusal(lambda: cls(root))

    def watts(self) -> float:
        """Power of all channels; of those that count energy the mean since the last call."""
        if self.counting:
            return self._mean.watts()
        return sum(_watts(channel) for channel in self._channels)

    def joules(self) -> float:
        """Energy of all channels since the meter was opened; only where `counting`."""
        return sum(counter.joules() for counter in self._counters)

    def describe(self) -> dict[str, str]:
        """Drivers and channels."""
        return {"source": "hwmon", "sensors": ", ".join(channel.text() for channel in self._channels)}

    def close(self) -> None:
        """Nothing stays open."""


def _watts(channel: Channel) -> float:
    watts = _sysfs.number(channel.file) * MICRO
    if not 0 <= watts <= MOST_W:
        raise MeterFailed(f"{channel.file} tells {watts:g} W: use another meter.")
    return watts


def _counter(channel: Channel, clock: Clock) -> Counter:
    return Counter(channel.text(), partial(_sysfs.number, channel.file), Scale(MICRO), clock=clock)


def _parts(channels: list[Channel]) -> tuple[str, ...]:
    """A driver's folder is one device; amd_energy alone has all sockets in one, told by its labels."""
    folders = list(dict.fromkeys(channel.folder for channel in channels))
    found: dict[str, None] = {}
    for channel in channels:
        socket = re.fullmatch(r"Esocket(\d+)", channel.label)
        number = int(socket[1]) if socket else folders.index(channel.folder)
        device = (channel.folder / "device").resolve().name
        found[PARTS[channel.chip.scope].format(device=device, number=number)] = None
    return tuple(found)


def _found(root: Path) -> list[Channel]:
    every = [channel for folder in _folders(root) for channel in _chosen(folder)]
    for scope in ORDER:
        found = [channel for channel in every if channel.chip.scope == scope]
        if scope == "node" and len(found) > 1:
            texts = ", ".join(channel.text() for channel in found)
            raise BadInput(f"meter hwmon found {texts}: name one of them in {VARIABLE}, as hwmon0/power1.")
        if found:
            return _alike(found)
    others = ", ".join(f"{name}/{channel}" for name, channel in _others(root))
    hint = f"name one in {VARIABLE}, such as {others.split(', ')[0]}@node" if others else "use another meter"
    raise BadInput(f"meter hwmon found no sensor whose place it knows ({others or 'no power sensor at all'}): {hint}.")


def _alike(channels: list[Channel]) -> list[Channel]:
    """Those of one driver where several may tell of the same package; counters or readings, not both."""
    if channels[0].chip.scope == "package":
        ranked = [*(chip for chip in KNOWN.values() if chip.scope == "package"), APU]
        best = min(ranked.index(channel.chip) for channel in channels)
        channels = [channel for channel in channels if ranked.index(channel.chip) == best]
    return [channel for channel in channels if channel.counts == channels[0].counts]


def _known(folder: Path) -> Chip | None:
    """What a driver measures, None where it is not known; amdgpu names a `vddnb` on APUs alone."""
    name = _sysfs.optional(folder / "name")
    if name == "amdgpu" and _sysfs.optional(folder / "in1_label") == "vddnb":
        return APU
    return KNOWN.get(name)


def _chosen(folder: Path) -> list[Channel]:
    """The channels of one driver that stand for its device, each watt once: energy before power."""
    chip = _known(folder)
    if chip is None:
        return []
    for kind in ("energy", "power"):
        channels = [Channel(folder, name, chip) for name in _channels(folder) if name.startswith(kind)]
        if channels and not chip.labels:
            return channels[:1]
        for pattern in chip.labels:
            found = [channel for channel in channels if re.fullmatch(pattern, channel.label)]
            if found:
                return found
    return []


def _named(root: Path, wanted: str) -> list[Channel]:
    """The channel that LGH_HWMON names."""
    place, _, scope = wanted.partition("@")
    driver, _, channel = place.partition("/")
    folders = [each for each in _folders(root) if driver in (each.name, _sysfs.optional(each / "name"))]
    folders = [folder for folder in folders if channel in _channels(folder)]
    if len(folders) != 1:
        known = ", ".join(f"{folder.name}/{each}" for folder in _folders(root) for each in _channels(folder))
        found = "several such sensors" if folders else "no such sensor"
        raise BadInput(f"{VARIABLE} is {wanted!r}, and there is {found}: choose one of {known or '(none)'}.")
    chip = _known(folders[0])
    if scope not in PARTS and (scope or chip is None):
        raise BadInput(f"{VARIABLE} is {wanted!r}: end it with what it measures, @ and one of {', '.join(PARTS)}.")
    return [Channel(folders[0], channel, _chip(scope, chip))]


def _chip(scope: str, known: Chip | None) -> Chip:
    for each in ("wall", "node", "platform", "board", "package", "memory"):
        if each == scope:
            return Chip(each, known.uncertainty if known else 0.10)
    return known or Chip("node", 0.10)


def _others(root: Path) -> Iterator[tuple[str, str]]:
    for folder in _folders(root):
        for name in _channels(folder):
            yield _sysfs.optional(folder / "name") or folder.name, name


def _folders(root: Path) -> list[Path]:
    return sorted(root.glob("hwmon*"), key=lambda folder: (len(folder.name), folder.name))


def _channels(folder: Path) -> list[str]:
    """`power1`, `energy2`, … in the order of their numbers."""
    files = [*folder.glob("power*_input"), *folder.glob("power*_average"), *folder.glob("energy*_input")]
    names = {file.name.rpartition("_")[0] for file in files}
    return sorted((name for name in names if re.fullmatch(r"(power|energy)\d+", name)), key=lambda n: (len(n), n))


METER = HwmonMeter
