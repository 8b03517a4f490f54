"""A laptop's own batteries while they discharge: what they give is what the whole machine takes."""

from __future__ import annotations

from pathlib import Path

from loadgen_harness.errors import BadInput
from power.meter import MeterFailed, Scope
from power.meters import _sysfs
from power.meters._trial import refusal

ROOT = Path("/sys/class/power_supply")
MICRO = 1e-6
MOST_W = 1000.0
SUPPLIES = ("Mains", "USB", "Wireless")
# psutil tells the charge in per cent alone, too coarse for any run: hence the files themselves.


class BatteryMeter:
    """Sums the discharging batteries; refuses while anything charges or feeds the machine beside them.

    Their gauges answer about once a second, some only every 30 s. No maker states their accuracy: ± 10 % is assumed.
    """

    scope: Scope = "node"
    parts: tuple[str, ...] = ("node",)
    uncertainty = 0.10
    resolution = 0.0  # of the gauge, which nobody states: the files count microwatts
    estimated = False
    interval_s = 1.0
    averaging_s = 1.0
    counting = False

    def __init__(self, root: Path = ROOT) -> None:
        """Find the batteries below `root`; raises BadInput where there is none or none discharges."""
        self._root = root
        self._batteries = [folder for folder in _of_kind(root, "Battery") if not _is_device(folder)]
        if not self._batteries:
            raise BadInput("meter battery found no battery of this machine: use another meter.")
        try:
            self.watts()
        except MeterFailed as error:
            raise BadInput(str(error)) from error

    @classmethod
    def available(cls, root: Path = ROOT) -> str:
        """Empty where a battery discharges and tells its power, else what to do."""
        return refusal(lambda: cls(root))

    def watts(self) -> float:
        """Power of all discharging batteries now; raises MeterFailed when the machine is plugged in."""
        lines = [folder for kind in SUPPLIES for folder in _of_kind(self._root, kind)]
        if any(_sysfs.optional(folder / "online") in ("1", "2") and not _is_device(folder) for folder in lines):
            raise MeterFailed("meter battery tells nothing while the machine is plugged in: unplug it for the run.")
        states = [_sysfs.text(folder / "status") for folder in self._batteries]
        if "Charging" in states or "Discharging" not in states:
            raise MeterFailed(f"meter battery finds it {' and '.join(states)}: unplug the machine for the run.")
        flowing = zip(self._batteries, states, strict=True)
        return sum(_watts(folder) for folder, state in flowing if state == "Discharging")

    def describe(self) -> dict[str, str]:
        """Which batteries, and how they tell their power."""
        names = (" ".join(_sysfs.optional(f / key) for key in ("manufacturer", "model_name")) for f in self._batteries)
        found = (f"{folder.name} ({name.strip()})" for folder, name in zip(self._batteries, names, strict=True))
        ways = ("power_now" if (f / "power_now").is_file() else "current_now x voltage_now" for f in self._batteries)
        return {"source": "battery", "batteries": ", ".join(found), "reading": ", ".join(sorted(set(ways)))}

    def close(self) -> None:
        """Nothing stays open."""


def _watts(folder: Path) -> float:
    """Drivers differ in the sign of what flows out: the state says which way it flows."""
    if (folder / "power_now").is_file():
        watts = abs(_sysfs.number(folder / "power_now")) * MICRO
    else:
        watts = abs(_sysfs.number(folder / "current_now") * MICRO * _sysfs.number(folder / "voltage_now") * MICRO)
    if not 0 < watts <= MOST_W:
        raise MeterFailed(f"{folder} tells {watts:g} W while it discharges: use another meter.")
    return watts


def _of_kind(root: Path, kind: str) -> list[Path]:
    return [folder for folder in sorted(root.glob("*")) if _sysfs.optional(folder / "type") == kind]


def _is_device(folder: Path) -> bool:
    """Whether it belongs to a mouse or the like."""
    return _sysfs.optional(folder / "scope") == "Device"


METER = BatteryMeter
