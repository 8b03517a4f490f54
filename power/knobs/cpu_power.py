"""The power limit of CPU packages through RAPL: the long-term constraint of the kernel's powercap tree."""

from __future__ import annotations

from pathlib import Path

from loadgen_harness.errors import BadInput
from power.knob import Raw, grid, number, sysfs
from power.knobs._files import Files

MICRO = 1e6  # microwatts in a watt
LEAST = 0.4  # of the most: below, most packages only throttle; a person may still ask for less
STEP_W = 5


class PackageLimit:
    """One limit in W for every package; a limit that was switched off is switched on, and off again afterwards."""

    title, unit, verifiable = "CPU package power limit", "W", True
    note = "the limit holds on average over seconds; shorter bursts have a limit of their own, which stays."

    def __init__(self) -> None:
        """Find the packages; raises BadInput where there are none."""
        self._root = sysfs() / "class/powercap"
        zones = [path for path in sorted(self._root.glob("intel-rapl:*")) if _says(path / "name", "package")]
        self._limits = [limit for zone in zones if (limit := _long_term(zone))]
        if not self._limits:
            raise BadInput(f"no CPU power limit under {self._root}: it needs Linux on a bare CPU that has RAPL.")
        switches = [f"{limit.partition('/')[0]}/enabled" for limit in self._limits]
        self._switches = [name for name in switches if (self._root / name).exists()]
        self._files = Files(self._root, (*self._limits, *self._switches))

    def read(self) -> Raw:
        """The limits in microwatts, and whether they are switched on."""
        return self._files.read()

    def steps(self) -> tuple[str, ...]:
        """From 40 % of the most to the most."""
        most = min(self._most_w(limit) for limit in self._limits)
        return tuple(str(watts) for watts in grid(LEAST * most, most, STEP_W))

    def raw(self, value: str) -> Raw:
        """`value` W for every package, in microwatts, and the limits on."""
        watts = number(value, "a CPU package power limit in W")
        most = min(self._most_w(limit) for limit in self._limits)
        if watts > most:
            raise BadInput(f"the CPU packages may take {most:g} W, not {value}: choose less.")
        return {**dict.fromkeys(self._limits, str(round(watts * MICRO))), **dict.fromkeys(self._switches, "1")}

    def put(self, device: str, raw: str) -> None:
        """Set one limit or switch."""
        self._files.write(device, raw)

    def close(self) -> None:
        """Nothing stays open."""

    def _most_w(self, limit: str) -> float:
        """The most that the package may be given; its present limit where the kernel does not say."""
        file = limit.replace("_power_limit_uw", "_max_power_uw")
        stated = self._files.text(file) if (self._root / file).exists() else ""
        microwatts = int(stated) if stated.isdigit() else 0
        return (microwatts or int(self._files.text(limit))) / MICRO


def _long_term(zone: Path) -> str:
    """The name of a package's long-term limit below the tree, "" where it has none."""
    found = [path for path in sorted(zone.glob("constraint_*_name")) if _says(path, "long_term")]
    limit = found[0].name.replace("_name", "_power_limit_uw") if found else ""
    return f"{zone.name}/{limit}" if limit and (zone / limit).exists() else ""


def _says(path: Path, beginning: str) -> bool:
    return path.is_file() and path.read_text(encoding="ascii", errors="replace").startswith(beginning)


KNOB = PackageLimit
