"""Measures the harness tax: a null backend in the place of a run's own, all else alike (audit.tax defines it)."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from audit.tax import Tax, latencies, rate_of
from loadgen_harness import registry, rounds
from loadgen_harness.errors import BadInput, RunFailed
from loadgen_harness.launch import Status, launch
from loadgen_harness.metrics import percentile
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Division, RunSpec, Scenario, TestMode

SECONDS = 2.0
START_S = 1.5  # of the process of a null run: imports and data
HANG_S = 60.0
SAMPLES_S, SAMPLES_S_MOST = 50_000, 500_000  # Offline: expected of one sample a batch, and of any batch
QUERY_MS = 0.005  # SingleStream and MultiStream: expected of a query, so that enough are generated
TOKENS_S = 50_000  # expected of a null stream
SERVER = ("coalesce_queries", "max_async_queries", "num_issue_query_threads")
WORKERS = "inline", "thread"  # by default: Server's has a hop

Progress = Callable[[Status], None]


@dataclass(frozen=True)
class Layout:
    """What the tax depends on: runs of one layout share a measurement, whatever their models."""

    streaming: bool
    scenario: Scenario  # LoadGen's: Server for Interactive
    rate: float  # Server's queries/s, else 0
    width: int  # samples of a MultiStream query, else 1
    slots: str
    driver: str
    worker: str
    copies: int
    pin: str
    spin_us: float
    postprocess: str
    max_batch: int
    max_wait_ms: float

    def text(self) -> str:
        """The layout in a few words."""
        wait = f" within {self.max_wait_ms:g} ms" if self.max_batch > 1 and self.max_wait_ms else ""
        words = [
            self.driver,
            ("stream" if self.streaming and not self.worker else self.worker)
            + (f" × {self.copies}" if self.copies > 1 else ""),
            f"slots {self.slots}" if self.slots else "" if self.streaming else f"batch ≤ {self.max_batch}{wait}",
            f"pin {self.pin}" if self.pin else "",
            f"spin {self.spin_us:g} µs" if self.spin_us else "",
            "postprocess apart" if self.postprocess else "",
            f"{self.rate:g} queries/s" if self.rate else "",
        ]
        return ", ".join(word for word in words if word)


def layout(spec: RunSpec, settings: Mapping[str, Any]) -> Layout:
    """The layout of a run of `spec` under LoadGen's `settings`."""
    streaming = _benchmark(spec).streaming
    server = spec.scenario.loadgen == Scenario.SERVER
    devices = spec.device.split(",")
    return Layout(
        streaming=streaming,
        scenario=Scenario(spec.scenario.loadgen),
        rate=float(settings["server_target_qps"]) if server else 0.0,
        width=int(settings["multi_stream_samples_per_query"]) if spec.scenario is Scenario.MULTI_STREAM else 1,
        slots=spec.options.get("slots", ""),
        driver=spec.driver,
        worker=spec.worker or ("" if streaming else WORKERS[server]),
        copies=max(len(devices), spec.replicas),
        pin="" if spec.pin == "none" else spec.pin,
        spin_us=spec.spin_us,
        postprocess=spec.postprocess,
        max_batch=max(spec.max_batch, 1),
        max_wait_ms=spec.max_wait_ms,
    )


def spec_of(run: Run) -> RunSpec:
    """The spec behind a finished performance run, its driver the one that it had; raises BadInput for other folders."""
    if not run.meta or run.mode not in (TestMode.PERFORMANCE, TestMode.SUBMISSION) or not run.meta.get("settings"):
        raise BadInput(f"{run.path} holds no performance run of this suite: give the folder of one.")
    known = {field.name for field in fields(RunSpec)} - {"user_conf", "overrides", "test"}
    values = {key: value for key, value in run.spec.items() if key in known and value is not None}
    values |= {
        "scenario": Scenario(values["scenario"]),
        "mode": TestMode(values["mode"]),
        "division": Division(values["division"]),
        "output": run.path,
        "driver": str(run.meta.get("driver", "")),
        "worker": _worker(run),
    }
    if "data_dir" in values:
        values["data_dir"] = Path(values["data_dir"])
    return RunSpec(**values)


def _worker(run: Run) -> str:
    """The worker that the run had, whoever chose it; before format 2 a streaming run's was no worker's name."""
    used = str((run.meta.get("harness") or {}).get("worker", ""))
    return used if used in registry.names(registry.WORKERS) else str(run.spec.get("worker", ""))


def estimate_s(layout: Layout, seconds: float) -> float:
    """Expected wall seconds of a measurement: a null run, and an Offline one for the ceiling."""
    return (START_S + seconds) * (1 if layout.scenario is Scenario.OFFLINE else 2)


def order(layout: Layout) -> bool:
    """Offline layouts first: their own rate is the ceiling of the others."""
    return layout.scenario is not Scenario.OFFLINE


def measure(
    run: Run, seconds: float, ceilings: dict[Layout, float | None], on_progress: Progress = lambda status: None
) -> Tax:
    """The tax of a run, by null runs of about `seconds` made beside its folder and removed.

    `ceilings` holds what is known of other layouts and is added to. Raises SuiteError where a null run fails.
    """
    spec = spec_of(run)
    own = layout(spec, run.meta["settings"])
    with tempfile.TemporaryDirectory(prefix=".tax-", dir=run.path.parent) as scratch:
        null = launch(null_spec(run, seconds, Path(scratch) / "null"), on_progress=on_progress)
        tax = replace(figures(null), benchmark=spec.benchmark, layout=own.text(), seconds=seconds)
        offline = replace(own, scenario=Scenario.OFFLINE, rate=0.0, width=1)
        if own == offline:
            ceilings.setdefault(own, rate_of(null))
        elif offline not in ceilings:
            ceilings[offline] = _ceiling(run, seconds, Path(scratch) / "ceiling", on_progress)
    return replace(tax, ceiling=ceilings[offline])


def figures(null: Run) -> Tax:
    """What a null run says by itself: all of a Tax but its ceiling and what names it."""
    table = null.samples
    if table is None or not len(table):
        raise RunFailed("the null run left no per-sample record")
    gil = (null.meta.get("harness") or {}).get("gil") or {}
    if null.scenario == "Offline":
        rate = rate_of(null)
        return Tax(samples=len(table), mean_ns=1e9 / rate if rate else None, gil=gil)
    added = latencies(table, null.scenario)
    first = table[table["first_token"] > 0]
    begun = np.where(first["scheduled"] > 0, first["scheduled"], first["issued"])
    return Tax(
        samples=len(added),
        mean_ns=float(np.mean(added)),
        p99_ns=float(percentile(added, 0.99)),
        first_p99_ns=float(percentile(first["first_token"] - begun, 0.99)) if len(first) else None,
        gil=gil,
    )


def store(runs: Iterable[Run], tax: Tax) -> None:
    """Write `tax` into the run.json of every run, atomically."""
    for run in runs:
        path = run.file("run.json")
        content = {**json.loads(path.read_text(encoding="utf-8")), "tax": asdict(tax)}
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)


def null_spec(run: Run, seconds: float, output: Path, scenario: Scenario | None = None) -> RunSpec:
    """The null run for `run`: the same but its backend and its length, or also its scenario."""
    spec, settings = spec_of(run), run.meta["settings"]
    own = layout(spec, settings)
    chosen = scenario or spec.scenario
    tokens = _tokens(run)
    options = {"slots": own.slots or "1", "tokens": str(tokens)} if own.streaming else {}
    pace = _pace(own, Scenario(chosen.loadgen), tokens)
    if chosen.loadgen == Scenario.SERVER:
        pace = {key: float(settings[f"server_{key}"]) for key in ("target_qps", *SERVER)}
    elif chosen is Scenario.MULTI_STREAM:
        pace["samples_per_query"] = own.width
    return replace(
        spec,
        backend="null_stream" if own.streaming else "null",
        options=options,
        scenario=chosen,
        mode=TestMode.PERFORMANCE,
        division=Division.OPEN,
        worker=own.worker,
        overrides={"min_duration": seconds * 1000, "min_query_count": 1, **pace},
        hang_timeout_s=HANG_S,
        output=output,
    )


def _pace(own: Layout, scenario: Scenario, tokens: int) -> dict[str, float]:
    """What LoadGen shall expect of the null backend: enough queries for the time, not many more."""
    if scenario is Scenario.OFFLINE:
        samples = min(SAMPLES_S + 10_000 * own.max_batch * own.copies, SAMPLES_S_MOST)
        return {"target_qps": max(TOKENS_S / tokens, 1) if own.streaming else samples}
    return {"target_latency": 1000 * tokens / TOKENS_S if own.streaming else QUERY_MS}


def _tokens(run: Run) -> int:
    """Output tokens of the run's mean sample, at least 1."""
    table = run.samples
    return max(1, round(float(np.mean(table["tokens"])))) if table is not None and len(table) else 1


def _ceiling(run: Run, seconds: float, output: Path, on_progress: Progress) -> float | None:
    """Samples/s of an Offline null run in the run's layout; None where the round has no Offline for the benchmark."""
    spec = spec_of(run)
    if Scenario.OFFLINE not in rounds.load(spec.round).rules(spec.benchmark).limits:
        return None
    return rate_of(launch(null_spec(run, seconds, output, Scenario.OFFLINE), on_progress=on_progress))


def _benchmark(spec: RunSpec) -> Benchmark:
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, spec.benchmark)
    return benchmark
