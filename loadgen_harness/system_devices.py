"""Disks and network cards of this machine, from /sys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from loadgen_harness.system_gpus import UNSEEN
from loadgen_harness.system_host import ROOT, read

SECTOR = 512  # bytes: /sys/block/*/size counts these, whatever the disk's own sectors are
PATH_OF_NVME = re.compile(r"nvme\d+c\d+n\d+")  # one of several ways to a disk that is listed anyway
NOT_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd", "zd")
ETHERNET, INFINIBAND = "1", "32"  # ARPHRD numbers
KINDS = {ETHERNET: "Ethernet", INFINIBAND: "InfiniBand"}


def storage(root: Path = ROOT) -> dict[str, str]:
    """Capacity and kind of the disks that are built in."""
    disks = Counter(_disks(root))
    if not disks:
        return {"host_storage_capacity": UNSEEN, "host_storage_type": UNSEEN}
    sizes = (f"{number}x {size}" if number > 1 else size for (size, _), number in disks.items())
    return {
        "host_storage_capacity": "; ".join(sizes),
        "host_storage_type": "; ".join(dict.fromkeys(kind for _, kind in disks)),
    }


def network(root: Path = ROOT) -> dict[str, str]:
    """Ports with their speed and driver, and the number of cards; how they are cabled cannot be seen."""
    ports = [port for port in sorted((root / "sys/class/net").glob("*")) if _physical(port)]
    if not ports:
        return {"host_networking": UNSEEN, "host_network_card_count": UNSEEN}
    cards = {(port / "device").resolve().as_posix().rpartition(".")[0] or port.name for port in ports}
    said = Counter(_port(port) for port in ports).items()
    return {
        "host_networking": "; ".join(f"{number}x {port}" for port, number in said),
        "host_network_card_count": str(len(cards)),
    }


def _disks(root: Path) -> Iterator[tuple[str, str]]:
    for disk in sorted((root / "sys/block").glob("*")):
        if disk.name.startswith(NOT_DISKS) or PATH_OF_NVME.fullmatch(disk.name) or read(disk / "removable") == "1":
            continue
        sectors = read(disk / "size")
        if sectors.isdigit() and int(sectors):
            yield _bytes(int(sectors) * SECTOR), " ".join(f"{read(disk / 'device/model')} {_kind(disk)}".split())


def _kind(disk: Path) -> str:
    if disk.name.startswith("nvme"):
        return "NVMe SSD"
    if disk.name.startswith("mmcblk"):
        return "eMMC" if read(disk / "device/type") == "MMC" else "SD card"
    if disk.name.startswith(("vd", "xvd")):
        return "virtual disk"  # what it reports as rotational is the hypervisor's word
    return {"0": "SSD", "1": "HDD"}.get(read(disk / "queue/rotational"), "disk")


def _bytes(number: int) -> str:
    return f"{number / 1e12:.3g} TB" if number >= 1e12 else f"{number / 1e9:.0f} GB"


def _physical(port: Path) -> bool:
    """A card's own port: not a bridge, a tunnel or a virtual function of one that is listed."""
    return (port / "device").exists() and not (port / "device/physfn").exists() and read(port / "type") in KINDS


def _port(port: Path) -> str:
    """`25 Gbit/s Ethernet (mlx5_core)`; a port that is down has no speed."""
    speed = read(port / "speed")
    rate = f"{int(speed) / 1000:g} Gbit/s " if speed.isdigit() and int(speed) else ""
    driver = (port / "device/driver").resolve().name if (port / "device/driver").exists() else ""
    return f"{rate}{KINDS[read(port / 'type')]}{f' ({driver})' if driver else ''}"
