"""CPU cores through RAPL, without caches and integrated graphics: a part of what `rapl` counts."""

from __future__ import annotations

from pathlib import Path

from power.meter import Scope
from power.meters import _powercap, _sysfs
from power.meters._counter import Source
from power.meters._perf import Perf
from power.meters.rapl import RaplMeter

CPUINFO = Path("/proc/cpuinfo")


class RaplCoreMeter(RaplMeter):
    """Sums the cores: one counter a package on Intel's client CPUs, one a core on AMD Zen.

    ± 10 % is assumed, nobody states it. AMD's powercap zone `core` shows a single core and is left alone; all of them
    are in perf since Linux 6.13.
    """

    scope: Scope = "core"
    parts: tuple[str, ...] = ("cpu/0/core",)
    uncertainty = 0.10
    domain = "core"

    def __init__(self, root: Path = _powercap.ROOT, perf: Perf | None = None, cpuinfo: Path = CPUINFO) -> None:
        """Open the counters below `root` or with `perf`; raises BadInput saying what to do."""
        self._amd = "AuthenticAMD" in _sysfs.optional(cpuinfo)
        super().__init__(root, perf)

    def _zones(self, root: Path) -> list[Source]:
        return [] if self._amd else _powercap.sources(root, self.domain)

    def _absence(self, root: Path) -> str:
        if self._amd:
            return "meter rapl_core needs Linux 6.13 on a bare AMD CPU (perf's energy-core): use rapl."
        return super()._absence(root)


METER = RaplCoreMeter
