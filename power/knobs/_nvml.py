"""NVIDIA GPUs by their UUIDs, and NVML's errors as sentences: what the GPU knobs share."""

from __future__ import annotations

from typing import Any

from loadgen_harness.errors import BadInput, MissingDependency
from loadgen_harness.registry import PACKAGES
from power.knob import KnobFailed

AS_ROOT = "run the same command as root, such as `sudo -E lgh maxq …`; what it does is `sudo nvidia-smi {}`"


class Boards:
    """All GPUs of the machine."""

    def __init__(self, what: str, by_hand: str, nvml: Any = None) -> None:
        """Open NVML (or `nvml`, an object with the same calls); raises MissingDependency or BadInput."""
        self.nvml = nvml if nvml is not None else _library(what)
        self._what, self._by_hand = what, by_hand
        try:
            self.nvml.nvmlInit()
        except self.nvml.NVMLError as error:
            raise BadInput(f"{what} needs an NVIDIA GPU and its driver ({error}): leave it out.") from error
        handles = [self.ask("nvmlDeviceGetHandleByIndex", index) for index in range(self.ask("nvmlDeviceGetCount"))]
        self.handles = {_text(self.ask("nvmlDeviceGetUUID", handle)): handle for handle in handles}
        if not handles:
            self.close()
            raise BadInput(f"{what} needs an NVIDIA GPU, and there is none: leave it out.")

    def ask(self, call: str, *arguments: Any) -> Any:
        """One call of NVML; raises KnobFailed, where permission is missing with what to run."""
        try:
            return getattr(self.nvml, call)(*arguments)
        except self.nvml.NVMLError as error:
            if getattr(error, "value", None) == self.nvml.NVML_ERROR_NO_PERMISSION:
                raise KnobFailed(f"{self._what} may be set by root only: {AS_ROOT.format(self._by_hand)}.") from error
            raise KnobFailed(
                f"{self._what}: {call} failed ({error}): this GPU or its driver does not offer it."
            ) from error

    def set(self, device: str, call: str, *arguments: Any) -> None:
        """One call for the GPU with UUID `device`; raises KnobFailed."""
        if device not in self.handles:
            raise KnobFailed(f"{self._what}: GPU {device} is gone: look at nvidia-smi.")
        self.ask(call, self.handles[device], *arguments)

    def close(self) -> None:
        """Shut NVML down."""
        self.ask("nvmlShutdown")


def _library(what: str) -> Any:
    try:
        import pynvml
    except ModuleNotFoundError as error:
        raise MissingDependency(what, PACKAGES["pynvml"]) from error
    return pynvml


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
