"""`server.conf` of MLCommons' power server, as its code reads it: the template beside it is stale.

The template puts the device into [ptd]; the code wants `analyzerCount` there and a section [analyzer1], … for each.
"""

from __future__ import annotations

import configparser
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from loadgen_harness import durable
from loadgen_harness.errors import BadInput

PORT, PTD_PORT = 4950, 8888
INTERFACES = ("", "-n", "-g", "-y", "-U")
TYPES = (8, 35, 48, 49, 52, 77, 508, 549, 586)
DIRECT_CURRENT = (508, 549, 586)
MULTICHANNEL = {48: 1, 77: 2}  # how many numbers `channel` wants


@dataclass(frozen=True)
class Analyzer:
    """One power analyzer as PTDaemon is told of it; see `ptd -h` for its numbers and flags."""

    device_type: int
    device_port: str
    interface: str = ""
    channel: str = ""
    network_port: int = PTD_PORT
    gpib_board: str = ""

    def options(self) -> dict[str, str]:
        """Its section; raises BadInput for what the official server or PTDaemon would refuse."""
        if self.device_type not in TYPES:
            known = ", ".join(map(str, TYPES))
            raise BadInput(f"MLPerf accepts no analyzer of PTDaemon's type {self.device_type}: choose one of {known}.")
        if self.interface not in INTERFACES:
            raise BadInput(f"interface flag {self.interface!r} is none of -n, -g, -y, -U or empty: see `ptd -h`.")
        if not self.device_port:
            raise BadInput("name the analyzer's device port, such as COM1, /dev/usbtmc0 or its IP address.")
        found = {
            "networkPort": str(self.network_port),
            "deviceType": str(self.device_type),
            "interfaceFlag": self.interface,
            "devicePort": self.device_port,
        }
        if self._channels():
            found["channel"] = self.channel
        if self.gpib_board:
            found["gpibBoard"] = self.gpib_board
        if self.device_type in DIRECT_CURRENT:
            found["dcFlag"] = "-D"
        return found

    def _channels(self) -> bool:
        """Whether channels are given; raises BadInput where they do not suit the device."""
        numbers = self.channel.split(",") if self.channel else []
        wanted = MULTICHANNEL.get(self.device_type, len(numbers) if len(numbers) < 2 else 1)
        if len(numbers) != wanted or not all(number.isdigit() for number in numbers):
            raise BadInput(f"channel {self.channel!r}: a device of type {self.device_type} wants {wanted} number(s).")
        return bool(numbers)


def text(ptd: str, analyzers: Sequence[Analyzer], *, ntp: str, host: str = "0.0.0.0", port: int = PORT) -> str:
    """The whole file; raises BadInput."""
    try:
        ip_address(host)
    except ValueError:
        raise BadInput(f"the power server listens at an IP address, not at {host!r}.") from None
    if not analyzers:
        raise BadInput("a power session needs one analyzer at least.")
    if len({each.network_port for each in analyzers}) != len(analyzers):
        raise BadInput("each analyzer wants a PTDaemon with a port of its own.")
    conf = configparser.ConfigParser(interpolation=None)
    conf.optionxform = str  # type: ignore[assignment,method-assign]
    conf["server"] = {"ntpServer": ntp, "listen": f"{host} {port}"}
    conf["ptd"] = {"ptd": ptd, "analyzerCount": str(len(analyzers))}
    for number, each in enumerate(analyzers, start=1):
        conf[f"analyzer{number}"] = each.options()
    for section in conf.sections():
        for key, value in conf.items(section):
            conf[section][key] = value.replace("%", "%%")  # the server expands % signs
    written = io.StringIO()
    conf.write(written)
    return written.getvalue()


def write(path: Path, content: str) -> None:
    """The file under its name, there whole or not at all; raises BadInput where it exists."""
    if os.path.lexists(path):
        raise BadInput(f"{path} exists: choose another name, an edited server.conf is never overwritten.")
    durable.put(path, content)
