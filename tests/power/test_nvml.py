"""NVML: the real pynvml over a small C library with the driver's symbols, compiled here; no GPU has been asked."""

from __future__ import annotations

import csv
import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from power.meter import MeterFailed
from power.meters import nvml
from power.meters.nvml import NvmlMeter

SOURCE = Path(__file__).with_name("nvml.c")
NO_COUNTER = 2**64 - 1
NOTHING = {"average": 0, "instant": 0, "millijoules": NO_COUNTER, "reasons": 0, "mig": 0, "major": 9, "minor": 0}
RECORD = """
import ctypes, sys, threading, time
sys.path.insert(0, {root!r})
from tests.power.test_nvml import Driver
driver = Driver(ctypes.CDLL("libnvidia-ml.so.1"))
driver.boards(dict(milliwatts=200_000, average=200_000, millijoules=0))
begin = time.monotonic()
def run():
    while True:
        driver.board(0, milliwatts=200_000, average=200_000, millijoules=int(2e5 * (time.monotonic() - begin)))
        time.sleep(0.001)
threading.Thread(target=run, daemon=True).start()
from power import sampler
sys.exit(sampler.main([{folder!r}, "nvml"]))
"""


class _Board(ctypes.Structure):
    _fields_ = [
        ("milliwatts", ctypes.c_uint),
        ("average", ctypes.c_uint),
        ("instant", ctypes.c_uint),
        ("millijoules", ctypes.c_ulonglong),
        ("reasons", ctypes.c_ulonglong),
        ("mig", ctypes.c_uint),
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
    ]


class Driver:
    """Sets the compiled library's boards."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Of the library that pynvml loaded too."""
        self.library = library

    def boards(self, *boards: dict[str, int]) -> None:
        """All of them."""
        self.library.fake_count(len(boards))
        for index, board in enumerate(boards):
            self.board(index, **board)

    def board(self, index: int, **values: int) -> None:
        """One; what is not named is not supported."""
        self.library.fake_board(index, ctypes.byref(_Board(**(NOTHING | values))))

    @property
    def open(self) -> int:
        """How often it was opened and not closed."""
        return int(self.library.fake_open())


def build(folder: Path, *flags: str) -> Path:
    """Compile the library; skips without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in for libnvidia-ml with")
    file = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", *flags, "-o", str(file), str(SOURCE)], check=True)
    return file


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library of a driver that is up to date."""
    return build(tmp_path_factory.mktemp("nvml"))


def loaded(file: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The library in pynvml's hands, for one test."""
    pynvml = pytest.importorskip("pynvml")
    library = ctypes.CDLL(str(file))
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return Driver(library)


@pytest.fixture
def driver(built: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """Opened and closed equally often when the test is over."""
    driver = loaded(built, monkeypatch)
    yield driver
    assert driver.open == 0


def test_counters_of_all_boards_are_summed(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    driver.boards({"average": 60_000, "millijoules": 5_000}, {"average": 80_500, "millijoules": 900})
    meter = NvmlMeter()
    assert meter.counting
    assert meter.watts() == pytest.approx(140.5)
    assert (meter.scope, meter.parts) == ("board", ("gpu/GPU-00000000", "gpu/GPU-00000001"))
    assert (meter.averaging_s, meter.uncertainty, meter.resolution) == (1.0, 0.05, pytest.approx(2e-3))
    driver.boards({"average": 60_000, "millijoules": 6_000}, {"average": 80_500, "millijoules": 1_400})
    assert meter.joules() == pytest.approx(1.5)
    assert meter.describe() == {
        "source": "NVML total energy counter",
        "gpus": "Fake GPU 0, Fake GPU 1",
        "readings": "NVML_FI_DEV_POWER_AVERAGE, a mean over 1 s",
        "driver": "580.65.06",
    }
    meter.close()


@pytest.mark.parametrize(("after", "words"), [(10, "fell"), (10**9, "jumped")])
def test_a_counter_that_cannot_be_right(driver: Driver, after: int, words: str) -> None:
    driver.boards({"average": 60_000, "millijoules": 5_000})
    meter = NvmlMeter()
    driver.board(0, average=60_000, millijoules=after)
    with pytest.raises(MeterFailed, match=words):
        meter.joules()
    meter.close()


def test_one_board_without_a_counter_makes_all_be_integrated(driver: Driver) -> None:
    driver.boards({"average": 60_000, "millijoules": 5_000}, {"average": 40_000})
    meter = NvmlMeter()
    assert not meter.counting
    assert meter.describe()["source"] == "NVML power readings"
    assert meter.describe()["remarks"] == "GPU 1 has no energy counter"
    assert meter.watts() == pytest.approx(100)
    meter.close()


@pytest.mark.parametrize(
    ("board", "way", "averaging_s", "uncertainty"),
    [
        ({"average": 1000, "instant": 900, "milliwatts": 800}, "NVML_FI_DEV_POWER_AVERAGE", 1.0, 0.05),
        ({"instant": 900, "milliwatts": 800, "major": 8}, "NVML_FI_DEV_POWER_INSTANT", 0.1, 0.10),
        ({"milliwatts": 800, "major": 8, "minor": 6}, "nvmlDeviceGetPowerUsage", 1.0, 0.05),
        ({"milliwatts": 800, "major": 8, "minor": 0}, "nvmlDeviceGetPowerUsage", 0.1, 0.10),
        ({"milliwatts": 800, "major": 7, "minor": 5}, "nvmlDeviceGetPowerUsage", 0.1, 0.05),
    ],
)
def test_which_reading_is_used(
    driver: Driver, board: dict[str, int], way: str, averaging_s: float, uncertainty: float
) -> None:
    driver.boards(board)
    meter = NvmlMeter()
    assert meter.describe()["readings"] == f"{way}, a mean over {averaging_s:g} s"
    assert (meter.averaging_s, meter.uncertainty) == (averaging_s, uncertainty)
    assert meter.watts() == pytest.approx(next(iter(board.values())) / 1e3)
    meter.close()


def test_reasons_in_the_vendors_words(driver: Driver) -> None:
    driver.boards({"average": 1000, "reasons": 0x1}, {"average": 1000, "reasons": 0x4 | 0x20})
    meter = NvmlMeter()
    assert meter.conditions() == ("gpu/GPU-00000001: SW Power Cap", "gpu/GPU-00000001: SW Thermal Slowdown")
    driver.board(1, average=1000, reasons=1 << 40)
    assert meter.conditions() == ("gpu/GPU-00000001: reason 0x10000000000",)
    meter.close()


def test_reasons_are_the_headers() -> None:
    pynvml = pytest.importorskip("pynvml")
    names = {
        name.removeprefix("nvmlClocksEventReason"): value
        for name, value in vars(pynvml).items()
        if name.startswith("nvmlClocksEventReason")
    }
    for bit, words in nvml.REASONS.items():
        plain = words.replace(" ", "").lower()
        assert names.get(next((name for name in names if name.lower() == plain), ""), bit) == bit
    assert names["GpuIdle"] == nvml.IDLE
    assert {value for value in names.values() if value and not value & (value - 1)} <= {*nvml.REASONS, nvml.IDLE}


def test_an_older_driver_knows_the_older_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = loaded(build(tmp_path, "-DOLD_DRIVER"), monkeypatch)
    driver.boards({"average": 1000, "reasons": 0x8})
    meter = NvmlMeter()
    assert meter.conditions() == ("gpu/GPU-00000000: HW Slowdown",)
    meter.close()


def test_mig_is_noted(driver: Driver) -> None:
    driver.boards({"average": 1000, "millijoules": 0, "mig": 1})
    meter = NvmlMeter()
    assert "GPU 0 MIG is on: watts and joules are the whole board's" in meter.describe()["remarks"]
    meter.close()


@pytest.mark.parametrize(
    ("boards", "words"), [([], "found no NVIDIA GPU"), ([{"millijoules": 1}], "GPU 0 does not tell its power")]
)
def test_what_is_missing(driver: Driver, boards: list[dict[str, int]], words: str) -> None:
    driver.boards(*boards)
    assert words in NvmlMeter.available()


def test_a_board_that_stops_telling(driver: Driver) -> None:
    driver.boards({"milliwatts": 60_000, "millijoules": 0})
    meter = NvmlMeter()
    driver.board(0, millijoules=0)
    with pytest.raises(MeterFailed, match="nvmlDeviceGetPowerUsage failed \\(Not Supported\\)"):
        meter.watts()
    meter.close()
    driver.boards({"average": 60_000})
    meter = NvmlMeter()
    driver.board(0)
    with pytest.raises(MeterFailed, match="tells None mW"):
        meter.watts()
    driver.board(0, average=2**32 - 1)
    with pytest.raises(MeterFailed, match="tells 4294967295 mW"):
        meter.watts()
    meter.close()


class NVMLError(Exception):
    """What NVML raises."""


class Absent:
    """pynvml on a machine without a driver."""

    NVMLError = NVMLError

    def nvmlInit(self) -> None:
        """Fails as it does."""
        raise NVMLError("NVML Shared Library Not Found")


def test_without_a_driver() -> None:
    assert "needs an NVIDIA GPU and its driver (NVML Shared Library Not Found)" in NvmlMeter.available(Absent())


def test_the_sampler_over_pynvml_and_the_library(built: Path, tmp_path: Path) -> None:
    """The whole way: the driver's library found by the loader, pynvml, the meter, the sampler, its log."""
    pytest.importorskip("pynvml")
    root = str(Path(__file__).parents[2])
    code = RECORD.format(root=root, folder=str(tmp_path))
    environment = os.environ | {"LD_LIBRARY_PATH": str(built.parent)}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=root, stdin=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not (tmp_path / "meters.json").exists() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.02)
    time.sleep(1.0)
    child.communicate(timeout=20)
    assert child.returncode == 0
    rows: list[dict[str, Any]] = list(csv.DictReader((tmp_path / "nvml.csv").read_text("utf-8").splitlines()))
    spent = float(rows[-1]["joules"]) - float(rows[0]["joules"])
    passed = (int(rows[-1]["monotonic_ns"]) - int(rows[0]["monotonic_ns"])) / 1e9
    assert len(rows) >= 5
    assert {float(row["watts"]) for row in rows} == {200.0}
    assert spent == pytest.approx(200 * passed, rel=0.1)
