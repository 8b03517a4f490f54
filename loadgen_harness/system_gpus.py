"""The NVIDIA GPUs of this machine, as nvidia-smi tells of them, in the words of the official system description."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping

UNSEEN = "N/A"
PATIENCE_S = 20
FIELDS = (
    "name",
    "memory.total",
    "clocks.max.sm",
    "clocks.max.memory",
    "pcie.link.gen.max",
    "pcie.link.width.max",
    "ecc.mode.current",
    "driver_version",
)
LINK = re.compile(r"Link \d+: ([\d.]+ GB/s)")
DEVICE = re.compile(r"GPU \d+:")
NONE = {"accelerators_per_node": "0", "accelerator_model_name": UNSEEN, "accelerator_memory_capacity": UNSEEN}


def seen() -> dict[str, str]:
    """The description's keys on accelerators, and `driver`; no accelerator where nvidia-smi is absent."""
    gpus = _gpus()
    if not gpus:
        return dict(NONE)
    found = {
        "accelerators_per_node": str(len(gpus)),
        "accelerator_model_name": counted(gpu["name"] for gpu in gpus),
        "accelerator_memory_capacity": counted(_gib(gpu["memory.total"]) for gpu in gpus),
        "accelerator_frequency": counted(_mhz(gpu.get("clocks.max.sm", "")) for gpu in gpus),
        "accelerator_host_interconnect": counted(_pcie(gpu) for gpu in gpus),
        "accelerator_memory_configuration": counted(_memory(gpu) for gpu in gpus),
        "accelerator_interconnect": _nvlink(),
        "accelerator_interconnect_topology": _topology(),
        "driver": gpus[0].get("driver_version", ""),
    }
    return {key: value for key, value in found.items() if value}


def counted(values: Iterable[str]) -> str:
    """Equal values once, unequal ones as `2x A; 1x B`; those that are empty are left out."""
    counts = Counter(value for value in values if value)
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{number}x {value}" for value, number in counts.items())


def rows(what: str, fields: str) -> list[list[str]]:
    """Rows of an nvidia-smi query, none where it is absent or fails."""
    text = said("nvidia-smi", f"--query-{what}={fields}", "--format=csv,noheader,nounits")
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()]


def said(program: str, *arguments: str) -> str:
    """What a program writes; nothing where it is absent, fails or does not answer in time."""
    if not shutil.which(program):
        return ""
    try:
        answer = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""


def _gpus() -> list[dict[str, str]]:
    """One record a GPU; an older nvidia-smi that refuses the whole question is asked for name and memory alone."""
    for fields in (FIELDS, FIELDS[:2]):
        found = [row for row in rows("gpu", ",".join(fields)) if len(row) == len(fields)]
        if found:
            told = (["" if cell.startswith(("[N", "N/A")) else cell for cell in row] for row in found)
            return [dict(zip(fields, row, strict=True)) for row in told]
    return []


def _gib(mebibytes: str) -> str:
    return f"{int(mebibytes) / 1024:.0f} GiB" if mebibytes.isdigit() else ""


def _mhz(clock: str) -> str:
    return f"{clock} MHz (max)" if clock.isdigit() else ""


def _pcie(gpu: Mapping[str, str]) -> str:
    generation, width = gpu.get("pcie.link.gen.max", ""), gpu.get("pcie.link.width.max", "")
    return f"PCIe Gen{generation} x{width}" if generation.isdigit() and width.isdigit() else ""


def _memory(gpu: Mapping[str, str]) -> str:
    """Clock and error correction; which kind of memory it is, nvidia-smi does not tell."""
    clock, ecc = gpu.get("clocks.max.memory", ""), gpu.get("ecc.mode.current", "")
    return ", ".join(
        part for part in (f"{clock} MHz" if clock.isdigit() else "", f"ECC {ecc.lower()}" if ecc else "") if part
    )


def _nvlink() -> str:
    """`NVLink, 18 links of 26.562 GB/s each`, of one GPU; empty where no link is up."""
    devices = DEVICE.split(said("nvidia-smi", "nvlink", "--status"))[1:]
    links = [LINK.findall(device) for device in devices]
    each = {(len(found), found[0]) for found in links if found}
    return "; ".join(f"NVLink, {number} links of {rate} each" for number, rate in sorted(each))


def _topology() -> str:
    """How pairs of GPUs reach each other (`NV18`, `PIX`, `SYS`: nvidia-smi's own legend), empty for a lone GPU."""
    table = [line.split() for line in said("nvidia-smi", "topo", "-m").splitlines()]
    lines = [line for line in table if line and re.fullmatch(r"GPU\d+", line[0]) and "X" in line]
    ways = Counter(cell for number, line in enumerate(lines) for cell in line[1 : number + 1])
    if len(ways) == 1:
        return f"{next(iter(ways))} between all pairs"
    return "; ".join(f"{way} between {number} pairs" for way, number in ways.items())
