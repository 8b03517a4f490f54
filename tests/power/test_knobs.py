"""Each knob on a machine made of small files, and on a stand-in for NVML with the library's own names."""

from __future__ import annotations

import os
import runpy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, UnknownName
from power import knob
from power.knob import KNOBS, KnobFailed, grid, spread
from power.knobs.cpu_frequency import Frequency
from power.knobs.cpu_governor import Governor
from power.knobs.cpu_power import PackageLimit
from power.knobs.gpu_clock import GpuClock
from power.knobs.gpu_power import GpuPower
from tests.power.machines import STAND_INS, Machine, install


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return install(tmp_path, monkeypatch)


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's right to write everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def nvml(machine: Machine) -> Any:
    return SimpleNamespace(**runpy.run_path(str(STAND_INS / "pynvml.py")))


def test_the_registry_is_the_folder() -> None:
    assert registry.names(KNOBS) == ["cpu_frequency", "cpu_governor", "cpu_power", "gpu_clock", "gpu_power"]
    with pytest.raises(UnknownName, match="did you mean 'gpu_power'"):
        knob.load("gpu_powr")


def test_governor(machine: Machine) -> None:
    governor = Governor()
    assert governor.steps() == ("conservative", "ondemand", "powersave", "performance", "schedutil")
    before = governor.read()
    knob.apply(governor, governor.raw("powersave"))
    assert set(governor.read().values()) == {"powersave"}
    assert (machine.cpufreq / "policy1/scaling_governor").read_text() == "powersave\n"
    knob.apply(governor, before)
    with pytest.raises(UnknownName, match="did you mean 'powersave'"):
        governor.raw("powersafe")


def test_frequency_in_even_steps(machine: Machine) -> None:
    frequency = Frequency()
    steps = [int(step) for step in frequency.steps()]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1], len(steps)) == (800, 3600, 9)
    knob.apply(frequency, frequency.raw("2000"))
    assert frequency.read() == {f"policy{n}/scaling_max_freq": "2000000" for n in range(2)}
    for value in ("700", "4000", "fast", "nan", "-1"):
        with pytest.raises(BadInput):
            frequency.raw(value)


def test_frequency_of_unlike_cores_and_listed_clocks(machine: Machine) -> None:
    (machine.cpufreq / "policy1/cpuinfo_max_freq").write_text("2400000\n")
    (machine.cpufreq / "policy1/scaling_min_freq").write_text("1000000\n")
    for number, listed in ((0, "3600000 2400000 800000"), (1, "2400000 1000000")):
        (machine.cpufreq / f"policy{number}/scaling_available_frequencies").write_text(listed)
    frequency = Frequency()
    assert frequency.steps() == ("800", "1000", "2400", "3600")
    assert list(frequency.raw("3600").values()) == ["3600000", "2400000"]
    assert list(frequency.raw("800").values()) == ["800000", "1000000"]


def test_package_limit_is_switched_on_and_off_again(machine: Machine) -> None:
    package = PackageLimit()
    steps = package.steps()
    assert (steps[0], steps[-1]) == ("50", "125")
    before = machine.settings()
    originals = package.read()
    knob.apply(package, package.raw("60.5"))
    zone = machine.powercap / "intel-rapl:1"
    assert (zone / "constraint_0_power_limit_uw").read_text() == "60500000\n"
    assert (zone / "constraint_1_power_limit_uw").read_text() == "150000000\n"
    assert (zone / "enabled").read_text() == "1\n"
    knob.apply(package, originals)
    assert machine.settings() == before
    with pytest.raises(BadInput, match="125 W"):
        package.raw("126")
    (machine.powercap / "intel-rapl:0/constraint_0_max_power_uw").write_text("0\n")
    assert package.steps()[-1] == "120"


def test_gpu_power(machine: Machine, nvml: Any) -> None:
    gpu = GpuPower(nvml)
    steps = gpu.steps()
    assert (steps[0], steps[-1]) == ("100", "350")
    assert gpu.read() == {"GPU-0": "300000", "GPU-1": "293000"}
    knob.apply(gpu, gpu.raw("150"))
    assert gpu.read() == {"GPU-0": "150000", "GPU-1": "150000"}
    with pytest.raises(BadInput, match="100 to 350 W"):
        gpu.raw("99")
    (machine.gpus / "denied").touch()
    with pytest.raises(KnobFailed, match=r"as root.*sudo nvidia-smi -pl WATTS"):
        gpu.put("GPU-0", "200000")
    with pytest.raises(KnobFailed, match="GPU-7 is gone"):
        gpu.put("GPU-7", "200000")
    (machine.gpus / "denied").unlink()
    with pytest.raises(KnobFailed, match="does not offer it"):
        gpu.put("GPU-0", "1")
    gpu.close()


def test_gpu_clock(machine: Machine, nvml: Any) -> None:
    clock = GpuClock(nvml)
    steps = [int(step) for step in clock.steps()]
    assert (steps[0], steps[-1], len(steps)) == (210, 2100, 9)
    before = machine.settings()
    originals = clock.read()
    knob.apply(clock, clock.raw("1200"))
    assert (machine.gpus / "GPU-1").read_text() == "293000 1200"
    knob.apply(clock, originals)
    assert machine.settings() == before
    with pytest.raises(BadInput, match="1200 and 1215"):
        clock.raw("1207")


def test_no_gpu_no_tree(machine: Machine, nvml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in machine.gpus.iterdir():
        path.unlink()
    with pytest.raises(BadInput, match="there is none"):
        GpuPower(nvml)
    monkeypatch.delenv("LGH_FAKE_NVML")
    with pytest.raises(BadInput, match="needs an NVIDIA GPU and its driver"):
        GpuClock(nvml)
    monkeypatch.setenv("LGH_SYSFS", str(machine.folder / "nowhere"))
    for make in (Governor, Frequency, PackageLimit):
        with pytest.raises(BadInput, match="it needs Linux on a bare"):
            make()


def test_a_device_that_does_not_take_its_setting(machine: Machine) -> None:
    """Firmware may hold a limit: writing succeeds and nothing changes."""
    package = PackageLimit()

    class Locked(PackageLimit):
        def put(self, device: str, raw: str) -> None: ...

    assert knob.different(package, package.read()) == ""
    with pytest.raises(KnobFailed, match="instead of 60000000: the firmware or another program holds it"):
        knob.apply(Locked(), package.raw("60"))
    (machine.powercap / "intel-rapl:1/constraint_0_power_limit_uw").write_text("120000125\n")  # an eighth of a watt
    assert knob.different(package, dict.fromkeys(package.read(), "120000000")) != ""
    assert knob.different(package, {"intel-rapl:1/constraint_0_power_limit_uw": "120000000"}) == ""
    assert "is gone" in knob.different(package, {"intel-rapl:9/enabled": "0"})


def test_only_known_files_are_written(machine: Machine) -> None:
    for device in ("../../../target", "policy9/scaling_governor", "/etc/passwd"):
        with pytest.raises(KnobFailed, match="no setting of this machine"):
            Governor().put(device, "x")


def test_without_permission_it_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as place:
        machine = install(Path(place), monkeypatch)
        for path in (machine.folder, *machine.folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o444)
        governor = Governor()
        with nobody(), pytest.raises(KnobFailed, match="root only: run the same command as root, such as `sudo -E lgh"):
            governor.put("policy0/scaling_governor", "powersave")
        assert set(governor.read().values()) == {"schedutil"}


def test_steps_keep_their_ends() -> None:
    assert spread(range(100)) == [0, 12, 25, 37, 50, 62, 74, 87, 99]
    assert spread([1, 2]) == [1, 2]
    assert grid(101, 118, 10) == [101, 110, 118]
    assert grid(100, 100, 10) == [100]
