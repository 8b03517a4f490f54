"""Stand-ins for a machine: files of /proc and /sys below a folder, and programs for PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

CPU = "processor\t: {n}\nmodel name\t: Toy Xeon\nphysical id\t: {socket}\ncore id\t\t: {core}\n"
SMI = """case "$*" in
*pcie.link*) {full} ;;
*--query-gpu*) echo 'Toy H100, 81559'; echo 'Toy H100, 81559' ;;
*nvlink*) echo 'GPU 0: Toy H100 (UUID: GPU-1)'; echo '	 Link 0: 26.562 GB/s'; echo '	 Link 1: 26.562 GB/s' ;;
*topo*) printf '\\tGPU0\\tGPU1\\tNIC0\\tCPU\\nGPU0\\t X \\tNV2\\tSYS\\t0-3\\nGPU1\\tNV2\\t X \\tPIX\\t0-3\\n' ;;
esac"""
FULL = "for i in 0 1; do echo 'Toy H100, 81559, 1980, 2619, 5, 16, Enabled, 580.65'; done"
DMI = """case "$*" in
*16*) printf '\\tError Correction Type: Multi-bit ECC\\n' ;;
*17*) {modules} ;;
esac"""
MODULE = (
    "printf 'Memory Device\\n\\tSize: 16 GB\\n\\tType: DDR5\\n\\tSpeed: 5600 MT/s\\n\\tManufacturer: Toy\\n"
    "\\tPart Number: T16   \\n\\tConfigured Memory Speed: 4800 MT/s\\n\\n'; "
)
EMPTY = "printf 'Memory Device\\n\\tSize: No Module Installed\\n\\tType: Unknown\\n\\n'"


def write(root: Path, name: str, text: str) -> None:
    """One file and its folders."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def server(root: Path) -> Path:
    """Two sockets of two cores with two threads, two NUMA nodes, disks and cards."""
    places = [(socket, core) for _ in "ab" for socket in (0, 1) for core in (0, 1)]
    write(root, "proc/cpuinfo", "\n".join(CPU.format(n=n, socket=s, core=c) for n, (s, c) in enumerate(places)))
    write(root, "proc/meminfo", "MemTotal:       33554432 kB\n")
    write(root, "etc/os-release", 'PRETTY_NAME="Toy Linux 1"\n')
    for number, (socket, _) in enumerate(places):
        cache = f"sys/devices/system/cpu/cpu{number}/cache"
        for index, kind, size, shared in (
            (0, "Data", "48K", f"{number % 4},{number % 4 + 4}"),
            (3, "Unified", "32768K", f"s{socket}"),
        ):
            level = {0: "1", 3: "3"}[index]
            for key, value in (("type", kind), ("size", size), ("shared_cpu_list", shared), ("level", level)):
                write(root, f"{cache}/index{index}/{key}", f"{value}\n")
    for key, value in (("cpuinfo_min_freq", "800000"), ("base_frequency", "2100000"), ("cpuinfo_max_freq", "4100000")):
        write(root, f"sys/devices/system/cpu/cpu0/cpufreq/{key}", value)
    for node, distance in enumerate(("10 21", "21 10")):
        write(root, f"sys/devices/system/node/node{node}/distance", distance)
    devices(root)
    return root


def devices(root: Path) -> None:
    """Two NVMe disks, one spinning, a stick, a loop; two ports of one card, one that is down, a bridge."""
    for name, sectors, rotational, removable, model in (
        ("nvme0n1", "7501476528", "0", "0", "Toy P5"), ("nvme1n1", "7501476528", "0", "0", "Toy P5"),
        ("nvme0c0n1", "7501476528", "0", "0", "Toy P5"), ("sda", "1953525168", "1", "0", "Toy Disk"),
        ("sdb", "60000000", "0", "1", "Stick"), ("loop0", "8", "0", "0", ""),
    ):  # fmt: skip
        for key, value in (
            ("size", sectors),
            ("queue/rotational", rotational),
            ("removable", removable),
            ("device/model", model),
        ):
            write(root, f"sys/block/{name}/{key}", f"{value}\n")
    for port, speed, kind, where in (
        ("eth0", "25000", "1", "0000:01:00.0"),
        ("eth1", "25000", "1", "0000:01:00.1"),
        ("ib0", "-1", "32", "0000:02:00.0"),
    ):
        device = root / "sys/devices" / where
        device.mkdir(parents=True)
        for key, value in (("speed", speed), ("type", kind)):
            write(root, f"sys/class/net/{port}/{key}", value)
        (root / "sys/class/net" / port / "device").symlink_to(device)
    write(root, "sys/class/net/br0/type", "1")


def program(folder: Path, name: str, script: str) -> None:
    """A program that a shell runs."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def path_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the programs of this folder are on PATH: the shell's own are built in."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", str(folder))
