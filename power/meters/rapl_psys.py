"""The whole platform through RAPL's psys: Intel laptops, and servers whose board is wired for it."""

from __future__ import annotations

from power.meter import Scope
from power.meters import _perf
from power.meters._counter import Source
from power.meters.rapl import RaplMeter


class RaplPsysMeter(RaplMeter):
    """What the board's designer wired to the CPU's psys input: at best all that the battery or supply feeds.

    ± 15 % is assumed: the gain is set by each board's firmware, and no vendor states one.
    """

    scope: Scope = "platform"
    parts: tuple[str, ...] = ("platform",)
    uncertainty = 0.15
    domain = "psys"

    def _chosen(self, found: list[Source]) -> list[Source]:
        """The first alone: on machines with several sockets each shows the one platform."""
        _perf.close(found[1:])
        return found[:1]


METER = RaplPsysMeter
