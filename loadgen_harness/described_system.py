"""Is the system description complete, and does its network carry what the rules demand of a datacenter system?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from audit import needs
from audit.finding import Finding, Severity
from loadgen_harness.types import Division, SystemType
from submissions.system import NETWORK as NETWORK_KEYS
from submissions.system import NOT_APPLICABLE, TOLD, faults

FILE = "system description"
CLAUSE = "submission rules, system description (JSON): required keys"
TOLD_BY_PLAN = ("submitter", "system_name")
GIGABITS = re.compile(r"(?:(\d+)\s*[x×*]\s*)?(\d+(?:\.\d+)?)\s*(T|G|M)(?:(B)/s|b|igabit|E)", re.ASCII)
SCALE = {"M": 1e6, "G": 1e9, "T": 1e12}
CARDS = ("host_network_card_count", "host_networking", "host_networking_topology")
TYPE_BYTES = {"fp64": 8, "int64": 8, "fp32": 4, "int32": 4, "fp16": 2, "bf16": 2, "int16": 2, "int8": 1, "uint8": 1}
WORD = 4.0  # bytes of a type that nobody names


def complete(
    described: Mapping[str, Any] | None, stated: Mapping[str, str], division: Division = Division.CLOSED
) -> Iterator[Finding]:
    """Faults of a description that was given; without one, what the plan does not state and nobody can see."""
    if described is None:
        for key in (*TOLD_BY_PLAN, *(NETWORK_KEYS if division is Division.NETWORK else ())):
            if not stated.get(key):
                fix = f"State {key} under [submission] of the plan, or give --system."
                yield Finding("system", Severity.WARNING, FILE, key, "missing", "a name", CLAUSE, fix)
        return
    whole = {**stated, **described}
    wrong = {key: (found, wanted) for key, found, wanted in faults(whole, division)}
    for key, (found, wanted) in wrong.items():
        yield Finding("system", Severity.ERROR, FILE, key, found, wanted, CLAUSE, f"Write {wanted} for {key}.")
    for key in (each for each in TOLD if each not in wrong):
        if whole.get(key) == NOT_APPLICABLE and not (key in TOLD_BY_PLAN and stated.get(key)):
            wanted = "what it is: every system has one"
            fix = f"Write it with `lgh system --output FILE --set {key}=…`."
            yield Finding("system", Severity.WARNING, FILE, key, NOT_APPLICABLE, wanted, CLAUSE, fix)


def bandwidth(benchmark: str, samples_per_s: float, type_name: str, described: Mapping[str, Any]) -> Iterator[Finding]:
    """A datacenter system can take in inputs and give out outputs as fast as it answers them."""
    if SystemType.DATACENTER.value not in str(described.get("system_type", "")):
        return
    wanted = needs.bandwidth(benchmark, samples_per_s, TYPE_BYTES.get(type_name, WORD))
    has = declared(described)
    for way, least in (("ingress", wanted.ingress), ("egress", wanted.egress)):
        if least is None:
            continue
        demand = f">= {rate(least)} at {samples_per_s:,.6g} samples/s" if least else "more than 0"
        what = ("not stated" if has is None else rate(has), demand)
        if has is None and least:
            fix = 'State the number of NICs and the bandwidth of each, such as host_networking = "2x 100GbE".'
            yield Finding("bandwidth", Severity.WARNING, benchmark, way, *what, wanted.source, fix)
        elif has is not None and has <= least:
            fix = "Put in faster or more NICs, or submit a lower rate; compressed inputs need the Working Group's word."
            yield Finding("bandwidth", Severity.ERROR, benchmark, way, *what, wanted.source, fix)


def declared(described: Mapping[str, Any]) -> float | None:
    """Bytes per second of all network cards, as far as the description states them in numbers; None: it does not.

    The largest that one of the keys states; a count of cards that stands alone multiplies what has no count of its own.
    """
    alone = str(described.get("host_network_card_count", "")).strip()
    cards = int(alone) if alone.isdecimal() and int(alone) else 1
    found = [_bytes(text, cards) for key in CARDS if (text := str(described.get(key, "")))]
    return max((each for each in found if each), default=None)


def _bytes(text: str, cards: int) -> float:
    each = [
        (int(count) if count else cards) * float(figure) * SCALE[unit] / (1 if whole else 8)
        for count, figure, unit, whole in GIGABITS.findall(text)
    ]
    return max(each, default=0.0)


def rate(bytes_per_s: float) -> str:
    """Bytes per second for people."""
    return f"{bytes_per_s / 1e9:.3g} GB/s" if bytes_per_s >= 1e9 else f"{bytes_per_s / 1e6:.3g} MB/s"
