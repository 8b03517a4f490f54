"""CPU packages through RAPL: the energy counters of the kernel's powercap tree (Intel, AMD Zen)."""

from __future__ import annotations

import time
from pathlib import Path

from loadgen_harness.errors import BadInput, SuiteError
from power.meter import MeterFailed, Scope

ROOT = Path("/sys/class/powercap")
SHORTEST_S = 0.02  # the counters move about once a millisecond: a shorter difference would be noise


class Zone:
    """One counter of the tree, made to run on where the hardware wraps around."""

    def __init__(self, folder: Path) -> None:
        """Take the counter in `folder`; raises BadInput where it cannot be read."""
        self.name = _read(folder / "name")
        self._file = folder / "energy_uj"
        self._range_uj = int(_read(folder / "max_energy_range_uj"))
        self._last_uj = int(_read(self._file))
        self._total_uj = 0

    def joules(self) -> float:
        """Energy since the zone was taken; needs a call per wrap (an hour at 70 W on common parts)."""
        now_uj = int(_read(self._file))
        step_uj = now_uj - self._last_uj
        self._total_uj += step_uj if step_uj >= 0 else step_uj + self._range_uj
        self._last_uj = now_uj
        return self._total_uj / 1e6


class RaplMeter:
    """Sums the package zones: cores and uncore are inside them, psys is the whole platform and is left out.

    DRAM lies beside the package and has a meter of its own, `rapl_dram`. The vendors state no uncertainty; ± 5 %
    covers what comparisons with wall meters found since Haswell (Khan et al. 2018, doi:10.1145/3177754).
    """

    scope: Scope = "package"
    uncertainty = 0.05
    estimated = False
    interval_s = 0.1
    averaging_s = 0.1
    counting = True
    prefix = "package"

    def __init__(self, root: Path = ROOT) -> None:
        """Open the counters below `root`; raises BadInput saying what to do."""
        folders = _folders(root, self.prefix)
        if not folders:
            what = f"no {self.prefix} energy counter under {root}"
            raise BadInput(f"meter {self._name} found {what}: it needs Linux on a bare CPU that has RAPL.")
        self._zones = [Zone(folder) for folder in folders]
        self._time = time.monotonic()
        self._joules = 0.0

    @classmethod
    def available(cls, root: Path = ROOT) -> str:
        """Empty where the counters can be read, else what is missing."""
        try:
            cls(root).close()
        except SuiteError as error:
            return str(error)
        return ""

    def watts(self) -> float:
        """Mean power since the last call (or since the meter was opened)."""
        time.sleep(max(0.0, self._time + SHORTEST_S - time.monotonic()))
        now, joules = time.monotonic(), self.joules()
        mean = (joules - self._joules) / (now - self._time)
        self._time, self._joules = now, joules
        return mean

    def joules(self) -> float:
        """Energy of all zones since the meter was opened."""
        return sum(zone.joules() for zone in self._zones)

    def describe(self) -> dict[str, str]:
        """The zones that are summed."""
        return {"source": "RAPL through powercap", "zones": ", ".join(zone.name for zone in self._zones)}

    def close(self) -> None:
        """Nothing stays open."""

    @property
    def _name(self) -> str:
        return type(self).__module__.rpartition(".")[2]


def _folders(root: Path, prefix: str) -> list[Path]:
    """Zones by name; the MMIO view of the same counters serves only where the MSR view is missing."""
    for kind in ("intel-rapl", "intel-rapl-mmio"):
        folders = [folder for folder in sorted(root.glob(f"{kind}:*")) if (folder / "name").exists()]
        found = [folder for folder in folders if _read(folder / "name").startswith(prefix)]
        if found:
            return found
    return []


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except PermissionError as error:
        remedy = "sudo chmod a+r /sys/class/powercap/*/energy_uj"
        raise BadInput(f"{path} may be read by root only: run `{remedy}` (until the next boot).") from error
    except (OSError, ValueError) as error:
        raise MeterFailed(f"{path} cannot be read ({error}): use another meter.") from error


METER = RaplMeter
