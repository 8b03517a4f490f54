"""DRAM through RAPL, beside the packages: server CPUs and some clients have these counters."""

from __future__ import annotations

from power.meter import Scope
from power.meters.rapl import RaplMeter


class RaplDramMeter(RaplMeter):
    """Sums the DRAM counters; ± 20 %, since some CPUs only model the value.

    Desrochers et al. 2016, doi:10.1145/2989081.2989088.
    """

    scope: Scope = "memory"
    parts: tuple[str, ...] = ("memory",)
    uncertainty = 0.20
    domain = "dram"


METER = RaplDramMeter
