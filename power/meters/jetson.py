"""NVIDIA Jetson modules: the INA sensors on their supply rails, through hwmon or, before JetPack 5, iio."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loadgen_harness.errors import BadInput
from power.meter import MeterFailed, Scope
from power.meters import _sysfs
from power.meters._trial import refusal

SYSFS = Path("/sys")
MODEL = "firmware/devicetree/base/model"
MOST_W = 1000.0
TOTALS = ("VIN", "VDD_IN", "POM_5V_IN", "5V_IN")  # what feeds the module, its other rails inside: never added to them
# AGX modules without a sensor in front of all rails. VDDQ_VDD2_1V8AO of the Orin is fed by VIN_SYS_5V0 and left out.
BESIDE = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
)
SHUNT_STEP_V = 40e-6  # an INA3221's
# jetson-stats needs a service that root installs; the sensors are plain files that everybody may read.


@dataclass(frozen=True)
class Rail:
    """One supply rail: what it is called, where it was found, how to read it and, 0 unknown, its smallest step."""

    name: str
    place: str
    watts: Callable[[], float]
    step_w: float = 0.0


class JetsonMeter:
    """The module as a whole: its one supply where a sensor sits there, else the rails that lie side by side.

    Fans, disks and the rest of the carrier board are missing, except where an INA238 measures VIN (Thor). NVIDIA states
    no accuracy of the sensors and their shunts: ± 5 % is assumed, ± 10 % for a sum of rails.
    """

    scope: Scope = "node"
    parts: tuple[str, ...] = ("node",)
    uncertainty = 0.05
    resolution = 0.0
    estimated = False
    interval_s = 0.1
    averaging_s = 0.1
    counting = False

    def __init__(self, root: Path = SYSFS) -> None:
        """Find the rails below `root`, a /sys; raises BadInput where they do not make a total."""
        self._model = _sysfs.optional(root / MODEL).rstrip("\0")
        if "Jetson" not in self._model:
            raise BadInput("meter jetson needs an NVIDIA Jetson module: use another meter.")
        self._every = {rail.name: rail for rail in (*_hwmon(root), *_iio(root))}
        self._rails = _total(self._every)
        self.uncertainty = 0.05 if len(self._rails) == 1 else 0.10
        self.resolution = sum(rail.step_w for rail in self._rails)
        self.watts()

    @classmethod
    def available(cls, root: Path = SYSFS) -> str:
        """Empty where a module's sensors can be read, else what is missing."""
        return refusal(lambda: cls(root))

    def watts(self) -> float:
        """Power of the module now."""
        return sum(_checked(rail) for rail in self._rails)

    def describe(self) -> dict[str, str]:
        """The module, the rails that are summed, and those that are not."""
        others = [name for name in self._every if name not in {rail.name for rail in self._rails}]
        return {
            "source": f"INA sensors of {self._model}",
            "rails": " + ".join(f"{rail.name} ({rail.place})" for rail in self._rails),
            "inside them": ", ".join(others) or "none told",
        }

    def close(self) -> None:
        """Nothing stays open."""


def _total(rails: dict[str, Rail]) -> list[Rail]:
    for name in TOTALS:
        if name in rails:
            return [rails[name]]
    for names in BESIDE:
        if rails.keys() >= set(names):
            return [rails[name] for name in names]
    raise BadInput(f"meter jetson finds no total among these rails: {', '.join(rails) or '(none)'}: use another meter.")


def _checked(rail: Rail) -> float:
    watts = rail.watts()
    if not 0 <= watts <= MOST_W:
        raise MeterFailed(f"rail {rail.name} ({rail.place}) tells {watts:g} W: use another meter.")
    return watts


def _hwmon(root: Path) -> Iterator[Rail]:
    for folder in sorted((root / "class/hwmon").glob("hwmon*")):
        chip = _sysfs.optional(folder / "name")
        if chip == "ina3221":
            yield from _ina3221(folder)
        elif chip == "ina238":  # in front of all else, see NVIDIA's design guide of the Thor; its driver has no labels
            name = _sysfs.optional(folder / "power1_label") or _sysfs.optional(folder / "label") or "VIN"
            yield Rail(name, f"{folder.name}/power1", _scaled(folder / "power1_input", 1e-6))


def _ina3221(folder: Path) -> Iterator[Rail]:
    """Volts times amperes, which the driver leaves to its readers; channels without a wire have no label or `NC`."""
    for number in (1, 2, 3):
        name = _sysfs.optional(folder / f"in{number}_label")
        if name in ("", "NC") or _sysfs.optional(folder / f"in{number}_enable") == "0":
            continue
        volts, amperes = folder / f"in{number}_input", folder / f"curr{number}_input"
        yield Rail(name, f"{folder.name}/in{number}", _product(volts, amperes), _step_w(folder, number))


def _scaled(file: Path, unit_w: float) -> Callable[[], float]:
    return lambda: _sysfs.number(file) * unit_w


def _product(volts: Path, amperes: Path) -> Callable[[], float]:
    return lambda: _sysfs.number(volts) * _sysfs.number(amperes) * 1e-6


def _step_w(folder: Path, number: int) -> float:
    """The smallest difference of a channel: one step over its shunt, at the voltage that it has now."""
    shunt = _sysfs.optional(folder / f"shunt{number}_resistor")
    volts = _sysfs.number(folder / f"in{number}_input") * 1e-3
    return SHUNT_STEP_V / (int(shunt) * 1e-6) * volts if shunt.isdigit() and int(shunt) else 0.0


def _iio(root: Path) -> Iterator[Rail]:
    """The driver of JetPack 4: milliwatts beside the names of the rails."""
    for file in sorted((root / "bus/i2c/drivers/ina3221x").glob("*/iio:device*/rail_name_*")):
        number = file.name.rpartition("_")[2]
        name = _sysfs.text(file)
        power = file.with_name(f"in_power{number}_input")
        if re.fullmatch(r"\w+", name) and name != "NC" and power.is_file():
            yield Rail(name, f"{file.parent.name}/{power.name}", _scaled(power, 1e-3), 1e-3)


METER = JetsonMeter
