"""Builds run folders as a LoadGen run leaves them, from invented latencies, and golden runs out of the golden tree."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness.run import Run
from loadgen_harness.samples import DTYPE
from loadgen_harness.types import Benchmark, Metric, Scenario, Variant
from power.log import Sample, SampleLog

BEGAN = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
RESULT_KEYS = {
    "SingleStream": "early_stopping_latency_ss",
    "MultiStream": "early_stopping_latency_ms",
    "Server": "result_completed_samples_per_sec",
    "Offline": "result_samples_per_second",
}


@dataclass(frozen=True)
class Made:
    """What a made-up run is to look like; `latency_ms` is its median."""

    scenario: Scenario
    count: int
    latency_ms: float
    benchmark: str = "digits"
    valid: bool = True
    tokens: int = 0
    limit_ms: float = 0.0
    watts: float = 0.0
    mode: str = "PerformanceOnly"
    scheduled: bool = True
    batches: tuple[int, ...] = ()  # sizes, in turn; by default 8 where many samples come at once, else 1
    tax: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


def make(path: Path, made: Made, seed: int = 7) -> Run:
    """A whole run folder at `path`."""
    path.mkdir(parents=True)
    table = samples(made, np.random.default_rng(seed))
    np.save(path / "samples.npy", table)
    length_s = float(table["done"].max() - table["issued"].min()) / 1e9
    _detail(path, made, table, length_s)
    (path / "mlperf_log_summary.txt").write_text("MLPerf Results Summary\n")
    (path / "mlperf_log_trace.json").write_text("")
    (path / "user.conf").write_text(f"*.{made.scenario.loadgen}.target_qps = 100\n")
    entries = ",\n".join(f'{{ "seq_id" : {n}, "qsl_idx" : {n}, "data" : "{n % 256:02X}000000" }}' for n in range(400))
    (path / "mlperf_log_accuracy.json").write_text(f"[\n{entries}\n]\n")
    if made.watts:
        _power(path / "power", made.watts, length_s)
    (path / "run.json").write_text(json.dumps(_meta(made), indent=1))
    return Run(path)


def samples(made: Made, random: np.random.Generator) -> np.ndarray:
    """A per-sample record with a long tail."""
    table = np.zeros(made.count, dtype=DTYPE)
    work = made.latency_ms * 1e6 * random.lognormal(0.0, 0.18, made.count)
    work[random.random(made.count) < 0.004] *= 4
    if made.scenario is Scenario.OFFLINE:
        issued = np.zeros(made.count)
        done = np.cumsum(work / 8)
        started = done - work
        dequeued = started - 2e4
    elif made.scenario.loadgen == "Server":
        issued = np.cumsum(random.exponential(made.latency_ms * 1.4e6, made.count))
        done = np.zeros(made.count)
        free = 0.0
        for n in range(made.count):
            done[n] = free = max(free, issued[n]) + work[n]
        started = done - work
        dequeued = started - 0.05 * work
    else:
        width = 8 if made.scenario is Scenario.MULTI_STREAM else 1
        done = np.cumsum(np.repeat(work[::width], width)[: made.count] / width)
        issued = np.concatenate([[0.0], np.repeat(done[width - 1 :: width], width)[: made.count - 1]])
        issued = np.repeat(issued[::width], width)[: made.count]
        dequeued, started = issued + 3e3, issued + 9e3
    base = 5_000_000_000
    for name, values in (("issued", issued), ("dequeued", np.maximum(dequeued, issued)), ("done", done)):
        table[name] = base + values
    table["started"] = base + np.maximum(started, np.maximum(dequeued, issued))
    table["computed"] = table["done"] - (table["done"] - table["started"]) // 50
    if made.scheduled:
        table["scheduled"] = table["issued"] - 2_000
    table["id"] = table["index"] = np.arange(made.count)
    usual = (8,) if made.scenario in (Scenario.OFFLINE, Scenario.MULTI_STREAM) else (1,)
    table["batch"] = np.resize(made.batches or usual, made.count)
    if made.tokens:
        table["tokens"] = made.tokens
        table["first_token"] = table["started"] + (table["done"] - table["started"]) // 6
    return table


def _detail(path: Path, made: Made, table: np.ndarray, length_s: float) -> None:
    scenario = made.scenario.loadgen
    ended = BEGAN + timedelta(seconds=length_s)
    latency = np.sort(table["done"] - table["issued"])
    value = {"SingleStream": latency[int(0.9 * made.count)], "MultiStream": latency[int(0.99 * made.count)]}
    records = {
        "loadgen_version": "6.0.17 @ d6147c7eb7",
        "effective_scenario": scenario,
        "effective_test_mode": made.mode,
        "effective_target_latency_ns": int(made.limit_ms * 1e6),
        "power_begin": BEGAN.strftime("%m-%d-%Y %H:%M:%S.%f")[:-3],
        "power_end": ended.strftime("%m-%d-%Y %H:%M:%S.%f")[:-3],
        "result_query_count": made.count,
        "generated_samples_per_query": 1,
        RESULT_KEYS[scenario]: float(value.get(scenario, made.count / length_s)),
        "result_validity": "VALID" if made.valid else "INVALID",
        "result_min_duration_met": made.valid,
        "num_errors": 0,
        **made.more,
    }
    notes = {"is_error": False, "is_warning": False}
    lines = [":::MLLOG " + json.dumps({"key": key, "value": each, "metadata": notes}) for key, each in records.items()]
    (path / "mlperf_log_detail.txt").write_text("\n".join(lines) + "\n")


def _power(folder: Path, watts: float, length_s: float) -> None:
    folder.mkdir()
    meter = {"scope": "package", "uncertainty": 0.4, "estimated": True, "averaging_s": 0.0, "interval_s": 0.1}
    (folder / "meters.json").write_text(json.dumps({"idle_s": 0.0, "meters": {"estimate": meter}}))
    log = SampleLog(folder / "estimate.csv")
    random = np.random.default_rng(3)
    for moment in np.arange(-0.5, length_s + 0.5, 0.1):
        busy = 0 <= moment <= length_s
        watt = watts * (1 if busy else 0.3) + float(random.normal(0, 0.6))
        log.write(Sample(round((100 + moment) * 1e9), BEGAN.timestamp() + float(moment), watt))
    log.close()


def _meta(made: Made) -> dict[str, Any]:
    spec = {"benchmark": made.benchmark, "backend": "onnxruntime", "scenario": made.scenario.value, "mode": made.mode}
    spec |= {"round": "mini", "division": "closed", "precision": "int8", "device": "cpu", "test": ""}
    return {
        "format": 1,
        "suite": {"version": "0.1.0", "git": "abc1234"},
        "spec": spec,
        "round": "mini",
        "settings": {
            "scenario": made.scenario.loadgen,
            "min_duration_ms": 2000,
            "target_qps": 100.0,
            "max_duration": 0,
            "server_target_latency_ns": int(made.limit_ms * 1e6),
            "use_token_latencies": bool(made.tokens),
            "ttft_latency": int(made.limit_ms * 1e6),
        },
        "locked": ["min_duration_ms"],
        "backend": {"name": "onnxruntime", "provider": "CPUExecutionProvider", "threads": "2"},
        "versions": {"onnxruntime": "1.30.0", "numpy": "2.4.0", "python": "3.11.9"},
        "system": {"host_processor_model_name": "Toy CPU 3000", "host_memory_capacity": "24 GiB", "kernel": "6.1"},
        "command": [
            str(Path("/", "opt", "bin", "lgh")),
            "run",
            made.benchmark,
            "--output",
            str(Path("/", "home", "me", "one")),
        ],
        "memory": {"host_peak_bytes": 312_000_000, "device_peak_bytes": None},
        "digests": {"mlperf_log_detail.txt": "ab" * 32, "samples.npy": "cd" * 32},
        "model_sha256": "12" * 32,
        "started": "2026-11-22T06:00:00+00:00",
        "wall_s": 4.2,
        "synthetic": False,
        "harness": {"driver": "native", "worker": "inline", "gil": {"waits": made.count}},
        **({"tax": dict(made.tax)} if made.tax else {}),
    }


def golden(shared: Path, target: Path, scenario: str, part: str) -> Run:
    """A run folder out of the golden tree: `part` is performance, accuracy, TEST01 or TEST04, logs whole."""
    place = shared / "golden-v6.1" / "closed" / "Acme" / "results" / "toybox_1x_cpu" / "resnet50" / scenario
    inside = {"performance": "performance/run_1", "accuracy": "accuracy"}.get(part, f"{part}/performance/run_1")
    target.mkdir(parents=True)
    for name in ("mlperf_log_detail.txt", "mlperf_log_summary.txt"):
        shutil.copyfile(place / inside / name, target / name)
    shutil.copyfile(place / "user.conf", target / "user.conf")
    whole = shared / "golden-v6.1-full-accuracy" / scenario / ("" if part == "accuracy" else part)
    log = whole / "accuracy" / "mlperf_log_accuracy.json"
    if part in ("accuracy", "TEST01"):
        shutil.copyfile(log, target / log.name)
    return Run(target)


DIGITS = Benchmark(
    name="digits",
    title="Handwritten digits",
    checker_name="digits",
    variants={"": Variant("digits")},
    metrics=(Metric("accuracy", "%", pattern="accuracy={value:.3f}%, good={correct}, total={n}"),),
    sample="one 28 × 28 image",
    response_dtype="int64",
    backends=("onnxruntime",),
    precisions=("int8",),
    model={"int8": "model/digits-int8.onnx"},
)
RESNET50 = Benchmark(
    name="resnet50",
    title="Image classification",
    checker_name="resnet50",
    variants={"": Variant("resnet50", total_count=50_000, performance_count=1024)},
    metrics=(Metric("acc", unit="%", pattern="accuracy={value:.3f}%, good={correct}, total={n}"),),
    sample="one image",
    response_dtype="float32",
    backends=("null",),
    precisions=("fp32",),
    model={"fp32": "resnet50_v1.onnx"},
)
