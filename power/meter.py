"""What a power meter is: one module per source in `meters/`, defining METER, a class made as `METER()`."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, SuiteError

# accelerator boards, CPU packages, cores inside them, DRAM, the whole SoC platform (psys), the node's DC side, the wall
Scope = Literal["board", "package", "core", "memory", "platform", "node", "wall"]


class MeterFailed(SuiteError):
    """A meter that stopped answering; the measurement is faulty, the run beside it is not."""


class PowerMeter(Protocol):
    """Says how many watts flow now; `available()` and a constructor without arguments complete the plug-in."""

    scope: Scope
    parts: tuple[str, ...]  # what the watts cover, so that a sum counts nothing twice: see power/combined.py
    uncertainty: float  # relative, half the 95 % interval of the gain: 0.05 is ± 5 %
    resolution: float  # the smallest step: joules of a counting meter, else watts; 0 where nobody states it
    estimated: bool  # modelled, not measured: shown as such and compared with nothing
    interval_s: float  # how often it is worth asking
    averaging_s: float  # watts() is the mean over about this long before the call
    counting: bool  # whether it is a CountingMeter

    @classmethod
    def available(cls) -> str:
        """Empty where the meter works here, else one sentence saying what it needs."""

    def watts(self) -> float:
        """Power now; raises MeterFailed."""

    def describe(self) -> dict[str, str]:
        """What really is measured, and how."""

    def close(self) -> None:
        """Let the source go."""


class CountingMeter(PowerMeter, Protocol):
    """A meter whose hardware counts energy, so that nothing is lost between two samples."""

    def joules(self) -> float:
        """Energy since the meter was opened, never falling; raises MeterFailed."""


def load(name: str) -> Any:
    """The class of meter `name`; raises UnknownName, MissingDependency, or BadInput where it does not work here."""
    meter = registry.load(registry.METERS, name)
    reason = meter.available()
    if reason:
        raise BadInput(reason)
    return meter


class WatchingMeter(PowerMeter, Protocol):
    """A meter that also knows why its device runs slower than it could; the sampler asks with every sample."""

    def conditions(self) -> tuple[str, ...]:
        """What holds now, in the vendor's words, such as `gpu/0: SW Thermal Slowdown`; raises MeterFailed."""
