"""Each meter against a small real stand-in of its source: a powercap tree, an NVML library, a CPU."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, UnknownName
from power import meter
from power.meter import MeterFailed
from power.meters.estimate import EstimateMeter
from power.meters.nvml import NvmlMeter
from power.meters.rapl import RaplMeter
from power.meters.rapl_dram import RaplDramMeter

RANGE_UJ = 262_143_328_850


def zone(root: Path, folder: str, name: str, energy_uj: int) -> Path:
    """One zone of a powercap tree."""
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    return path / "energy_uj"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two sockets with their inner zones, a DRAM, psys and the MMIO twin."""
    (tmp_path / "intel-rapl").mkdir()
    zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 5)
    zone(tmp_path, "intel-rapl:0:1", "dram", 7_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 2_000_000)
    zone(tmp_path, "intel-rapl:2", "psys", 9)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    return tmp_path


def turn(root: Path, folder: str, energy_uj: int) -> None:
    (root / folder / "energy_uj").write_text(f"{energy_uj}\n")


def test_rapl_sums_packages_only(tree: Path) -> None:
    rapl = RaplMeter(tree)
    assert rapl.describe()["zones"] == "package-0, package-1"
    turn(tree, "intel-rapl:0", 4_000_000)
    turn(tree, "intel-rapl:0:0", 900_000_000)
    turn(tree, "intel-rapl:1", 2_500_000)
    assert rapl.joules() == pytest.approx(3.5)
    assert rapl.watts() > 0
    assert rapl.watts() == 0
    assert RaplMeter.available(tree) == ""


def test_rapl_dram_stands_beside(tree: Path) -> None:
    dram = RaplDramMeter(tree)
    turn(tree, "intel-rapl:0:1", 8_250_000)
    assert dram.joules() == pytest.approx(1.25)
    assert (dram.scope, dram.describe()["zones"]) == ("memory", "dram")


def test_rapl_counts_on_through_wraps(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 1_000_000)
    rapl = RaplMeter(tmp_path)
    for lap in (1, 2):
        turn(tmp_path, "intel-rapl:0", 3_000_000)
        assert rapl.joules() == pytest.approx(4 * lap + (lap - 1) * (RANGE_UJ / 1e6 - 4))
        turn(tmp_path, "intel-rapl:0", RANGE_UJ - 1_000_000)
        assert rapl.joules() == pytest.approx(lap * RANGE_UJ / 1e6)


def test_rapl_takes_the_mmio_view_where_it_is_alone(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0)
    assert RaplMeter(tmp_path).describe()["zones"] == "package-0"


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's right to read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_rapl_says_how_to_get_permission() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        zone(root, "intel-rapl:0", "package-0", 1).chmod(0)
        with nobody():
            reason = RaplMeter.available(root)
    assert "root only" in reason
    assert "sudo chmod a+r /sys/class/powercap/*/energy_uj" in reason


def test_rapl_without_counters(tmp_path: Path) -> None:
    assert RaplMeter.available(tmp_path / "none").startswith("meter rapl found no package energy counter")
    assert RaplDramMeter.available(tmp_path).startswith("meter rapl_dram found no dram energy counter")
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    rapl = RaplMeter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    with pytest.raises(MeterFailed, match="cannot be read"):
        rapl.joules()


class NVMLError(Exception):
    """What NVML raises."""


class Nvml:
    """Answers NVML's calls for boards given as (milliwatts, millijoules or None)."""

    NVMLError = NVMLError

    def __init__(self, boards: list[tuple[int, int | None]], driver: bool = True) -> None:
        self.boards, self.driver, self.open = boards, driver, 0

    def nvmlInit(self) -> None:
        if not self.driver:
            raise NVMLError("NVML Shared Library Not Found")
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"580.1"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.boards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:
        return f"GPU {handle}"

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        if self.boards[handle][0] < 0:
            raise NVMLError("Not Supported")
        return self.boards[handle][0]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        energy = self.boards[handle][1]
        if energy is None:
            raise NVMLError("Not Supported")
        return energy


def test_nvml_sums_counters_of_all_boards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    library = Nvml([(60_000, 5_000), (80_500, 900)])
    nvml = NvmlMeter(library)
    assert nvml.counting
    assert nvml.watts() == pytest.approx(140.5)
    library.boards = [(60_000, 6_000), (80_500, 1_400)]
    assert nvml.joules() == pytest.approx(1.5)
    assert nvml.describe() == {"source": "NVML total energy counter", "gpus": "GPU 0, GPU 1", "driver": "580.1"}
    library.boards[0] = (60_000, 10)
    with pytest.raises(MeterFailed, match="counter fell"):
        nvml.joules()
    nvml.close()
    assert library.open == 0


def test_nvml_without_a_counter_on_every_board_does_not_count() -> None:
    nvml = NvmlMeter(Nvml([(60_000, 5_000), (80_000, None)]))
    assert not nvml.counting
    assert nvml.describe()["source"] == "NVML power readings"


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        (Nvml([], driver=False), "needs an NVIDIA GPU and its driver"),
        (Nvml([]), "found no NVIDIA GPU"),
        (Nvml([(-1, 1)]), "GPU 0 does not tell its power"),
    ],
)
def test_nvml_says_what_is_missing(library: Nvml, reason: str) -> None:
    assert reason in NvmlMeter.available(library)
    assert library.open == 0


def test_nvml_failing_on_the_way_is_a_failed_meter() -> None:
    library = Nvml([(60_000, 5_000)])
    nvml = NvmlMeter(library)
    library.boards = [(-1, None)]
    with pytest.raises(MeterFailed, match="nvmlDeviceGetPowerUsage failed"):
        nvml.watts()


def test_estimate_stays_between_idle_and_tdp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGH_TDP_W", "100")
    estimate = EstimateMeter()
    assert estimate.estimated
    assert estimate.uncertainty == 0.5
    assert all(30 <= estimate.watts() <= 100 for _ in range(3))
    assert estimate.describe()["tdp"] == "100 W (LGH_TDP_W)"
    monkeypatch.delenv("LGH_TDP_W")
    assert EstimateMeter().tdp_w % 65 == 0


@pytest.mark.parametrize("text", ["many", "-5", "nan", "0", "inf"])
def test_estimate_refuses_an_odd_tdp(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LGH_TDP_W", text)
    assert "must be the CPUs' TDP in watts" in EstimateMeter.available()


def test_meters_keep_the_contract() -> None:
    names = registry.names(registry.METERS)
    assert {"estimate", "nvml", "rapl", "rapl_dram"} <= set(names)
    for name in names:
        each = registry.load(registry.METERS, name)
        assert each.scope in ("board", "package", "memory", "node", "wall")
        assert 0 < each.uncertainty < 1
        assert each.interval_s > 0
        assert isinstance(each.available(), str)
    with pytest.raises(UnknownName, match="did you mean 'nvml'"):
        meter.load("nvlm")
    with pytest.raises(BadInput, match="TDP"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("LGH_TDP_W", "x")
        meter.load("estimate")
