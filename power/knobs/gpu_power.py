"""The power limit of NVIDIA GPUs (`nvidia-smi -pl`)."""

from __future__ import annotations

from typing import Any

from loadgen_harness.errors import BadInput
from power.knob import Raw, grid, number
from power.knobs._nvml import Boards

MILLI = 1000  # milliwatts in a watt
STEP_W = 10


class GpuPower:
    """One limit in W for every GPU of the machine."""

    title, unit, verifiable, note = "GPU power limit", "W", True, ""

    def __init__(self, nvml: Any = None) -> None:
        """Find the GPUs; raises BadInput where there are none."""
        self._boards = Boards(self.title, "-pl WATTS", nvml)

    def read(self) -> Raw:
        """The limit of every GPU in milliwatts."""
        ask = self._boards.ask
        return {uuid: str(ask("nvmlDeviceGetPowerManagementLimit", h)) for uuid, h in self._boards.handles.items()}

    def steps(self) -> tuple[str, ...]:
        """From the least to the most that all GPUs take."""
        low, high = self._span_mw()
        return tuple(str(watts) for watts in grid(low / MILLI, high / MILLI, STEP_W))

    def raw(self, value: str) -> Raw:
        """`value` W for every GPU, in milliwatts."""
        milliwatts = round(number(value, "a GPU power limit in W") * MILLI)
        low, high = self._span_mw()
        if not low <= milliwatts <= high:
            span = f"{low / MILLI:g} to {high / MILLI:g} W"
            raise BadInput(f"the GPUs take power limits of {span}, not {value}: choose one of those.")
        return dict.fromkeys(self._boards.handles, str(milliwatts))

    def put(self, device: str, raw: str) -> None:
        """Set one GPU."""
        self._boards.set(device, "nvmlDeviceSetPowerManagementLimit", int(raw))

    def close(self) -> None:
        """Shut NVML down."""
        self._boards.close()

    def _span_mw(self) -> tuple[int, int]:
        call = "nvmlDeviceGetPowerManagementLimitConstraints"
        spans = [self._boards.ask(call, handle) for handle in self._boards.handles.values()]
        return max(low for low, _ in spans), min(high for _, high in spans)


KNOB = GpuPower
