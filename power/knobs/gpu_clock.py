"""The graphics clock of NVIDIA GPUs, locked (`nvidia-smi -lgc`, Volta and later)."""

from __future__ import annotations

from typing import Any

from loadgen_harness.errors import BadInput
from power.knob import Raw, number, spread
from power.knobs._nvml import Boards

UNLOCKED = "unlocked"


class GpuClock:
    """One clock in MHz for every GPU of the machine; NVML tells no lock, so the way back is the unlocked clock."""

    title, unit, verifiable = "GPU clock", "MHz", False
    note = "NVML does not tell a lock: clocks are unlocked afterwards, even if you had locked them before."

    def __init__(self, nvml: Any = None) -> None:
        """Find the GPUs; raises BadInput where there are none."""
        self._boards = Boards(self.title, "-lgc MHZ", nvml)

    def read(self) -> Raw:
        """`unlocked` for every GPU, whatever it is."""
        return dict.fromkeys(self._boards.handles, UNLOCKED)

    def steps(self) -> tuple[str, ...]:
        """Clocks that all GPUs offer at their fastest memory clock."""
        return tuple(str(mhz) for mhz in spread(self._offered()))

    def raw(self, value: str) -> Raw:
        """`value` MHz for every GPU."""
        mhz, offered = number(value, "a GPU clock in MHz"), self._offered()
        if mhz not in offered:
            near = sorted(sorted(offered, key=lambda each: abs(each - mhz))[:2])
            raise BadInput(f"the GPUs offer no clock of {value} MHz: the nearest are {' and '.join(map(str, near))}.")
        return dict.fromkeys(self._boards.handles, str(round(mhz)))

    def put(self, device: str, raw: str) -> None:
        """Lock or unlock one GPU's clock."""
        if raw == UNLOCKED:
            self._boards.set(device, "nvmlDeviceResetGpuLockedClocks")
        else:
            self._boards.set(device, "nvmlDeviceSetGpuLockedClocks", int(raw), int(raw))

    def close(self) -> None:
        """Shut NVML down."""
        self._boards.close()

    def _offered(self) -> list[int]:
        found: list[set[int]] = []
        for handle in self._boards.handles.values():
            memory = max(self._boards.ask("nvmlDeviceGetSupportedMemoryClocks", handle))
            found.append(set(self._boards.ask("nvmlDeviceGetSupportedGraphicsClocks", handle, memory)))
        common = sorted(set.intersection(*found))
        if not common:
            raise BadInput("the GPUs offer no clock in common: leave out --clocks.")
        return common


KNOB = GpuClock
