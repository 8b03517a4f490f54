"""NVIDIA GPUs through NVML: the boards' energy counters where they have them, else their power readings."""

from __future__ import annotations

from typing import Any

from loadgen_harness.errors import BadInput, MissingDependency, SuiteError
from loadgen_harness.registry import PACKAGES
from power.meter import MeterFailed, Scope


class NvmlMeter:
    """Sums all GPUs of the machine, whatever CUDA_VISIBLE_DEVICES says: NVML does not heed it.

    NVIDIA states ± 5 % for board power; on Ampere and later a power reading is the mean over the last second.
    """

    scope: Scope = "board"
    uncertainty = 0.05
    estimated = False
    interval_s = 0.1
    averaging_s = 1.0

    def __init__(self, nvml: Any = None) -> None:
        """Open NVML (or `nvml`, an object with the same calls); raises MissingDependency or BadInput."""
        self._nvml = nvml if nvml is not None else _library()
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            raise BadInput(f"meter nvml needs an NVIDIA GPU and its driver ({error}): use another meter.") from error
        try:
            self._handles = self._boards()
            self.counting = self._counts()
            self._start_mj = self._energies_mj() if self.counting else []
        except SuiteError:
            self.close()
            raise

    @classmethod
    def available(cls, nvml: Any = None) -> str:
        """Empty where every GPU tells its power, else what is missing."""
        try:
            cls(nvml).close()
        except SuiteError as error:
            return str(error)
        return ""

    def watts(self) -> float:
        """Power of all boards together."""
        readings_mw = [int(self._ask("nvmlDeviceGetPowerUsage", handle)) for handle in self._handles]
        return sum(readings_mw) / 1e3

    def joules(self) -> float:
        """Energy of all boards since the meter was opened; only where `counting`.

        A counter that falls (a GPU that was reset) raises MeterFailed.
        """
        now = self._energies_mj()
        if any(value < start for value, start in zip(now, self._start_mj, strict=True)):
            raise MeterFailed("meter nvml: an energy counter fell, so a GPU was reset during the run: repeat the run.")
        return sum(value - start for value, start in zip(now, self._start_mj, strict=True)) / 1e3

    def describe(self) -> dict[str, str]:
        """Boards, driver and whether energy was counted or integrated from power."""
        names = [_text(self._ask("nvmlDeviceGetName", handle)) for handle in self._handles]
        return {
            "source": "NVML total energy counter" if self.counting else "NVML power readings",
            "gpus": ", ".join(names),
            "driver": _text(self._ask("nvmlSystemGetDriverVersion")),
        }

    def close(self) -> None:
        """Shut NVML down."""
        self._ask("nvmlShutdown")

    def _boards(self) -> list[Any]:
        count = self._ask("nvmlDeviceGetCount")
        if not count:
            raise BadInput("meter nvml found no NVIDIA GPU: use another meter.")
        handles = [self._ask("nvmlDeviceGetHandleByIndex", index) for index in range(count)]
        for index, handle in enumerate(handles):
            try:
                self._nvml.nvmlDeviceGetPowerUsage(handle)
            except self._nvml.NVMLError as error:
                raise BadInput(f"GPU {index} does not tell its power ({error}): use another meter.") from error
        return handles

    def _counts(self) -> bool:
        """Whether every board has an energy counter (Volta and later): half a sum would be no sum."""
        try:
            for handle in self._handles:
                self._nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        except self._nvml.NVMLError:
            return False
        return True

    def _energies_mj(self) -> list[int]:
        return [self._ask("nvmlDeviceGetTotalEnergyConsumption", handle) for handle in self._handles]

    def _ask(self, call: str, *arguments: Any) -> Any:
        try:
            return getattr(self._nvml, call)(*arguments)
        except self._nvml.NVMLError as error:
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
