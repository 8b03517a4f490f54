"""What all meters have in common, the estimate, and how doctor shows them."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from loadgen_harness import console, registry, verbs
from loadgen_harness.errors import BadInput, UnknownName
from power import meter
from power.meter import MeterFailed
from power.meters import _sysfs, estimate
from power.meters.estimate import EstimateMeter
from power.parts import SCOPES
from tests.power.trees import write

OWN = {"amdsmi", "battery", "estimate", "hwmon", "jetson", "nvml", "rapl", "rapl_core", "rapl_dram", "rapl_psys"}


def test_estimate_stays_between_idle_and_tdp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGH_TDP_W", "100")
    meter_ = EstimateMeter()
    assert meter_.estimated
    assert (meter_.uncertainty, meter_.parts, meter_.scope) == (0.5, ("cpu",), "package")
    assert all(30 <= meter_.watts() <= 100 for _ in range(3))
    assert meter_.describe()["tdp"] == "100 W (LGH_TDP_W)"
    assert 0 < meter_.resolution <= 7


def test_estimate_without_any_tdp_assumes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LGH_TDP_W", raising=False)
    monkeypatch.setattr(estimate, "listed_w", lambda: 0.0)
    assert EstimateMeter().tdp_w % 65 == 0
    monkeypatch.setattr(estimate, "listed_w", lambda: 280.0)
    assert EstimateMeter().tdp_w % 280 == 0
    assert "codecarbon's table" in EstimateMeter().describe()["tdp"]


@pytest.mark.parametrize("text", ["many", "-5", "nan", "0", "inf"])
def test_estimate_refuses_an_odd_tdp(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LGH_TDP_W", text)
    assert "must be the CPUs' TDP in watts" in EstimateMeter.available()


@pytest.mark.parametrize(
    ("name", "watts"),
    [
        ("AMD EPYC 7763 64-Core Processor", 280.0),
        ("Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz", 15.0),
        ("AMD EPYC", 0.0),
        ("Odd One", 0.0),
    ],
)
def test_codecarbons_table_is_asked_for_exactly_this_cpu(tmp_path: Path, name: str, watts: float) -> None:
    rows = "Name,TDP\nAMD EPYC 7763,280.0\nIntel Core i7-8550U,15\nAMD EPYC 7763P,1\nOdd One,unknown"
    write(tmp_path, {"cpuinfo": f"processor\t: 0\nmodel name\t: {name}", "cpu_power.csv": rows})
    assert estimate.listed_w(tmp_path / "cpuinfo", tmp_path / "cpu_power.csv") == watts
    assert estimate.listed_w(tmp_path / "cpuinfo", tmp_path / "none.csv") == 0


def test_meters_keep_the_contract() -> None:
    names = registry.names(registry.METERS)
    assert set(names) >= OWN
    for name in OWN:
        each = registry.load(registry.METERS, name)
        assert each.scope in SCOPES
        assert 0 < each.uncertainty < 1
        assert each.resolution >= 0
        assert each.interval_s > 0
        assert each.averaging_s > 0
        assert each.parts
        assert each.estimated is (name == "estimate")
        assert isinstance(each.available(), str)
    with pytest.raises(UnknownName, match="did you mean 'nvml'"):
        meter.load("nvlm")
    with pytest.raises(BadInput, match="TDP"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("LGH_TDP_W", "x")
        meter.load("estimate")


@pytest.mark.parametrize("text", ["nan", "", "12 W", "1e3"])
def test_a_file_of_the_kernel_holds_a_whole_number(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, {"power1_input": text}) / "power1_input"
    with pytest.raises(MeterFailed, match="no whole number"):
        _sysfs.number(file)


def test_doctor_tells_of_every_meter_within_100_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "OUT", console.Console(width=100))
    monkeypatch.delenv("LGH_TDP_W", raising=False)
    verbs.doctor(argparse.Namespace())
    lines = capsys.readouterr().out.split("Power meters")[1].splitlines()
    assert max(map(len, lines)) <= 100
    first = {line.split()[0]: line.split() for line in lines if line.strip() and line[1:2].strip()}
    assert first.keys() >= OWN
    assert first["estimate"][1:5] == ["estimate", "package", "0.1", "s"]
    assert "50%" in first["estimate"]
    assert first["rapl_psys"][2] == "platform"
