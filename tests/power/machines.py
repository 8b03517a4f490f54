"""A machine with settings: cpufreq and powercap trees and two GPUs, all in one folder."""

from __future__ import annotations

import os
import sys
from importlib import util
from pathlib import Path

import pytest

STAND_INS = Path(__file__).parent / "stand_ins"
POLICY = {
    "cpuinfo_min_freq": "800000",
    "cpuinfo_max_freq": "3600000",
    "scaling_min_freq": "800000",
    "scaling_max_freq": "3600000",
    "scaling_governor": "schedutil",
    "scaling_available_governors": "conservative ondemand userspace powersave performance schedutil",
}
ZONE = {
    "name": "package-{}",
    "enabled": "0",
    "constraint_0_name": "long_term",
    "constraint_0_power_limit_uw": "120000000",
    "constraint_0_max_power_uw": "125000000",
    "constraint_1_name": "short_term",
    "constraint_1_power_limit_uw": "150000000",
}


class Machine:
    """Settings under `folder`, and the variables by which the suite finds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cpufreq = folder / "sys/devices/system/cpu/cpufreq"
        self.powercap = folder / "sys/class/powercap"
        self.gpus = folder / "nvml"
        self.state = folder / "state"
        for number in range(2):
            _write(self.cpufreq / f"policy{number}", POLICY)
            _write(self.powercap / f"intel-rapl:{number}", ZONE, number)
            _write(self.powercap / f"intel-rapl:{number}:0", {"name": "core"})
            _write(self.gpus, {f"GPU-{number}": f"{300_000 - number * 7_000} 0"})

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(STAND_INS), os.environ.get("PYTHONPATH", "")]))
        own = {"LGH_SYSFS": self.folder / "sys", "LGH_FAKE_NVML": self.gpus, "LGH_STATE": self.state}
        return {**{key: str(value) for key, value in own.items()}, "PYTHONPATH": path}

    def settings(self) -> dict[str, str]:
        """Everything that could have been changed; what a kill left of the stand-in's own writing is no setting."""
        found = [path for root in (self.folder / "sys", self.gpus) for path in sorted(root.rglob("*"))]
        files = [path for path in found if path.is_file() and not path.name.startswith("partial")]
        return {str(path.relative_to(self.folder)): path.read_text().strip() for path in files}


def _write(folder: Path, files: dict[str, str], number: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text.format(number) + "\n")


def install(folder: Path, patch: pytest.MonkeyPatch) -> Machine:
    """A Machine that this process and its children take for theirs."""
    machine = Machine(folder)
    for key, value in machine.environment.items():
        patch.setenv(key, value)
    spec = util.spec_from_file_location("pynvml", STAND_INS / "pynvml.py")
    assert spec and spec.loader
    patch.setitem(sys.modules, "pynvml", util.module_from_spec(spec))
    spec.loader.exec_module(sys.modules["pynvml"])
    return machine
