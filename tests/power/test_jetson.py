"""Rails of Jetson modules against files laid out like those of JetPack 4, 5 and 7."""

from __future__ import annotations

from pathlib import Path

import pytest

from power.meter import MeterFailed
from power.meters.jetson import JetsonMeter
from tests.power.trees import write

MODEL = "firmware/devicetree/base/model"


def module(root: Path, model: str, *sensors: dict[str, tuple[int, int]]) -> Path:
    """A /sys with one INA3221 for each of `sensors`: volts and amperes in thousandths by rail."""
    write(root, {MODEL: f"NVIDIA Jetson {model} Developer Kit\0"})
    for number, rails in enumerate(sensors):
        base = f"class/hwmon/hwmon{number}"
        write(root, {f"{base}/name": "ina3221", f"{base}/in7_label": "sum of shunt voltages"})
        for channel, (name, (millivolts, milliamperes)) in enumerate(rails.items(), 1):
            files = {f"in{channel}_label": name, f"in{channel}_input": millivolts, f"curr{channel}_input": milliamperes}
            write(root, {f"{base}/{file}": value for file, value in files.items()})
            write(root, {f"{base}/shunt{channel}_resistor": 5000})
    return root


def test_the_total_is_not_added_to_its_parts(tmp_path: Path) -> None:
    rails = {"VDD_IN": (5000, 1500), "VDD_CPU_GPU_CV": (5000, 400), "VDD_SOC": (5000, 300)}
    meter = JetsonMeter(module(tmp_path, "Orin Nano", rails))
    assert meter.watts() == pytest.approx(7.5)
    assert (meter.scope, meter.parts, meter.uncertainty) == ("node", ("node",), 0.05)
    assert meter.resolution == pytest.approx(0.04)
    about = meter.describe()
    assert about["rails"] == "VDD_IN (hwmon0/in1)"
    assert about["inside them"] == "VDD_CPU_GPU_CV, VDD_SOC"
    meter.close()


def test_rails_that_lie_side_by_side_are_added(tmp_path: Path) -> None:
    first = {"VDD_GPU_SOC": (20000, 500), "VDD_CPU_CV": (20000, 100), "VIN_SYS_5V0": (5000, 800)}
    meter = JetsonMeter(module(tmp_path, "AGX Orin", first, {"NC": (0, 0), "VDDQ_VDD2_1V8AO": (5000, 300)}))
    assert meter.watts() == pytest.approx(16)
    assert meter.uncertainty == 0.1
    assert meter.describe()["inside them"] == "VDDQ_VDD2_1V8AO"


def test_thor_has_a_sensor_before_all_rails(tmp_path: Path) -> None:
    rails = {"VDD_GPU": (20000, 500), "VDD_CPU_SOC_MSS": (20000, 100), "VIN_SYS_5V0": (5000, 800)}
    module(tmp_path, "AGX Thor", rails)
    write(tmp_path, {"class/hwmon/hwmon5/name": "ina238", "class/hwmon/hwmon5/power1_input": 31_000_000})
    assert JetsonMeter(tmp_path).watts() == pytest.approx(31)


def test_the_driver_of_jetpack_4(tmp_path: Path) -> None:
    write(tmp_path, {MODEL: "NVIDIA Jetson Nano Developer Kit"})
    base = "bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    for number, (name, milliwatts) in enumerate((("POM_5V_IN", 2500), ("POM_5V_GPU", 40), ("POM_5V_CPU", 500))):
        write(tmp_path, {f"{base}/rail_name_{number}": name, f"{base}/in_power{number}_input": milliwatts})
    meter = JetsonMeter(tmp_path)
    assert meter.watts() == pytest.approx(2.5)
    assert meter.resolution == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("model", "rails", "words"),
    [
        ("Orin Nano", {"VDD_IN": (5000, -200)}, "tells -1 W"),
        ("Orin Nano", {"VDD_IN": (0, 0), "VDD_SOC": (5000, 1)}, ""),
        ("New", {"VDD_CPU": (5000, 200)}, "finds no total among these rails: VDD_CPU"),
        ("New", {}, "finds no total among these rails: (none)"),
    ],
)
def test_refused_in_one_sentence(tmp_path: Path, model: str, rails: dict[str, tuple[int, int]], words: str) -> None:
    said = JetsonMeter.available(module(tmp_path, model, rails))
    assert words in said
    assert bool(said) is bool(words)


def test_a_rail_that_goes_away(tmp_path: Path) -> None:
    meter = JetsonMeter(module(tmp_path, "Orin NX", {"VDD_IN": (5000, 1500)}))
    (tmp_path / "class/hwmon/hwmon0/curr1_input").unlink()
    with pytest.raises(MeterFailed, match="cannot be read"):
        meter.watts()


def test_other_machines(tmp_path: Path) -> None:
    assert "needs an NVIDIA Jetson" in JetsonMeter.available(tmp_path)
    assert "needs an NVIDIA Jetson" in JetsonMeter.available(write(tmp_path, {MODEL: "Raspberry Pi 5"}))
