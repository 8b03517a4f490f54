"""CPU packages through RAPL: the energy counters of Intel and AMD Zen, by powercap or, where that is closed, perf."""

from __future__ import annotations

from pathlib import Path

from loadgen_harness.errors import BadInput
from power.meter import Scope
from power.meters import _perf, _powercap
from power.meters._counter import MeanPower, Source
from power.meters._perf import Perf
from power.meters._trial import refusal

# No library stands behind this: zeus and codecarbon read the powercap files alone, each with a process or thread of
# its own beside the sampler, and neither names perf, the parts or what cannot be seen.
STEP_J = 2.0**-14  # 61 µJ: the coarsest unit on common CPUs (AMD's is 15 µJ)


class RaplMeter:
    """Sums the package counters: cores and uncore are inside them, psys is the whole platform and is left out.

    DRAM lies beside the package and has a meter of its own, `rapl_dram`. The vendors state no uncertainty; ± 5 %
    covers what comparisons with wall meters found since Haswell (Khan et al. 2018, doi:10.1145/3177754).
    """

    scope: Scope = "package"
    parts: tuple[str, ...] = ("cpu",)  # of this machine: cpu/0, cpu/1
    uncertainty = 0.05
    resolution = STEP_J
    estimated = False
    interval_s = 0.1
    averaging_s = 0.1
    counting = True
    domain = "package"

    def __init__(self, root: Path = _powercap.ROOT, perf: Perf | None = None) -> None:
        """Open the counters below `root` or with `perf`; raises BadInput saying what to do."""
        self._way, self._sources = self._open(root, Perf() if perf is None else perf)
        self.parts = tuple(sorted({source.part for source in self._sources}))
        self.resolution = STEP_J * len(self._sources)
        self._mean = MeanPower(self.joules)

    @classmethod
    def available(cls, root: Path = _powercap.ROOT, perf: Perf | None = None) -> str:
        """Empty where the counters can be read, else what is missing."""
        return refusal(lambda: cls(root, perf))

    def watts(self) -> float:
        """Mean power since the last call (or since the meter was opened)."""
        return self._mean.watts()

    def joules(self) -> float:
        """Energy of all counters since the meter was opened; raises MeterFailed for one that cannot be trusted."""
        return sum(source.counter.joules() for source in self._sources)

    def describe(self) -> dict[str, str]:
        """The counters that are summed."""
        return {"source": f"RAPL through {self._way}", "zones": ", ".join(each.counter.name for each in self._sources)}

    def close(self) -> None:
        """Let perf's counters go; powercap's are opened anew for each reading."""
        _perf.close(self._sources)

    def _open(self, root: Path, perf: Perf) -> tuple[str, list[Source]]:
        """Powercap before perf: its zones say more of what they are."""
        closed = ""
        try:
            found = self._chosen(self._zones(root))
        except BadInput as error:
            found, closed = [], str(error)
        if found:
            return "powercap", found
        try:
            found = self._chosen(perf.sources(self.domain))
        except BadInput as error:
            raise BadInput(f"{closed[:-1]}, or {_perf.REMEDY}." if closed else str(error)) from error
        if not found:
            raise BadInput(closed or self._absence(root))
        return "perf", found

    def _zones(self, root: Path) -> list[Source]:
        return _powercap.sources(root, self.domain)

    def _chosen(self, found: list[Source]) -> list[Source]:
        return found

    def _absence(self, root: Path) -> str:
        name = type(self).__module__.rpartition(".")[2]
        what = f"no {self.domain} energy counter under {root} nor in perf"
        return f"meter {name} found {what}: it needs Linux on a bare CPU that has RAPL."


METER = RaplMeter
