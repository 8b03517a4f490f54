"""The processors and memory of this machine, from /proc, /sys and (where root runs it) dmidecode."""

from __future__ import annotations

import platform
import re
from collections import Counter, defaultdict
from pathlib import Path

from loadgen_harness.system_gpus import UNSEEN, counted, said

ROOT = Path("/")
CPUS = "sys/devices/system/cpu"
CLOCKS = (("cpuinfo_min_freq", "min"), ("base_frequency", "base"), ("cpuinfo_max_freq", "boost"))  # kHz
UNITS = {"K": 1, "M": 1024, "G": 1024**2}  # in KiB
MODULE_UNITS = {"MB": 1, "GB": 1024, "TB": 1024**2}  # dmidecode's, in MiB
NOTHING = ("", "Unknown", "Not Specified", "None", "NO DIMM", "Not Provided")  # makers' words for a field left empty


def processor(root: Path = ROOT) -> dict[str, str]:
    """Model, sockets, cores of one socket, clocks, caches and NUMA nodes."""
    records = _records(root)
    packages, cores = _topology(records, root)
    return {
        "host_processor_model_name": _model(records, root),
        "host_processors_per_node": str(packages),
        "host_processor_core_count": str(max(cores // packages, 1)),
        "host_processor_frequency": _clocks(root),
        "host_processor_caches": _caches(root),
        "host_processor_interconnect": _numa(root),
    }


def memory(root: Path = ROOT) -> dict[str, str]:
    """Capacity and modules; without dmidecode what the kernel has, and modules unseen."""
    modules = _modules()
    if modules:
        total = sum(size for size, _ in modules)
        return {"host_memory_capacity": _size(total), "host_memory_configuration": _configuration(modules)}
    found = re.search(r"MemTotal:\s+(\d+)", read(root / "proc/meminfo"))
    capacity = f"{int(found[1]) / 2**20:.0f} GiB" if found else UNSEEN
    return {"host_memory_capacity": capacity, "host_memory_configuration": UNSEEN}


def read(path: Path) -> str:
    """A kernel file's text, empty where it is absent or refuses (a link that is down, a file for root)."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().strip("\0")
    except OSError:
        return ""


def _records(root: Path) -> list[dict[str, str]]:
    blocks = read(root / "proc/cpuinfo").split("\n\n")
    split = [[line.partition(":") for line in block.splitlines()] for block in blocks]
    return [{key.strip(): value.strip() for key, _, value in lines} for lines in split if lines]


def _model(records: list[dict[str, str]], root: Path) -> str:
    names = counted(dict.fromkeys(record.get("model name", "") for record in records))
    return names or read(root / "proc/device-tree/model") or platform.processor() or UNSEEN


def _topology(records: list[dict[str, str]], root: Path) -> tuple[int, int]:
    """(sockets, cores of all of them): sysfs knows it on every architecture, cpuinfo on x86, also in small VMs."""
    folders = list((root / CPUS).glob("cpu[0-9]*/topology"))
    pairs = {(read(each / "physical_package_id"), read(each / "core_id")) for each in folders}
    pairs = {pair for pair in pairs if all(pair)} or {
        (record["physical id"], record["core id"]) for record in records if {"physical id", "core id"} <= record.keys()
    }
    logical = sum("processor" in record for record in records)
    return (len({package for package, _ in pairs}), len(pairs)) if pairs else (1, max(logical, 1))


def _clocks(root: Path) -> str:
    folder = root / CPUS / "cpu0/cpufreq"
    found = [(read(folder / name), label) for name, label in CLOCKS]
    return "; ".join(f"{int(clock) // 1000} MHz ({label})" for clock, label in found if clock.isdigit())


def _caches(root: Path) -> str:
    """Each level's sum over the machine and the number of caches that make it up."""
    each: dict[str, dict[str, int]] = defaultdict(dict)
    for folder in sorted((root / CPUS).glob("cpu[0-9]*/cache/index[0-9]*")):
        size, kind = read(folder / "size"), read(folder / "type")
        if size[:-1].isdigit() and size[-1] in UNITS:
            name = f"L{read(folder / 'level')}{ {'Data': 'd', 'Instruction': 'i'}.get(kind, '') }"
            each[name][read(folder / "shared_cpu_list") or folder.parts[-3]] = int(size[:-1]) * UNITS[size[-1]]
    return "; ".join(
        f"{name} cache: {_kib(sum(sizes.values()))} ({len(sizes)} instance{'s' * (len(sizes) > 1)})"
        for name, sizes in sorted(each.items())
    )


def _kib(size: int) -> str:
    return f"{size / 1024:g} MiB" if size >= 1024 else f"{size} KiB"


def _numa(root: Path) -> str:
    """NUMA nodes and their distances, where there are several; which link joins them, the kernel does not tell."""
    nodes = sorted((root / "sys/devices/system/node").glob("node[0-9]*"))
    if len(nodes) < 2:
        return ""
    distances = sorted({int(cell) for node in nodes for cell in read(node / "distance").split() if cell.isdigit()})
    span = f", distances {distances[0]} to {distances[-1]}" if distances else ""
    return f"{len(nodes)} NUMA nodes{span}"


def _modules() -> list[tuple[int, str]]:
    """(MiB, kind) of each memory module, none where dmidecode may not look."""
    found = []
    for block in said("dmidecode", "-t", "17").split("\n\n"):
        fields = dict(line.strip().partition(": ")[::2] for line in block.splitlines())
        number, _, unit = fields.get("Size", "").partition(" ")
        if number.isdigit() and unit in MODULE_UNITS:
            found.append((int(number) * MODULE_UNITS[unit], _kind(fields)))
    return found


def _kind(fields: dict[str, str]) -> str:
    """`DDR5 (Samsung M321R2GA3BB6-CQKDS 4800 MT/s)`."""
    speed = fields.get("Configured Memory Speed", "") or fields.get("Speed", "")
    about = [fields.get(key, "").strip() for key in ("Manufacturer", "Part Number")] + [speed]
    told = " ".join(part for part in about if part not in NOTHING)
    return " ".join(part for part in (fields.get("Type", "").replace("Unknown", ""), told and f"({told})") if part)


def _configuration(modules: list[tuple[int, str]]) -> str:
    found = re.search(r"Error Correction Type: (.+)", said("dmidecode", "-t", "16"))
    ecc = f", {found[1]}" if found and "ECC" in found[1] else ""
    kinds = Counter(modules).items()
    return "; ".join(f"{number}x {_size(size)} {kind}".strip() for (size, kind), number in kinds) + ecc


def _size(mebibytes: int) -> str:
    return f"{mebibytes / 1024:g} GB" if mebibytes >= 1024 else f"{mebibytes} MB"
