"""Where replicas live: which device and which cores each of them gets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from loadgen_harness.errors import BadInput
from loadgen_harness.types import RunSpec

NODES = Path("/sys/devices/system/node")
WORDS = ("", "none", "split", "numa")  # what --pin takes beside groups of cores


@dataclass(frozen=True)
class Place:
    """One replica's device and cores; no cores: wherever the system puts it."""

    device: str
    cores: frozenset[int] = frozenset()


def places(spec: RunSpec, nodes: Path = NODES) -> list[Place]:
    """A Place for each replica of `spec`; raises BadInput for counts that do not fit."""
    devices = [device.strip() for device in spec.device.split(",")]
    if spec.replicas > 1 and len(devices) > 1 and spec.replicas % len(devices):
        raise BadInput(f"{spec.replicas} replicas do not spread evenly over {len(devices)} devices: mend --replicas.")
    count = max(spec.replicas, len(devices))
    cores = groups(spec.pin, count, nodes)
    return [Place(devices[number % len(devices)], cores[number]) for number in range(count)]


def groups(pin: str, count: int, nodes: Path = NODES) -> list[frozenset[int]]:
    """The cores of each of `count` replicas: none, an even split of ours, NUMA nodes, or as given ("0-3/4-7")."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if pin in ("", "none"):
        return [frozenset()] * count
    if pin == "split":
        return _split(allowed, count)
    if pin == "numa":
        found = [cores & frozenset(allowed) for cores in _numa(nodes)]
        usable = [cores for cores in found if cores]
        if not usable:
            raise BadInput("this system shows no NUMA nodes: use --pin split, or name the cores (0-3/4-7).")
        return [usable[number % len(usable)] for number in range(count)]
    named = [cores_of(part) for part in pin.split("/")]
    if len(named) != count:
        raise BadInput(f"--pin names {len(named)} groups of cores for {count} replicas: give one for each.")
    beyond = sorted(frozenset().union(*named) - frozenset(allowed))
    if beyond:
        raise BadInput(f"--pin names core {beyond[0]}, which this process may not use: choose from {_text(allowed)}.")
    return named


def cores_of(text: str) -> frozenset[int]:
    """Cores in the kernel's notation, such as "0-3,8"; raises BadInput for anything else."""
    cores: set[int] = set()
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            begin, end = int(first), int(last) if dash else int(first)
            if begin > end:
                raise ValueError
            cores.update(range(begin, end + 1))
    except ValueError:
        raise BadInput(f"--pin {text!r} names no cores: use none, split, numa, or groups such as 0-3/4-7.") from None
    return frozenset(cores)


def _split(allowed: Sequence[int], count: int) -> list[frozenset[int]]:
    if count > len(allowed):
        raise BadInput(f"{count} replicas cannot split {len(allowed)} cores: use fewer, or --pin none.")
    bounds = [len(allowed) * number // count for number in range(count + 1)]
    return [frozenset(allowed[begin:end]) for begin, end in pairwise(bounds)]


def _numa(nodes: Path) -> list[frozenset[int]]:
    lists = sorted(nodes.glob("node[0-9]*/cpulist"), key=lambda path: int(path.parent.name.removeprefix("node")))
    texts = [path.read_text(encoding="utf-8").strip() for path in lists]
    return [cores_of(text) for text in texts if text]


def _text(cores: Sequence[int]) -> str:
    return f"{cores[0]} to {cores[-1]}" if cores else "none"
