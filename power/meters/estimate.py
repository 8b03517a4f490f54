"""An estimate for machines without any counter: TDP times how busy the CPUs are. It measures nothing."""

from __future__ import annotations

import csv
import os
import re
import time
from importlib import util
from pathlib import Path
from typing import Any

from loadgen_harness.errors import BadInput, MissingDependency
from power.meter import Scope
from power.meters._trial import refusal

VARIABLE = "LGH_TDP_W"
TDP_PER_SOCKET_W = 65.0
IDLE_SHARE = 0.3  # of the TDP that flows with nothing to do
SHORTEST_S = 0.05
TICK_S = 0.01  # CPU times move in steps of so much
CPUINFO = Path("/proc/cpuinfo")
TABLE = "data/hardware/cpu_power.csv"  # of codecarbon: names of CPUs and their TDPs, collected from makers' pages


class EstimateMeter:
    """P = TDP x (0.3 + 0.7 x busy share of all CPUs), ± 50 %.

    The TDP is LGH_TDP_W, else codecarbon's for this CPU where that package is installed and lists it, else 65 W; the
    last two for each socket.
    """

    scope: Scope = "package"
    parts: tuple[str, ...] = ("cpu",)
    uncertainty = 0.5
    resolution = 0.0  # of this machine: what one more tick of one CPU makes
    estimated = True
    interval_s = 0.1
    averaging_s = 0.1
    counting = False

    def __init__(self) -> None:
        """Read the TDP and take the first CPU times; raises BadInput for a TDP that is no positive number."""
        self._psutil = _library()
        self.tdp_w, self._origin = _tdp()
        ticks = self.interval_s / TICK_S * (self._psutil.cpu_count() or 1)
        self.resolution = self.tdp_w * (1 - IDLE_SHARE) / ticks
        self._time = time.monotonic()
        self._busy_s, self._total_s = self._cpu_times()
        self._share = 0.0

    @classmethod
    def available(cls) -> str:
        """Empty, but for a missing psutil or a TDP that is no number."""
        return refusal(cls)

    def watts(self) -> float:
        """The model's power for the time since the last call."""
        time.sleep(max(0.0, self._time + SHORTEST_S - time.monotonic()))
        self._time = time.monotonic()
        busy_s, total_s = self._cpu_times()
        if total_s > self._total_s:
            share = (busy_s - self._busy_s) / (total_s - self._total_s)
            self._share = min(1.0, max(0.0, share))
            self._busy_s, self._total_s = busy_s, total_s
        return self.tdp_w * (IDLE_SHARE + (1 - IDLE_SHARE) * self._share)

    def describe(self) -> dict[str, str]:
        """The model and where its TDP comes from."""
        return {
            "source": "TDP x CPU utilisation of the whole machine",
            "tdp": f"{self.tdp_w:g} W ({self._origin})",
            "idle share": f"{IDLE_SHARE:g} of the TDP (assumed)",
        }

    def close(self) -> None:
        """Nothing stays open."""

    def _cpu_times(self) -> tuple[float, float]:
        """Busy and total CPU seconds; time stolen by a hypervisor counts as idle, guests count within user time."""
        times = self._psutil.cpu_times()._asdict()
        total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
        rest = times["idle"] + times.get("iowait", 0.0) + times.get("steal", 0.0)
        return total - rest, total


def _library() -> Any:
    try:
        import psutil
    except ModuleNotFoundError as error:
        raise MissingDependency("meter estimate", "psutil") from error
    return psutil


def _tdp() -> tuple[float, str]:
    text = os.environ.get(VARIABLE, "")
    if not text:
        sockets, listed = _sockets(), listed_w()
        if listed:
            return listed * sockets, f"codecarbon's table, {sockets} x {listed:g} W"
        return TDP_PER_SOCKET_W * sockets, f"assumed, {sockets} x {TDP_PER_SOCKET_W:g} W"
    try:
        watts = float(text)
    except ValueError:
        watts = 0.0
    if not 0 < watts < 1e6:
        raise BadInput(f"{VARIABLE} must be the CPUs' TDP in watts, such as 65, not {text!r}.")
    return watts, VARIABLE


def listed_w(cpuinfo: Path = CPUINFO, table: Path | None = None) -> float:
    """The TDP of exactly this CPU in codecarbon's table, 0 where either is unknown; imports nothing of codecarbon."""
    table = _table() if table is None else table
    named = re.search(r"^model name\s*:(.*)$", cpuinfo.read_text("utf-8") if cpuinfo.is_file() else "", re.M)
    if named is None or table is None or not table.is_file():
        return 0.0
    wanted = _plain(named[1])
    with table.open(encoding="utf-8", newline="") as lines:
        found = [row["TDP"] for row in csv.DictReader(lines) if _plain(row["Name"]) == wanted]
    try:
        watts = float(found[0]) if found else 0.0
    except ValueError:
        return 0.0
    return watts if 0 < watts < 1000 else 0.0


def _table() -> Path | None:
    package = util.find_spec("codecarbon")
    return Path(package.origin).parent / TABLE if package and package.origin else None


def _plain(name: str) -> str:
    """A CPU's name without the words that only one of the kernel and the table has."""
    name = re.sub(r"\((r|tm)\)|@.*|with radeon.*|\d+-core|\b(cpu|processor)\b", " ", name.lower())
    return " ".join(name.split())


def _sockets(cpus: Path = Path("/sys/devices/system/cpu")) -> int:
    """CPU sockets, 1 where the system does not say."""
    files = cpus.glob("cpu[0-9]*/topology/physical_package_id")
    return len({file.read_text(encoding="ascii").strip() for file in files}) or 1


METER = EstimateMeter
