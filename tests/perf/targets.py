"""What the measurements must show: one table, checked row by row."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.perf.parts import client, generation, power, reader, runtimes
from tests.perf.ratios import Row

FIGURES = {"median": "median", "ratio": "ratio to {}", "ratio_low": "lower end of the ratio's interval, to {},"}
BOUNDS = {"≥": operator.ge, "≤": operator.le, ">": operator.gt}


@dataclass(frozen=True)
class Target:
    """A bound on one figure of one row."""

    part: str
    case: str
    variant: str
    figure: str  # an attribute of Row
    bound: str
    value: float

    @property
    def sentence(self) -> str:
        """What is demanded."""
        where = ", ".join(filter(None, [self.part, self.case, self.variant]))
        return f"{where}: {FIGURES[self.figure].format(self.yardstick)} {self.bound} {self.value:g}"

    @property
    def yardstick(self) -> str:
        """What its ratio is to."""
        if self.part == "client":
            return client.BARE
        if self.part == "reader":
            return reader.OFFICIAL
        if self.part == "power":
            return power.WITHOUT
        return "the bare loop" if self.part in ("models", "runtimes") else "the C++ queue"


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured for it; nan where nothing was."""

    target: Target
    measured: float

    @property
    def met(self) -> bool:
        """Whether the measured figure keeps the bound; what was not measured keeps nothing."""
        return not math.isnan(self.measured) and BOUNDS[self.target.bound](self.measured, self.target.value)


REAL = ("null, 50 us, busy", "null, 200 us, busy", "null, 50 us, asleep", "digits int8, onnxruntime")

TARGETS = (
    Target("ceiling", "p99 at most 10 ms", "bridge, thread", "ratio", "≥", 0.9),
    Target("offline", "batch 4096", "bridge, thread", "ratio", "≥", 0.2),
    Target("offline", "batch 65536", "bridge, thread", "ratio", "≥", 0.2),
    Target("latency", "SingleStream p90", "bridge, inline", "median", "≤", 2.5),
    Target("latency", "SingleStream p90", "bridge, thread", "ratio", "≤", 8.0),
    Target("busy", "p99 with 1 busy in a process of its own", "bridge, process", "median", "≤", 1.0),
    *(Target("models", case, "bridge", "ratio_low", ">", 0.97) for case in REAL),
    *(Target("runtimes", name, "bridge", "ratio_low", "≥", 0.97) for name, *_ in runtimes.WAYS),
    Target("generation", f"1 in flight: TPOT, {generation.ADDED}", generation.OVER_HTTP.name, "median", "≤", 2.0),
    Target("client", "64 in flight: requests/s", client.OURS, "ratio", "≥", 0.1),
    Target("client", "64 in flight, paced: added TTFT p50", client.OURS, "median", "≤", 1.0),
    Target("client", "64 in flight, paced: added TPOT p50", client.OURS, "median", "≤", 0.05),
    *(Target("reader", case, reader.OURS, "median", "≥", 300.0) for case in reader.CASES),
    Target("power", power.SERVER, power.WITH, "ratio", "≤", 1.01),
    Target("power", power.OFFLINE, power.WITH, "ratio", "≥", 0.99),
    Target("models", "null, 0 us: added time", "bridge", "median", "≤", 0.3),
    # 1 byte of noise a sample: pages of the allocator, the interpreter's own
    Target("memory", "growth beyond LoadGen's and samples.npy", "bridge, inline", "median", "≤", 1.0),
    Target("memory", "growth beyond LoadGen's and samples.npy", "bridge, thread", "median", "≤", 1.0),
)


def verdicts(rows: Iterable[Row], parts: Iterable[str], targets: Iterable[Target] = TARGETS) -> list[Verdict]:
    """A verdict for each target of the parts that were measured."""
    found: Mapping[tuple[str, str, str], Row] = {row.key: row for row in rows}
    measured = set(parts)
    return [
        Verdict(each, getattr(found.get((each.part, each.case, each.variant)), each.figure, math.nan))
        for each in targets
        if each.part in measured
    ]
