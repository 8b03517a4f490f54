"""A laptop's batteries against files laid out like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from power.meter import MeterFailed
from power.meters.battery import BatteryMeter
from tests.power.trees import write


def laptop(root: Path, **battery: object) -> Path:
    """One battery, its charger and a mouse."""
    first = {"type": "Battery", "status": "Discharging", "manufacturer": "LGC", "model_name": "X1"} | battery
    write(root, {f"BAT0/{key}": value for key, value in first.items()})
    write(root, {"AC/type": "Mains", "AC/online": 0, "mouse/type": "Battery", "mouse/scope": "Device"})
    return write(root, {"mouse/status": "Discharging", "mouse/power_now": 1})


def test_power_while_discharging(tmp_path: Path) -> None:
    meter = BatteryMeter(laptop(tmp_path, power_now=8_250_000))
    assert meter.watts() == pytest.approx(8.25)
    assert meter.describe() == {"source": "battery", "batteries": "BAT0 (LGC X1)", "reading": "power_now"}
    assert (meter.scope, meter.parts) == ("node", ("node",))
    meter.close()


@pytest.mark.parametrize("current", [1_500_000, -1_500_000])
def test_current_times_voltage_whatever_its_sign(tmp_path: Path, current: int) -> None:
    assert BatteryMeter(laptop(tmp_path, current_now=current, voltage_now=12_000_000)).watts() == pytest.approx(18)


def test_two_batteries_of_which_one_gives(tmp_path: Path) -> None:
    laptop(tmp_path, power_now=8_000_000)
    write(tmp_path, {"BAT1/type": "Battery", "BAT1/status": "Not charging", "BAT1/power_now": 5_000_000})
    meter = BatteryMeter(tmp_path)
    assert meter.watts() == pytest.approx(8)
    write(tmp_path, {"BAT1/status": "Discharging"})
    assert meter.watts() == pytest.approx(13)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"AC/online": 1}, "while the machine is plugged in: unplug it"),
        ({"BAT0/status": "Charging"}, "finds it Charging: unplug"),
        ({"BAT0/status": "Full"}, "finds it Full"),
        ({"BAT0/power_now": 0}, "tells 0 W while it discharges"),
        ({"BAT0/power_now": "nan"}, "no whole number"),
        ({"BAT0/type": "UPS"}, "no battery of this machine"),
    ],
)
def test_refused_in_one_sentence(tmp_path: Path, files: dict[str, object], words: str) -> None:
    meter = BatteryMeter(laptop(tmp_path, power_now=8_000_000))
    write(tmp_path, files)
    assert words in BatteryMeter.available(tmp_path)
    if "BAT0/type" not in files:
        with pytest.raises(MeterFailed):
            meter.watts()


def test_a_machine_without_batteries(tmp_path: Path) -> None:
    assert "no battery" in BatteryMeter.available(tmp_path / "none")
