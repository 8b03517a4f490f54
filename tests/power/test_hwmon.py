"""Sensors of hwmon against files laid out like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from power.meter import MeterFailed
from power.meters.hwmon import HwmonMeter
from tests.power.trees import HandClock, write

METER = {"name": "power_meter", "power1_average": 250_000_000, "power1_average_interval": 2000}
GPU = {"name": "amdgpu", "power1_average": 90_000_000, "power1_input": 80_000_000, "power1_label": "PPT"}
ZEN = {
    "name": "zenpower",
    "power1_input": 40_000_000,
    "power1_label": "SVI2_P_Core",
    "power2_input": 12_500_000,
    "power2_label": "SVI2_P_SoC",
}
XE = {
    "name": "xe",
    "energy1_input": 5_000_000,
    "energy1_label": "card",
    "energy2_input": 3_000_000,
    "energy2_label": "pkg",
    "power1_max": 1,
}
INA = {"name": "ina226", "power1_input": 7_000_000}


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have named a sensor."""
    monkeypatch.delenv("LGH_HWMON", raising=False)


def machine(root: Path, *chips: dict[str, object]) -> Path:
    """A /sys/class/hwmon with these drivers, and a PCI device behind each."""
    for number, chip in enumerate(chips):
        write(root, {f"class/hwmon{number}/{key}": value for key, value in chip.items()})
        device = root / f"devices/0000:0{number}:00.0"
        device.mkdir(parents=True)
        (root / f"class/hwmon{number}/device").symlink_to(device)
    return root / "class"


def test_a_nodes_meter_goes_before_the_parts_inside(tmp_path: Path) -> None:
    root = machine(tmp_path, GPU, ZEN, METER)
    meter = HwmonMeter(root)
    assert meter.watts() == pytest.approx(250)
    assert (meter.scope, meter.parts, meter.averaging_s, meter.interval_s) == ("node", ("node",), 2.0, 1.0)
    assert meter.uncertainty == 0.1
    assert meter.describe()["sensors"] == "power_meter hwmon2/power1_average"
    meter.close()


@pytest.mark.parametrize(("told", "used"), [("95.000%", 0.05), ("100.0%", 0.02), ("0.0%", 0.1), ("odd", 0.1)])
def test_acpi_states_its_accuracy(tmp_path: Path, told: str, used: float) -> None:
    root = machine(tmp_path, METER | {"power1_accuracy": told})
    assert HwmonMeter(root).uncertainty == pytest.approx(used)


def test_boards_add_up_and_their_averages_are_preferred(tmp_path: Path) -> None:
    meter = HwmonMeter(machine(tmp_path, GPU, ZEN, GPU))
    assert meter.watts() == pytest.approx(180)
    assert (meter.scope, meter.parts) == ("board", ("gpu/0000:00:00.0", "gpu/0000:02:00.0"))


def test_a_package_is_the_sum_of_its_two_supplies(tmp_path: Path) -> None:
    meter = HwmonMeter(machine(tmp_path, ZEN))
    assert meter.watts() == pytest.approx(52.5)
    assert (meter.scope, meter.parts) == ("package", ("cpu/0",))


def test_an_apus_sensor_is_the_packages_and_counts_once(tmp_path: Path) -> None:
    apu = GPU | {"in1_label": "vddnb"}
    meter = HwmonMeter(machine(tmp_path / "alone", apu))
    assert (meter.scope, meter.parts, meter.watts()) == ("package", ("cpu/0",), pytest.approx(90))
    both = HwmonMeter(machine(tmp_path / "both", apu, ZEN))
    assert both.watts() == pytest.approx(52.5), "two drivers tell of one package"
    assert both.describe()["sensors"].count("zenpower") == 2


def test_amds_energy_driver_has_all_sockets_in_one_folder(tmp_path: Path) -> None:
    values = {"Ecore000": 1, "Ecore001": 2, "Esocket0": 3, "Esocket1": 4}
    files: dict[str, object] = {"name": "amd_energy"}
    for number, (label, count) in enumerate(values.items(), 1):
        files |= {f"energy{number}_label": label, f"energy{number}_input": count}
    meter = HwmonMeter(machine(tmp_path, files))
    assert (meter.scope, meter.parts, meter.counting) == ("package", ("cpu/0", "cpu/1"), True)


def test_energy_counters_count_each_watt_once(tmp_path: Path) -> None:
    clock = HandClock()
    root = machine(tmp_path, XE)
    meter = HwmonMeter(root, clock=clock)
    assert meter.counting
    clock.now += 1
    write(root, {"hwmon0/energy1_input": 65_000_000, "hwmon0/energy2_input": 50_000_000})
    assert meter.joules() == pytest.approx(60)
    assert meter.watts() == pytest.approx(60, rel=0.05)
    write(root, {"hwmon0/energy1_input": 1})
    with pytest.raises(MeterFailed, match="fell"):
        meter.joules()


@pytest.mark.parametrize("odd", [-1, 10**12, "nan", ""])
def test_what_no_sensor_can_tell_is_refused(tmp_path: Path, odd: object) -> None:
    root = machine(tmp_path, METER)
    meter = HwmonMeter(root)
    write(root, {"hwmon0/power1_average": odd})
    with pytest.raises(MeterFailed):
        meter.watts()
    assert HwmonMeter.available(root)
    (root / "hwmon0/power1_average").unlink()
    with pytest.raises(MeterFailed, match="cannot be read"):
        meter.watts()


def test_several_node_sensors_are_not_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine(tmp_path, METER, METER)
    assert "name one of them in LGH_HWMON" in HwmonMeter.available(root)
    monkeypatch.setenv("LGH_HWMON", "hwmon1/power1")
    assert HwmonMeter(root).watts() == pytest.approx(250)


def test_a_sensor_of_unknown_place_is_named_with_its_scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine(tmp_path, INA)
    assert "such as ina226/power1@node" in HwmonMeter.available(root)
    for wrong, words in (("ina226/power1", "end it with what it measures"), ("ina226/power9@node", "no such sensor")):
        monkeypatch.setenv("LGH_HWMON", wrong)
        with pytest.raises(BadInput, match=words):
            HwmonMeter(root)
    monkeypatch.setenv("LGH_HWMON", "ina226/power1@platform")
    meter = HwmonMeter(root)
    assert (meter.scope, meter.parts, meter.watts()) == ("platform", ("platform",), pytest.approx(7))


def test_a_machine_without_sensors(tmp_path: Path) -> None:
    assert HwmonMeter.available(tmp_path).startswith("meter hwmon found no sensor")
