"""The harness tax: what a null backend in the place of a run's own takes, kept in its run.json and judged here.

Added latency is the null run's latency, from when LoadGen meant to issue a sample (where the driver knows that, else
from when it did) to its completion, less the wait for its batch to fill, which the batching policy wants. A
MultiStream latency is that of a whole query. In Offline, where every sample waits for the others, it is the time per
sample: one second by the null run's rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audit.finding import Finding, Severity
from loadgen_harness.run import Run

TOLERATED = 0.02
DEFINITION = (
    "Added latency is that of a null backend in the same layout (driver, worker, replicas, batching, rate), less the "
    "batch wait that the policy wants; in Offline it is the time per sample. The benchmark's own Python before and "
    "after the model counts as added. The ceiling is the rate of an Offline run of the null backend."
)
FEW = 100  # samples; with fewer the p99 is the slowest one


@dataclass(frozen=True)
class Tax:
    """What was measured. Times in ns, `ceiling` in samples/s of an Offline null run in the same layout.

    `first_p99_ns` is the added time to the first token of a streaming run; None stands for what is not known there.
    `gil` counts how often and how long a native driver's threads waited for Python's lock: waits, mean_us, max_us,
    over_1ms; it is empty where the driver cannot see that. `error` says why nothing was measured.
    """

    benchmark: str = ""
    layout: str = ""
    seconds: float = 0.0
    samples: int = 0
    mean_ns: float | None = None
    p99_ns: float | None = None
    first_p99_ns: float | None = None
    ceiling: float | None = None
    gil: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Share:
    """A tax against what it is measured by: `added_ns` (called `added`) of `whole_ns` (called `whole`, or `short`)."""

    added: str
    added_ns: float
    whole: str
    whole_ns: float
    short: str

    @property
    def part(self) -> float:
        """Between 0 and, for a harness slower than its model, more than 1."""
        return self.added_ns / self.whole_ns

    @property
    def limited(self) -> bool:
        """Whether the rules set what it is measured by."""
        return self.short == "limit"

    @property
    def exceeds(self) -> bool:
        """Whether it is more than what is tolerated."""
        return self.part > TOLERATED


def of(run: Run) -> Tax | None:
    """The tax in the run's run.json; None where none was measured or what is there makes no sense."""
    found = run.meta.get("tax")
    if not isinstance(found, Mapping):
        return None
    gil = found.get("gil")
    counted = {str(key): _number(value) for key, value in gil.items()} if isinstance(gil, Mapping) else {}
    return Tax(
        benchmark=str(found.get("benchmark", "")),
        layout=str(found.get("layout", "")),
        seconds=_number(found.get("seconds")) or 0.0,
        samples=int(_number(found.get("samples")) or 0),
        mean_ns=_number(found.get("mean_ns")),
        p99_ns=_number(found.get("p99_ns")),
        first_p99_ns=_number(found.get("first_p99_ns")),
        ceiling=_number(found.get("ceiling")),
        gil={key: value for key, value in counted.items() if value is not None},
        error=str(found.get("error", "")),
    )


def share(run: Run, tax: Tax) -> Share | None:
    """The tax beside the run's latency limit; beside the run's own mean where its scenario has no limit."""
    settings = run.meta.get("settings") or {}
    if run.scenario != "Server":
        return _share(("mean", tax.mean_ns), ("the run's own mean", own_mean(run)), "mean")
    if settings.get("use_token_latencies"):
        limit = ("the limit of the time to the first token", _number(settings.get("ttft_latency")))
        return _share(("p99 of the first token", tax.first_p99_ns), limit, "limit")
    return _share(
        ("p99", tax.p99_ns), ("the latency limit", _number(settings.get("server_target_latency_ns"))), "limit"
    )


def _share(added: tuple[str, float | None], whole: tuple[str, float | None], short: str) -> Share | None:
    """None where one of the two is not known."""
    if added[1] is None or not whole[1]:
        return None
    return Share(added[0], added[1], whole[0], whole[1], short)


def own_mean(run: Run) -> float | None:
    """The run's own mean latency, or its time per sample in Offline, by the definitions above; None without samples."""
    if run.scenario == "Offline":
        rate = rate_of(run)
        return 1e9 / rate if rate else None
    table = run.samples
    return float(np.mean(latencies(table, run.scenario, waits=True))) if table is not None and len(table) else None


def rate_of(run: Run) -> float | None:
    """Samples per second of an Offline run."""
    return _number(run.log.get("result_samples_per_second"))


def latencies(samples: np.ndarray, scenario: str, *, waits: bool = False) -> np.ndarray:
    """Latency in ns per sample, per query in MultiStream, with or without the batch waits; at least one sample."""
    begun = np.where(samples["scheduled"] > 0, samples["scheduled"], samples["issued"])
    spans: np.ndarray = samples["done"] - begun
    if not waits:
        spans = spans - (samples["started"] - samples["dequeued"])
    if scenario != "MultiStream":
        return spans
    order = np.argsort(samples["issued"], kind="stable")
    starts = np.flatnonzero(np.diff(samples["issued"][order], prepend=-1))
    slowest: np.ndarray = np.maximum.reduceat(spans[order], starts)
    return slowest


def findings(run: Run) -> Iterator[Finding]:
    """A warning where the harness takes more of the run's latency limit than is tolerated.

    A scenario without a limit has none: what the harness adds there is shown beside the run's own mean.
    """
    tax = of(run)
    judged = share(run, tax) if tax else None
    if tax is None or judged is None or not judged.limited or not judged.exceeds:
        return
    few = f"; of {tax.samples} samples" if tax.samples < FEW and run.scenario != "Offline" else ""
    yield Finding(
        check="tax",
        severity=Severity.WARNING,
        file="run.json",
        key="tax",
        found=f"{judged.added} {micro(judged.added_ns)} added by the harness, {judged.part:.1%} of {judged.whole}{few}",
        wanted=f"at most {TOLERATED:.0%} of {judged.whole} ({micro(TOLERATED * judged.whole_ns)})",
        clause="this suite: a result should be the model's, not the harness's (docs/tax.md)",
        fix="Try the native driver, larger batches or fewer hops (`--worker inline`); keep other work off its cores.",
    )


def micro(nanoseconds: float) -> str:
    """A duration in microseconds."""
    return f"{nanoseconds / 1e3:,.1f} µs"


def _number(value: Any) -> float | None:
    """A finite number from 0 up, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < float("inf") else None
