"""What this machine is, as far as it can be seen without asking: facts for run.json and the official system file."""

from __future__ import annotations

import functools
import os
import platform
import resource
import shutil
import time
from pathlib import Path

import psutil

from loadgen_harness.system_gpus import UNSEEN, rows

SMI_PERIOD_S = 2.0


@functools.cache
def describe() -> dict[str, str]:
    """The keys of the official system description that can be seen from here, and the kernel beside them."""
    return {**_processor(), **_memory(), **_storage(), **_accelerators(), **_software()}


def peak_bytes() -> int:
    """The most memory that this process held at once.

    Not getrusage's ru_maxrss where /proc tells: Linux carries that over from the process that started this one.
    """
    for line in _read("/proc/self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _processor() -> dict[str, str]:
    fields = _cpuinfo()
    sockets = len({value for key, value in fields if key == "physical id"}) or 1
    names = [value for key, value in fields if key == "model name"]
    caches = [value for key, value in fields if key == "cache size"]
    top = _read("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
    return {
        "host_processor_model_name": names[0] if names else platform.processor() or UNSEEN,
        "host_processors_per_node": str(sockets),
        "host_processor_core_count": str(os.cpu_count() or 1),
        "host_processor_frequency": f"{int(top) / 1e6:.2f} GHz" if top.isdigit() else "",
        "host_processor_caches": caches[0] if caches else "",
        "host_processor_interconnect": "",
        "scaling_governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    }


def _cpuinfo() -> list[tuple[str, str]]:
    lines = _read("/proc/cpuinfo").splitlines()
    return [(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]


def _memory() -> dict[str, str]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"host_memory_capacity": f"{pages / 2**30:.0f} GiB", "host_memory_configuration": UNSEEN}


def _storage() -> dict[str, str]:
    return {"host_storage_capacity": f"{shutil.disk_usage('/').total / 1e9:.0f} GB", "host_storage_type": UNSEEN}


def _software() -> dict[str, str]:
    release = dict(line.partition("=")[::2] for line in _read("/etc/os-release").splitlines())
    name = release.get("PRETTY_NAME", platform.system()).strip('"')
    return {"operating_system": name, "kernel": platform.release()}


def _accelerators() -> dict[str, str]:
    found = rows("gpu", "name,memory.total,clocks.max.sm")
    if not found:
        return {"accelerators_per_node": "0", "accelerator_model_name": UNSEEN, "accelerator_memory_capacity": UNSEEN}
    return {
        "accelerators_per_node": str(len(found)),
        "accelerator_model_name": found[0][0],
        "accelerator_memory_capacity": f"{int(found[0][1]) / 1024:.0f} GiB" if found[0][1].isdigit() else UNSEEN,
        "accelerator_frequency": f"{found[0][2]} MHz",
    }


class DeviceMemory:
    """Peak GPU memory of a process and its children as nvidia-smi sees it; None where there is no NVIDIA GPU."""

    def __init__(self, pid: int) -> None:
        """Watch process `pid`."""
        self._pid, self._next = pid, 0.0
        self.peak_bytes: int | None = None

    def sample(self) -> None:
        """Look, at most every SMI_PERIOD_S seconds."""
        if time.monotonic() < self._next or not shutil.which("nvidia-smi"):
            return
        self._next = time.monotonic() + SMI_PERIOD_S
        ours = _family(self._pid)
        used = [int(row[1]) for row in rows("compute-apps", "pid,used_memory") if row[0] in ours]
        if used:
            self.peak_bytes = max(self.peak_bytes or 0, sum(used) << 20)


def _family(pid: int) -> set[str]:
    """A process and all its descendants, as nvidia-smi writes them."""
    try:
        return {str(pid), *(str(child.pid) for child in psutil.Process(pid).children(recursive=True))}
    except psutil.Error:  # it has just ended
        return {str(pid)}


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
