"""Stands for nvidia-ml-py: GPUs whose limits and clocks are small files in the folder LGH_FAKE_NVML.

A file `GPU-<n>` holds the limit in milliwatts and the locked clock (0: unlocked). The folder may hold `denied`.
"""

from __future__ import annotations

import os
from pathlib import Path

NVML_ERROR_INVALID_ARGUMENT, NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NO_PERMISSION = 2, 3, 4
LIMITS_MW = [100_000, 350_000]
MEMORY_MHZ = [5001, 9501]
CLOCKS_MHZ = list(range(2100, 195, -15))


class NVMLError(Exception):
    """What NVML raises."""

    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


def _folder() -> Path:
    return Path(os.environ["LGH_FAKE_NVML"])


def _read(handle: int) -> tuple[int, int]:
    limit, clock = (_folder() / f"GPU-{handle}").read_text().split()
    return int(limit), int(clock)


def _write(handle: int, limit: int, clock: int) -> None:
    if (_folder() / "denied").exists():
        raise NVMLError(NVML_ERROR_NO_PERMISSION)
    partial = _folder() / f"partial{os.getpid()}"
    partial.write_text(f"{limit} {clock}")
    partial.replace(_folder() / f"GPU-{handle}")


def nvmlInit() -> None:
    if "LGH_FAKE_NVML" not in os.environ:
        raise NVMLError(NVML_ERROR_NOT_SUPPORTED)


def nvmlShutdown() -> None: ...


def nvmlDeviceGetCount() -> int:
    return len(list(_folder().glob("GPU-*")))


def nvmlDeviceGetHandleByIndex(index: int) -> int:
    return int(sorted(_folder().glob("GPU-*"))[index].name.removeprefix("GPU-"))


def nvmlDeviceGetUUID(handle: int) -> str:
    return f"GPU-{handle}"


def nvmlDeviceGetPowerManagementLimitConstraints(handle: int) -> list[int]:
    return LIMITS_MW


def nvmlDeviceGetPowerManagementLimit(handle: int) -> int:
    return _read(handle)[0]


def nvmlDeviceSetPowerManagementLimit(handle: int, limit: int) -> None:
    if not LIMITS_MW[0] <= limit <= LIMITS_MW[1]:
        raise NVMLError(NVML_ERROR_INVALID_ARGUMENT)
    _write(handle, limit, _read(handle)[1])


def nvmlDeviceGetSupportedMemoryClocks(handle: int) -> list[int]:
    return MEMORY_MHZ


def nvmlDeviceGetSupportedGraphicsClocks(handle: int, memory: int) -> list[int]:
    return CLOCKS_MHZ if memory == MEMORY_MHZ[-1] else CLOCKS_MHZ[-20:]


def nvmlDeviceSetGpuLockedClocks(handle: int, low: int, high: int) -> None:
    if low != high:
        raise NVMLError(NVML_ERROR_INVALID_ARGUMENT)
    _write(handle, _read(handle)[0], high)


def nvmlDeviceResetGpuLockedClocks(handle: int) -> None:
    _write(handle, _read(handle)[0], 0)
