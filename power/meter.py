"""What a power meter is: one module per source in `meters/`, defining METER, a class made as `METER()`."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, SuiteError

Scope = Literal["board", "package", "memory", "node", "wall"]


class MeterFailed(SuiteError):
    """A meter that stopped answering; the measurement is faulty, the run beside it is not."""


class PowerMeter(Protocol):
    """Says how many watts flow now; `available()` and a constructor without arguments complete the plug-in."""

    scope: Scope  # what the watts cover: accelerator boards, CPU packages, DRAM, the node's DC side, the wall plug
    uncertainty: float  # relative, of the energy: 0.05 is ± 5 %
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
