"""AMD SMI: an object with its calls, and the real package over a C library with its symbols; no AMD GPU was asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from power.meter import MeterFailed
from power.meters.amdsmi import AmdsmiMeter
from tests.power.trees import HandClock

NO = "N/A"
ANSWERS = r"""
#include <stdint.h>
#include <string.h>
int amdsmi_init(uint64_t flags) { return 0; }
int amdsmi_shut_down(void) { return 0; }
int amdsmi_get_socket_handles(uint32_t *count, void **handles) {
    *count = 1;
    if (handles) handles[0] = (void *)1;
    return 0;
}
int amdsmi_get_processor_handles(void *socket, uint32_t *count, void **handles) {
    *count = 1;
    if (handles) handles[0] = (void *)2;
    return 0;
}
int amdsmi_get_gpu_device_bdf(void *handle, uint64_t *bdf) { *bdf = 0x0c00; return 0; }
int amdsmi_get_power_info(void *handle, uint8_t *info) {
    uint64_t none = 0xffff;
    uint32_t current = 640, average = 0xffff;
    memcpy(info, &none, 8); memcpy(info + 8, &current, 4); memcpy(info + 12, &average, 4);
    return 0;
}
int amdsmi_get_energy_count(void *handle, uint64_t *energy, float *resolution, uint64_t *stamp) {
    static uint64_t steps;
    *energy = steps += 1000000; *resolution = 15.259f; *stamp = 1;
    return 0;
}
int amdsmi_get_gpu_driver_info(void *handle, char *info) { return 0; }
int amdsmi_get_gpu_asic_info(void *handle, char *info) { strcpy(info, "AMD Instinct MI300X"); return 0; }
"""
CHILD = """
import json, sys
from power.meters.amdsmi import AmdsmiMeter
meter = AmdsmiMeter()
first, second = meter.joules(), meter.joules()
about = {"parts": meter.parts, "step": second - first, "watts": meter.watts(), "resolution": meter.resolution}
print(json.dumps(about | meter.describe()))
meter.close()
"""


class AmdSmiException(Exception):
    """What AMD SMI raises."""


class Smi:
    """Answers AMD SMI's calls for boards given as dictionaries; a missing figure raises as an unsupported one does."""

    AmdSmiException = AmdSmiException

    def __init__(self, *boards: dict[str, Any]) -> None:
        """Boards with `bdf`, `power`, `energy` and `held`."""
        self.boards, self.open = boards, 0

    def amdsmi_init(self) -> None:
        """Counts."""
        self.open += 1

    def amdsmi_shut_down(self) -> None:
        """Counts."""
        self.open -= 1

    def amdsmi_get_processor_handles(self) -> list[int]:
        """Indices."""
        return list(range(len(self.boards)))

    def amdsmi_get_gpu_device_bdf(self, handle: int) -> str:
        """Domain, bus, device and function."""
        return str(self.boards[handle]["bdf"])

    def amdsmi_get_power_info(self, handle: int) -> dict[str, Any]:
        """Watts by kind."""
        return {"current_socket_power": NO, "average_socket_power": NO} | dict(self._of(handle, "power"))

    def amdsmi_get_energy_count(self, handle: int) -> dict[str, Any]:
        """Steps of 15.259 µJ."""
        return {"energy_accumulator": self._of(handle, "energy"), "counter_resolution": 15.259, "timestamp": 0}

    def amdsmi_get_violation_status(self, handle: int) -> dict[str, Any]:
        """What is active."""
        return dict(self._of(handle, "held"))

    def amdsmi_get_gpu_metrics_info(self, handle: int) -> dict[str, Any]:
        """Of boards before MI300."""
        return {"throttle_status": self.boards[handle].get("throttled", NO)}

    def amdsmi_get_gpu_asic_info(self, handle: int) -> dict[str, Any]:
        """The name."""
        return {"market_name": f"AMD {handle}"}

    def amdsmi_get_gpu_driver_info(self, handle: int) -> dict[str, Any]:
        """The version."""
        return {"driver_version": "6.12"}

    def _of(self, handle: int, key: str) -> Any:
        if key not in self.boards[handle]:
            raise AmdSmiException("Error code:\n\t2 | AMDSMI_STATUS_NOT_SUPPORTED")
        return self.boards[handle][key]


def board(bus: int = 3, function: int = 0, **values: Any) -> dict[str, Any]:
    """One board, or partition, with current power and a counter."""
    return {"bdf": f"0000:0{bus}:00.{function}", "power": {"current_socket_power": 500}, "energy": 1000} | values


def test_counters_of_all_boards_are_summed() -> None:
    smi, clock = Smi(board(3), board(4)), HandClock()
    meter = AmdsmiMeter(smi, clock=clock)
    assert meter.counting
    assert meter.watts() == pytest.approx(1000)
    assert (meter.scope, meter.parts) == ("board", ("gpu/0000:03:00.0", "gpu/0000:04:00.0"))
    assert meter.resolution == pytest.approx(2 * 15.259e-6)
    smi.boards[0]["energy"] += 1_000_000
    assert meter.joules() == pytest.approx(15.259)
    assert meter.describe() == {
        "source": "AMD SMI energy accumulator",
        "gpus": "AMD 0, AMD 1",
        "readings": "current_socket_power",
        "driver": "6.12",
    }
    smi.boards[0]["energy"] = 0
    with pytest.raises(MeterFailed, match="fell"):
        meter.joules()
    meter.close()
    assert smi.open == 0


def test_partitions_of_one_board_count_once() -> None:
    meter = AmdsmiMeter(Smi(*(board(3, function) for function in range(8)), board(4)))
    assert meter.watts() == pytest.approx(1000)
    assert len(meter.parts) == 2


def test_a_second_die_that_tells_nothing_adds_nothing() -> None:
    average = {"average_socket_power": 300}
    meter = AmdsmiMeter(Smi(board(3, power=average), board(4, power={"average_socket_power": 0})))
    assert meter.watts() == pytest.approx(300)
    assert meter.averaging_s == 1.0


def test_power_is_integrated_without_counters_or_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    without = board(4)
    del without["energy"]
    meter = AmdsmiMeter(Smi(board(3), without))
    assert not meter.counting
    assert meter.resolution == 2.0
    assert meter.describe()["source"] == "AMD SMI power readings"
    monkeypatch.setenv("LGH_AMDSMI_COUNTER", "off")
    assert not AmdsmiMeter(Smi(board(3))).counting


def test_what_holds_a_board_back_is_asked_once_a_second() -> None:
    held = {"active_ppt_pwr": True, "active_hbm_thrm": False, "active_vr_thrm": NO}
    smi, clock = Smi(board(3, held=held), board(4, throttled=True)), HandClock()
    meter = AmdsmiMeter(smi, clock=clock)
    first = ("gpu/0000:03:00.0: PPT power violation (PVIOL)",)
    assert meter.conditions() == first
    smi.boards[0]["held"] = {}
    assert meter.conditions() == first
    clock.now += 1
    assert meter.conditions() == (*first, "gpu/0000:04:00.0: throttle status")
    clock.now += 1
    assert meter.conditions() == ("gpu/0000:04:00.0: throttle status",)


@pytest.mark.parametrize("watts", [NO, -1, 0xFFFFFFFF, float("nan"), None, True])
def test_a_reading_that_no_board_can_have(watts: Any) -> None:
    smi = Smi(board())
    meter = AmdsmiMeter(smi)
    smi.boards[0]["power"] = {"current_socket_power": watts}
    with pytest.raises(MeterFailed, match=r"tells .* W"):
        meter.watts()
    assert "does not tell its power" in AmdsmiMeter.available(smi)


def test_what_is_missing() -> None:
    class Driverless(Smi):
        def amdsmi_init(self) -> None:
            raise AmdSmiException("Error code:\n\t34 | AMDSMI_STATUS_DRIVER_NOT_LOADED")

    assert "(Error code: 34 | AMDSMI_STATUS_DRIVER_NOT_LOADED)" in AmdsmiMeter.available(Driverless())
    smi = Smi()
    assert "found no AMD GPU" in AmdsmiMeter.available(smi)
    assert smi.open == 0


def child(code: str, rocm: Path) -> subprocess.CompletedProcess[str]:
    """Run in a process whose amdsmi looks for its library below `rocm`."""
    root = Path(__file__).parents[2]
    environment = os.environ | {"ROCM_PATH": str(rocm), "ROCM_HOME": str(rocm), "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, check=False
    )


def package() -> Path:
    """The folder of the real package; skips where it is not installed."""
    found = util.find_spec("amdsmi")
    if found is None or found.origin is None:
        pytest.skip("the package amdsmi is not installed")
    return Path(found.origin).parent


def test_the_package_without_its_library_is_one_sentence(tmp_path: Path) -> None:
    package()
    done = child("from power.meters.amdsmi import AmdsmiMeter as M; print(M.available())", tmp_path)
    assert done.returncode == 0, done.stderr
    if "needs an AMD GPU" in done.stdout:
        pytest.skip("ROCm is installed here")
    assert done.stdout.startswith("meter amdsmi needs ROCm's libamd_smi.so of the same version")
    assert len(done.stdout.splitlines()) == 1


def test_the_real_package_over_a_library_with_its_symbols(tmp_path: Path) -> None:
    """The package binds every symbol when it is imported: those that the meter does not call are stubs."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    wrapper = (package() / "amdsmi_wrapper.py").read_text("utf-8")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in for libamd_smi with")
    names = set(re.findall(r"_libraries\['libamd_smi\.so'\]\.(\w+)", wrapper))
    stubs = [f"int {name}(void) {{ return 2; }}" for name in sorted(names) if f"int {name}(" not in ANSWERS]
    source = tmp_path / "smi.c"
    source.write_text(ANSWERS + "\n".join(stubs))
    (tmp_path / "lib").mkdir()
    library = tmp_path / "lib/libamd_smi.so"
    subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    done = child(CHILD, tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["step"] == pytest.approx(15.259, rel=1e-4)
    assert told["watts"] == 640
    assert told["resolution"] == pytest.approx(15.259e-6, rel=1e-4)
    assert told["source"] == "AMD SMI energy accumulator"
    assert told["readings"] == "current_socket_power"
    assert told["gpus"] == "AMD Instinct MI300X"
    assert told["parts"][0].startswith("gpu/0000:")
