"""NVIDIA GPUs through NVML: the boards' energy counters where they have them, else their power readings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from loadgen_harness.errors import BadInput, MissingDependency, SuiteError
from loadgen_harness.registry import PACKAGES
from power.meter import MeterFailed, Scope
from power.meters._counter import Counter, Scale
from power.meters._trial import refusal

MILLI = 1e-3  # NVML counts in millijoules and milliwatts
LATEST_S = 0.1  # a new reading about so often
SPAN_S = 1.0  # the driver's own averaging
GA100 = (8, 0)  # A100, A30: the one part of its generation whose readings are not averaged
PART_TIME = 0.10  # ±, where a reading shows a quarter of the time (Yang et al., SC24, arXiv:2312.02741)
MOST_MW = 5_000_000

REASONS = {  # NVML's clock event reasons in nvidia-smi's words; bit 0, idle, holds nothing back
    0x2: "Applications Clocks Setting",
    0x4: "SW Power Cap",
    0x8: "HW Slowdown",
    0x10: "Sync Boost",
    0x20: "SW Thermal Slowdown",
    0x40: "HW Thermal Slowdown",
    0x80: "HW Power Brake Slowdown",
    0x100: "Display Clock Setting",
    0x200: "Board Limit",
    0x400: "Reliability",
}
IDLE = 0x1
# the call of newer drivers before the one that CUDA 14 removes
REASON_CALLS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
FIELDS = ("NVML_FI_DEV_POWER_AVERAGE", "NVML_FI_DEV_POWER_INSTANT")  # the first that a board answers
VALUES = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # the union's member for each value type


@dataclass(frozen=True)
class Way:
    """How a board's watts are asked for: a field's number, or None for nvmlDeviceGetPowerUsage."""

    field: int | None
    name: str
    averaging_s: float


class Board:
    """One GPU: how it tells its power, and its energy counter where it has one."""

    def __init__(self, nvml: Any, index: int) -> None:
        """Find out what it answers; raises BadInput for a GPU that does not tell its power."""
        self._nvml, self.index = nvml, index
        self._handle = asked(nvml, "nvmlDeviceGetHandleByIndex", index)
        self.part = f"gpu/{_text(self.ask('nvmlDeviceGetUUID'))}"
        self.capability = tuple(self._try("nvmlDeviceGetCudaComputeCapability") or ())
        self.way = self._way()
        self.counter = self._counter()
        self._reasons = next((call for call in REASON_CALLS if self._try(call) is not None), "")

    def ask(self, call: str, *arguments: Any) -> Any:
        """One call of NVML about this board; raises MeterFailed."""
        return asked(self._nvml, call, self._handle, *arguments)

    def milliwatts(self) -> int:
        """The power now; raises MeterFailed for a reading that no board can have."""
        value = self.ask("nvmlDeviceGetPowerUsage") if self.way.field is None else self._field(self.way.field)
        if not isinstance(value, int) or not 0 <= value <= MOST_MW:
            raise MeterFailed(f"meter nvml: GPU {self.index} tells {value} mW: look at it with nvidia-smi.")
        return value

    def reasons(self) -> list[str]:
        """Why its clocks are lower than they could be, in NVIDIA's words."""
        bits = int(self.ask(self._reasons)) & ~IDLE if self._reasons else 0
        known = [word for bit, word in REASONS.items() if bits & bit]
        unknown = bits & ~sum(REASONS)
        return known + ([f"reason 0x{unknown:x}"] if unknown else [])

    def remarks(self) -> list[str]:
        """What a reader of its figures should know."""
        found = []
        if (self._try("nvmlDeviceGetMigMode") or [0])[0]:
            found.append("MIG is on: watts and joules are the whole board's, all instances together")
        if self.counter is None:
            found.append("has no energy counter")
        if not self._reasons:
            found.append("does not tell why its clocks are held")
        return [f"GPU {self.index} {remark}" for remark in found]

    def _try(self, call: str) -> Any:
        """None where this board, its driver or this version of the package does not know the call."""
        try:
            return getattr(self._nvml, call)(self._handle)
        except (self._nvml.NVMLError, AttributeError):
            return None

    def _field(self, field: int) -> int | None:
        """One field's value; None where the board does not answer it."""
        (found,) = self.ask("nvmlDeviceGetFieldValues", [field])
        if found.nvmlReturn or found.valueType >= len(VALUES):
            return None
        return int(getattr(found.value, VALUES[found.valueType]))

    def _way(self) -> Way:
        """Averages before instants: integrated, they miss nothing between two samples."""
        whole_second = self.capability > GA100
        for name in FIELDS:
            field = getattr(self._nvml, name, None)
            try:
                answered = field is not None and bool(self._field(field))
            except (MeterFailed, AttributeError):
                answered = False
            if answered:
                averaging_s = SPAN_S if name.endswith("AVERAGE") else LATEST_S
                return Way(field, name, averaging_s)
        if self._try("nvmlDeviceGetPowerUsage") is None:
            raise BadInput(f"GPU {self.index} does not tell its power: use another meter.")
        return Way(None, "nvmlDeviceGetPowerUsage", SPAN_S if whole_second else LATEST_S)

    def _counter(self) -> Counter | None:
        """The energy since the driver was loaded, which Volta and later count."""
        if self._try("nvmlDeviceGetTotalEnergyConsumption") is None:
            return None
        read = partial(self.ask, "nvmlDeviceGetTotalEnergyConsumption")
        return Counter(f"of GPU {self.index}", read, Scale(MILLI))


class NvmlMeter:
    """Sums all GPUs of the machine, whatever CUDA_VISIBLE_DEVICES says: NVML does not heed it.

    ± 5 % is NVIDIA's figure for board power, and what Yang et al. (SC24) found of the gain on more than 70 boards; they
    also found that an A100 or H100 looks at its sensor a quarter of the time, so an instant reading gets ± 10 %.
    """

    # zeus asks NVML in the same way; its value lies in windows around PyTorch code, not needed here
    scope: Scope = "board"
    parts: tuple[str, ...] = ("gpu",)  # of this machine: gpu/GPU-<uuid> each
    uncertainty = 0.05
    resolution = MILLI
    estimated = False
    interval_s = 0.1
    averaging_s = SPAN_S
    counting = True

    def __init__(self, nvml: Any = None) -> None:
        """Open NVML (or `nvml`, an object with the same calls); raises MissingDependency or BadInput."""
        self._nvml = nvml if nvml is not None else _library()
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            raise BadInput(f"meter nvml needs an NVIDIA GPU and its driver ({error}): use another meter.") from error
        try:
            count = int(asked(self._nvml, "nvmlDeviceGetCount"))
            if not count:
                raise BadInput("meter nvml found no NVIDIA GPU: use another meter.")
            self._boards = [Board(self._nvml, index) for index in range(count)]
        except SuiteError:
            self.close()
            raise
        self._state()

    def _state(self) -> None:
        """What the boards make of the contract; half a sum of counters would be no sum."""
        ways = [board.way for board in self._boards]
        self.parts = tuple(board.part for board in self._boards)
        self.counting = all(board.counter for board in self._boards)
        self.resolution = MILLI * len(self._boards)
        self.averaging_s = max(way.averaging_s for way in ways)
        instant = any(board.way.averaging_s < SPAN_S and board.capability >= GA100 for board in self._boards)
        self.uncertainty = PART_TIME if instant and not self.counting else 0.05

    @classmethod
    def available(cls, nvml: Any = None) -> str:
        """Empty where every GPU tells its power, else what is missing."""
        return refusal(lambda: cls(nvml))

    def watts(self) -> float:
        """Power of all boards together."""
        return sum(board.milliwatts() for board in self._boards) * MILLI

    def joules(self) -> float:
        """Energy of all boards since the meter was opened; only where `counting`.

        A counter that falls (a GPU that was reset) or jumps raises MeterFailed.
        """
        return sum(board.counter.joules() for board in self._boards if board.counter)

    def conditions(self) -> tuple[str, ...]:
        """Why boards run slower than they could, such as `gpu/GPU-…: SW Power Cap`; idling is no reason."""
        return tuple(f"{board.part}: {reason}" for board in self._boards for reason in board.reasons())

    def describe(self) -> dict[str, str]:
        """Boards, driver, whether energy was counted or integrated, and which reading the watts are."""
        names = [_text(board.ask("nvmlDeviceGetName")) for board in self._boards]
        readings = sorted({f"{board.way.name}, a mean over {board.way.averaging_s:g} s" for board in self._boards})
        remarks = [remark for board in self._boards for remark in board.remarks()]
        about = {
            "source": "NVML total energy counter" if self.counting else "NVML power readings",
            "gpus": ", ".join(names),
            "readings": "; ".join(readings),
            "driver": _text(asked(self._nvml, "nvmlSystemGetDriverVersion")),
        }
        return about | ({"remarks": "; ".join(remarks)} if remarks else {})

    def close(self) -> None:
        """Shut NVML down."""
        asked(self._nvml, "nvmlShutdown")


def asked(nvml: Any, call: str, *arguments: Any) -> Any:
    """One call of NVML; raises MeterFailed."""
    try:
        return getattr(nvml, call)(*arguments)
    except nvml.NVMLError as error:
        raise MeterFailed(f"meter nvml: {call} failed ({error}): look at the driver with nvidia-smi.") from error


def _library() -> Any:
    try:
        import pynvml
    except ModuleNotFoundError as error:
        raise MissingDependency("meter nvml", PACKAGES["pynvml"]) from error
    return pynvml


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


METER = NvmlMeter
