"""What benchmarks need of a machine and of a network, as far as public sources state it: `needs.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

GB = 1e9
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Need:
    """What one benchmark needs; None is unknown for the reason in `unknown`, and sizes are in GB of 10^9 bytes.

    `ingress` and `egress` are elements of one sample on the network, `ingress_bytes` its bytes whatever the type; 0
    means that the rules only ask for more than none.
    """

    data: str = ""
    data_gb: float | None = None
    model_gb: float | None = None
    disk_gb: float | None = None
    memory_gb: float | None = None
    accelerator_gb: float | None = None
    ingress: float | None = None
    ingress_bytes: float | None = None
    egress: float | None = None
    note: str = ""
    unknown: str = ""
    source: str = ""

    def in_ram_gb(self, samples: int, type_bytes: float) -> float | None:
        """What that many samples take, by the elements that the rules count for one; None where they count none."""
        each = self.ingress_bytes or (self.ingress or 0) * type_bytes
        return samples * each / GB if each else None


@dataclass(frozen=True)
class Bandwidth:
    """The least bytes per second into and out of a system's memory; 0: more than none; None: the rules say nothing."""

    ingress: float | None
    egress: float | None
    source: str


def of(benchmark: str) -> Need:
    """What an official benchmark needs; nothing known for another one."""
    known = _tables()
    table = known.get(benchmark, {})
    own = known[table["same"]] if "same" in table else table
    need = Need(**own)
    return replace(need, source=known["source"]) if own else need


def bandwidth(benchmark: str, samples_per_s: float, type_bytes: float) -> Bandwidth:
    """What the rules' appendix demands of a datacenter system at this throughput, inputs and outputs of one type."""
    need = of(benchmark)
    ingress = _times(need.ingress, samples_per_s * type_bytes)
    if need.ingress_bytes is not None:
        ingress = need.ingress_bytes * samples_per_s
    return Bandwidth(ingress, _times(need.egress, samples_per_s * type_bytes), _tables()["bandwidth_source"])


def size(gb: float | None) -> str:
    """A size for people."""
    if gb is None:
        return UNKNOWN
    return f"{gb / 1000:g} TB" if gb >= 1000 else f"{gb:.3g} GB" if gb >= 1 else f"{gb * 1000:.3g} MB"


def _times(elements: float | None, factor: float) -> float | None:
    return None if elements is None else elements * factor


@functools.cache
def _tables() -> Mapping[str, Any]:
    return tomllib.loads((resources.files("audit") / "needs.toml").read_text(encoding="utf-8"))
