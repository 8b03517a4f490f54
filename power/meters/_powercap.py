"""RAPL through the kernel's powercap tree: one folder per zone, whose names say what they count."""

from __future__ import annotations

import re
import time
from functools import partial
from pathlib import Path

from power.meter import MeterFailed
from power.meters import _sysfs
from power.meters._counter import Clock, Counter, Scale, Source

ROOT = Path("/sys/class/powercap")
REMEDY = "run `sudo chmod a+r /sys/class/powercap/*/energy_uj` (until the next boot)"
KINDS = ("intel-rapl", "intel-rapl-mmio")  # also AMD's; the MMIO view shows the same counters a second time
PARTS = {"package": "cpu/{}", "core": "cpu/{}/core", "dram": "memory/{}", "psys": "platform"}


def sources(root: Path, domain: str, *, clock: Clock = time.monotonic) -> list[Source]:
    """The counters of one domain, a key of PARTS, none where there are none; raises BadInput where they are closed."""
    for kind in KINDS:
        folders = [folder for folder in sorted(root.glob(f"{kind}:*")) if (folder / "name").is_file()]
        found = [folder for folder in folders if _sysfs.text(folder / "name").split("-")[0] == domain]
        if found:
            return [_source(folder, domain, clock) for folder in found]
    return []


def _source(folder: Path, domain: str, clock: Clock) -> Source:
    span = _sysfs.number(folder / "max_energy_range_uj")
    if span <= 0:
        raise MeterFailed(f"{folder / 'max_energy_range_uj'} holds {span}: this counter's wraps cannot be mended.")
    read = partial(_sysfs.number, folder / "energy_uj", REMEDY)
    name = _sysfs.text(folder / "name")
    return Source(PARTS[domain].format(_package(folder)), Counter(name, read, Scale(1e-6, span), clock=clock))


def _package(folder: Path) -> str:
    """The number of the CPU package that a zone lies in: `package-1-die-0` is a die of package 1."""
    outer = folder
    while outer.name.count(":") > 1:  # intel-rapl:0:1 lies in intel-rapl:0
        outer = outer.with_name(outer.name.rpartition(":")[0])
    found = re.match(r"package-(\d+)", _sysfs.optional(outer / "name"))
    return found[1] if found else "0"
