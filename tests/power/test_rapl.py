"""RAPL against files laid out like powercap's and perf's, and perf_event_open itself with an event that VMs have."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from power.meter import MeterFailed
from power.meters._perf import KernelEvent, Perf
from power.meters._powercap import sources
from power.meters.rapl import RaplMeter
from power.meters.rapl_core import RaplCoreMeter
from power.meters.rapl_dram import RaplDramMeter
from power.meters.rapl_psys import RaplPsysMeter
from tests.power.trees import HandClock, nobody, write

RANGE_UJ = 262_143_328_850
SCALE = "2.3283064365386962890625e-10"


def zone(root: Path, folder: str, name: str, energy_uj: int) -> Path:
    """One zone of a powercap tree."""
    values = {"name": name, "max_energy_range_uj": RANGE_UJ, "energy_uj": energy_uj}
    write(root, {f"{folder}/{key}": value for key, value in values.items()})
    return root / folder / "energy_uj"


def turn(root: Path, folder: str, energy_uj: int) -> None:
    write(root, {f"{folder}/energy_uj": energy_uj})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two sockets with their inner zones, DRAM, psys and the MMIO twin."""
    (tmp_path / "intel-rapl").mkdir()
    zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 5)
    zone(tmp_path, "intel-rapl:0:1", "dram", 7_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 2_000_000)
    zone(tmp_path, "intel-rapl:1:0", "dram", 0)
    zone(tmp_path, "intel-rapl:2", "psys", 9)
    zone(tmp_path, "intel-rapl:3", "psys", 9)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    return tmp_path


@dataclass
class Event:
    """A counter of perf that a test turns."""

    count: int = 0
    open: bool = True

    def read(self) -> int:
        """The count."""
        return self.count

    def close(self) -> None:
        """Remembered."""
        self.open = False


@dataclass
class Kernel:
    """Stands for perf_event_open: remembers what was opened, or refuses with `code` from CPU `refused` on."""

    code: int = 0
    refused: int = 0
    events: dict[tuple[int, int, int], Event] = field(default_factory=dict)

    def __call__(self, kind: int, config: int, cpu: int) -> Event:
        """One event."""
        if self.code and cpu >= self.refused:
            raise OSError(self.code, os.strerror(self.code))
        return self.events.setdefault((kind, config, cpu), Event())


def pmu(root: Path, *, cpus: str = "0,28", unit: str = "Joules", scale: str = SCALE) -> Path:
    """A /sys with Intel's power PMU, two sockets, and AMD's power_core."""
    for name, kind, event, config in (("power", 22, "energy-pkg", 2), ("power_core", 23, "energy-core", 1)):
        base = f"bus/event_source/devices/{name}"
        files = {"type": kind, "cpumask": cpus, f"events/{event}": f"event=0x{config:02x}"}
        files |= {f"events/{event}.unit": unit, f"events/{event}.scale": scale}
        write(root, {f"{base}/{path}": text for path, text in files.items()})
    return write(root, {f"devices/system/cpu/cpu{n}/topology/physical_package_id": n // 28 for n in (0, 1, 28)})


def test_packages_are_summed_and_nothing_else(tree: Path) -> None:
    rapl = RaplMeter(tree)
    assert rapl.describe() == {"source": "RAPL through powercap", "zones": "package-0, package-1"}
    assert rapl.parts == ("cpu/0", "cpu/1")
    turn(tree, "intel-rapl:0", 4_000_000)
    turn(tree, "intel-rapl:0:0", 900_000_000)
    turn(tree, "intel-rapl:1", 2_500_000)
    assert rapl.joules() == pytest.approx(3.5)
    assert rapl.watts() > 0
    assert rapl.watts() == 0
    assert RaplMeter.available(tree) == ""
    rapl.close()


def test_dram_psys_and_cores_have_meters_of_their_own(tree: Path, tmp_path: Path) -> None:
    dram, psys = RaplDramMeter(tree), RaplPsysMeter(tree)
    core = RaplCoreMeter(tree, cpuinfo=write(tmp_path, {"cpuinfo": "vendor_id : GenuineIntel"}) / "cpuinfo")
    turn(tree, "intel-rapl:0:0", 500_005)
    turn(tree, "intel-rapl:0:1", 8_250_000)
    turn(tree, "intel-rapl:2", 2_000_009)
    turn(tree, "intel-rapl:3", 2_000_009)
    assert dram.joules() == pytest.approx(1.25)
    assert (dram.scope, dram.parts, dram.uncertainty) == ("memory", ("memory/0", "memory/1"), 0.2)
    assert psys.joules() == pytest.approx(2.0), "a second socket shows the same platform"
    assert (psys.scope, psys.parts) == ("platform", ("platform",))
    assert core.joules() == pytest.approx(0.5)
    assert (core.scope, core.parts) == ("core", ("cpu/0/core",))


def test_dies_of_one_package_are_one_part(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0-die-0", 0)
    zone(tmp_path, "intel-rapl:1", "package-0-die-1", 0)
    rapl = RaplMeter(tmp_path)
    assert rapl.parts == ("cpu/0",)
    assert rapl.resolution == pytest.approx(2 * 61e-6, rel=0.01)


def test_amds_core_zone_shows_one_core_and_is_left_alone(tree: Path, tmp_path: Path) -> None:
    cpuinfo = write(tmp_path, {"cpuinfo": "vendor_id : AuthenticAMD"}) / "cpuinfo"
    with pytest.raises(BadInput, match=r"Linux 6\.13"):
        RaplCoreMeter(tree, Perf(tmp_path / "none", Kernel()), cpuinfo)
    kernel = Kernel()
    core = RaplCoreMeter(tree, Perf(pmu(tmp_path / "sys", cpus="0-1"), kernel), cpuinfo)
    kernel.events[23, 1, 1].count = round(0.25 / float(SCALE))
    assert core.joules() == pytest.approx(0.25)
    assert core.parts == ("cpu/0/core",)


def test_wraps_are_counted_on(tmp_path: Path) -> None:
    clock, span_uj = HandClock(), 20_000_000_000
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    write(tmp_path, {"intel-rapl:0/max_energy_range_uj": span_uj})
    (source,) = sources(tmp_path, "package", clock=clock)
    for step in range(1, 11):
        clock.now += 2
        turn(tmp_path, "intel-rapl:0", 8_000_000_000 * step % span_uj)
        assert source.counter.joules() == pytest.approx(8_000 * step)


def test_a_pause_that_could_hide_a_wrap_is_refused(tmp_path: Path) -> None:
    clock = HandClock()
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    (source,) = sources(tmp_path, "package", clock=clock)
    clock.now += 50
    turn(tmp_path, "intel-rapl:0", 5_000_000)
    assert source.counter.joules() == pytest.approx(5)
    clock.now += 60
    with pytest.raises(MeterFailed, match="may have wrapped around more than once"):
        source.counter.joules()


def test_a_jump_is_refused(tmp_path: Path) -> None:
    clock = HandClock()
    zone(tmp_path, "intel-rapl:0", "package-0", 100_000_000_000)
    (source,) = sources(tmp_path, "package", clock=clock)
    clock.now += 0.1
    turn(tmp_path, "intel-rapl:0", 0)  # reset: read as a wrap it would be 162 kJ within 0.1 s
    with pytest.raises(MeterFailed, match="jumped from 100000000000 to 0"):
        source.counter.joules()


def test_the_mmio_view_serves_where_it_is_alone(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0)
    assert RaplMeter(tmp_path).describe()["zones"] == "package-0"


def closed_tree(root: Path) -> None:
    root.chmod(0o755)
    zone(root, "intel-rapl:0", "package-0", 1).chmod(0)


def test_permission_says_what_to_do() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        closed_tree(root)
        kernel = Kernel(errno.EACCES)
        sysfs = pmu(root / "sys")
        with nobody():
            without = RaplMeter.available(root, Perf(root / "none", kernel))
            refused = RaplMeter.available(root, Perf(sysfs, kernel))
            allowed = RaplMeter(root, Perf(sysfs, Kernel()))
    assert "root only" in without
    assert "sudo chmod a+r /sys/class/powercap/*/energy_uj" in without
    assert "perf_event_paranoid" not in without
    assert "chmod" in refused
    assert "sudo sysctl kernel.perf_event_paranoid=0" in refused
    assert allowed.describe()["source"] == "RAPL through perf"


def test_perf_counts_where_powercap_is_missing(tmp_path: Path) -> None:
    kernel = Kernel()
    rapl = RaplMeter(tmp_path / "none", Perf(pmu(tmp_path), kernel))
    assert set(kernel.events) == {(22, 2, 0), (22, 2, 28)}
    assert rapl.parts == ("cpu/0", "cpu/1")
    kernel.events[22, 2, 28].count = 2**32
    assert rapl.joules() == pytest.approx(1.0)
    assert rapl.describe()["zones"] == "energy-pkg of CPU 0, energy-pkg of CPU 28"
    rapl.close()
    assert not any(event.open for event in kernel.events.values())


@pytest.mark.parametrize(("code", "words"), [(errno.EACCES, "root alone"), (errno.ENOENT, "cannot count energy")])
def test_perf_refused_lets_go_of_what_was_open(tmp_path: Path, code: int, words: str) -> None:
    kernel = Kernel(code, refused=28)
    assert words in RaplMeter.available(tmp_path / "none", Perf(pmu(tmp_path), kernel))
    assert [event.open for event in kernel.events.values()] == [False]


@pytest.mark.parametrize("odd", [{"cpus": "all"}, {"unit": "Watts"}, {"scale": "nan"}, {"scale": "x"}])
def test_a_pmu_that_speaks_otherwise_is_refused(tmp_path: Path, odd: dict[str, str]) -> None:
    assert RaplMeter.available(tmp_path / "none", Perf(pmu(tmp_path, **odd), Kernel())).endswith("use another meter.")


def test_perf_event_open_counts_cpu_time_of_the_kernel() -> None:
    """RAPL's PMU exists on bare CPUs alone; the system call is tried with the clock of CPU 0."""
    software, cpu_clock = 1, 0
    try:
        event = KernelEvent(software, cpu_clock, 0)
    except OSError as error:
        pytest.skip(f"perf_event_open is not allowed here: {error}")
    before = event.read()
    time.sleep(0.05)
    assert 0.02e9 < event.read() - before < 5e9
    event.close()
    with pytest.raises(OSError, match=os.strerror(errno.ENOENT)):
        KernelEvent(2**31 - 1, 0, 0)


def test_without_counters(tmp_path: Path) -> None:
    perf = Perf(tmp_path / "none", Kernel())
    assert RaplMeter.available(tmp_path / "none", perf).startswith("meter rapl found no package energy counter")
    assert RaplDramMeter.available(tmp_path, perf).startswith("meter rapl_dram found no dram energy counter")
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    rapl = RaplMeter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    with pytest.raises(MeterFailed, match="cannot be read"):
        rapl.joules()
