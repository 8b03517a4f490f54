"""The meter ipmi against a small program called ipmitool that prints what the real one prints."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from power import meter
from power.meter import MeterFailed
from power.meters.ipmi import IpmiMeter, reading

# as ipmitool 1.8.18 and 1.8.19 print it
ACTIVE = """
    Instantaneous power reading:                   {watts} Watts
    Minimum during sampling period:                175 Watts
    Maximum during sampling period:                242 Watts
    Average power reading over sample period:      190 Watts
    IPMI timestamp:                           Sun Mar  6 15:13:42 2022
    Sampling period:                          {period} Seconds.
    Power reading state is:                   {state}

"""
DEFAULT = {"watts": "197", "period": "00123893", "state": "activated"}
SCRIPT = """#!/bin/sh
printf '%s\\n' "$*" >> "{folder}/lines"
env | grep -a PASSWORD > "{folder}/secrets"
cat "{folder}/out"
cat "{folder}/err" >&2
exit $(cat "{folder}/code")
"""


class Tool:
    """A program `ipmitool` on PATH whose next answer a test chooses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "ipmitool"
        program.write_text(SCRIPT.format(folder=folder))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.says(ACTIVE.format(**DEFAULT))

    def says(self, out: str = "", err: str = "", code: int = 0) -> None:
        for name, text in (("out", out), ("err", err), ("code", str(code))):
            (self.folder / name).write_text(text)

    @property
    def lines(self) -> list[str]:
        return (self.folder / "lines").read_text().splitlines()


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name in ("LGH_IPMI_HOST", "LGH_IPMI_USER", "LGH_IPMI_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return Tool(tmp_path)


def test_the_local_controller(tool: Tool) -> None:
    ipmi = meter.load("ipmi")()
    assert ipmi.watts() == 197
    assert (ipmi.scope, ipmi.parts, ipmi.estimated, ipmi.counting) == ("node", ("node",), False, False)
    assert ipmi.interval_s >= 1
    assert ipmi.describe()["statistics reporting time period"] == "123893 s"
    assert ipmi.describe()["controller"] == "this machine's own"
    assert set(tool.lines) == {"dcmi power reading"}
    ipmi.close()


@pytest.mark.parametrize(("period", "averaging"), [("00000001", 1), ("00000030", 30), ("00123893", 1), ("00000000", 1)])
def test_its_own_averaging(tool: Tool, period: str, averaging: float) -> None:
    tool.says(ACTIVE.format(**DEFAULT | {"period": period}))
    assert IpmiMeter().averaging_s == averaging


def test_a_controller_elsewhere_and_its_password(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGH_IPMI_HOST", "bmc.example")
    assert "LGH_IPMI_USER" in IpmiMeter.available()
    monkeypatch.setenv("LGH_IPMI_USER", "reader")
    assert "LGH_IPMI_PASSWORD" in IpmiMeter.available()
    monkeypatch.setenv("LGH_IPMI_PASSWORD", "s3cret word")
    ipmi = IpmiMeter()
    assert tool.lines[-1] == "-I lanplus -L OPERATOR -H bmc.example -U reader -E dcmi power reading"
    assert not any("s3cret" in line for line in tool.lines)
    assert "IPMI_PASSWORD=s3cret word" in (tool.folder / "secrets").read_text().splitlines()
    assert "s3cret" not in str(ipmi.describe())
    monkeypatch.setenv("LGH_IPMI_HOST", "-oops")
    assert IpmiMeter.available()


def test_a_local_reading_hands_no_password_on(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGH_IPMI_PASSWORD", "s3cret")
    IpmiMeter()
    assert "s3cret" not in (tool.folder / "secrets").read_text()


@pytest.mark.parametrize(
    ("err", "remedy"),
    [
        ("Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: Permission denied", "run as root"),
        ("Could not open device at /dev/ipmi0 or /dev/ipmi/0: No such file or directory", "modprobe"),
        ("\n    DCMI request failed because: Invalid command (c1)", "knows no DCMI"),
        ("A valid DCMI command was not returned! (80)", "knows no DCMI"),
        ("Error: Unable to establish IPMI v2 / RMCP+ session", "IPMI over LAN"),
        ("DCMI request failed because: Insufficient privilege level (d4)", "a role"),
        ("Segmentation fault", "try `ipmitool dcmi power reading` yourself"),
        ("", "ipmitool said nothing"),
    ],
)
def test_what_is_missing_is_a_sentence(tool: Tool, err: str, remedy: str) -> None:
    for code in (1, 0):  # some versions end with 0 whatever happened
        tool.says(err=err, code=code)
        reason = IpmiMeter.available()
        assert remedy in reason
        assert "\n" not in reason
        assert reason.endswith(".")


def test_a_measurement_that_is_switched_off_gives_no_number(tool: Tool) -> None:
    tool.says(ACTIVE.format(**DEFAULT | {"watts": "319", "state": "deactivated"}))
    assert "measurement is deactivated" in IpmiMeter.available()
    tool.says(ACTIVE.format(**DEFAULT | {"watts": "0"}))
    assert "0 W" in IpmiMeter.available()


def test_failing_on_the_way(tool: Tool) -> None:
    ipmi = IpmiMeter()
    tool.says(err="Get Device ID command failed: 0xc3 Timeout", code=1)
    with pytest.raises(MeterFailed, match="Timeout"):
        ipmi.watts()
    (tool.folder / "ipmitool").unlink()
    with pytest.raises(MeterFailed, match="cannot be run"):
        ipmi.watts()


def test_an_answer_that_never_comes(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("power.meters.ipmi.TIMEOUT_S", 0.2)
    (tool.folder / "ipmitool").write_text("#!/bin/sh\nexec sleep 5\n")
    assert "no answer within 0.2 s" in IpmiMeter.available()


def test_without_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install it" in IpmiMeter.available()
    with pytest.raises(BadInput, match="ipmitool"):
        meter.load("ipmi")


@pytest.mark.parametrize("text", ["-5 Watts", "nan Watts", "Watts", "1e9 Watts", "12345678 Watts", "197"])
def test_odd_numbers_are_no_reading(text: str) -> None:
    with pytest.raises(MeterFailed):
        reading(f"Instantaneous power reading: {text}\nPower reading state is: activated")


def test_order_case_and_blanks_do_not_matter() -> None:
    lines = ["POWER READING STATE IS:activated", "Instantaneous  power reading : 0050 watts"]
    with pytest.raises(MeterFailed):
        reading("\n".join(lines))
    assert reading("\n".join([lines[0], "\tINSTANTANEOUS power reading :0050 watts"])).watts == 50
