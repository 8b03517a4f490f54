"""`make bench`: Offline through LoadGen against a bare loop, and the highest valid Server rate, on a null backend."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks._metrics.intervals import bootstrap
from loadgen_harness import console, system
from loadgen_harness.launch import launch
from loadgen_harness.types import Division, RunSpec, Scenario, TestMode

# name -> benchmark, precision, backend, its options, batch: models from free to 0.2 ms a sample, and a real one
CASES: dict[str, tuple[str, str, str, dict[str, str], int]] = {
    "null, 0 us": ("resnet50", "fp32", "null", {}, 256),
    "null, 50 us, busy": ("resnet50", "fp32", "null", {"per_sample_us": "50", "busy": "true"}, 64),
    "null, 200 us, busy": ("resnet50", "fp32", "null", {"per_sample_us": "200", "busy": "true"}, 64),
    "null, 50 us, asleep": ("resnet50", "fp32", "null", {"per_sample_us": "50"}, 64),
    "digits int8, onnxruntime": ("digits", "int8", "onnxruntime", {"threads": "1"}, 64),
}
SHORT = {"min_duration": 2000.0, "min_query_count": 1.0}  # the open division lets a run be short
VERDICTS = ("INVALID", "VALID")
CEILING_START_QPS, CEILING_STEPS, LIMIT_MS = 50_000.0, 5, 10.0


@dataclass(frozen=True)
class Comparison:
    """Offline through LoadGen against the bare loop: medians, the ratio's mean with its 95 % interval."""

    case: str
    loadgen_qps: float
    bare_qps: float
    ratio: float
    low: float
    high: float
    added_us: float
    pairs: int


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--only", default="", help="part of a case's name, or server")
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        compared = [compare(name, args.pairs, Path(scratch)) for name in CASES if args.only in name or not args.only]
        ceiling = server_ceiling(Path(scratch)) if args.only in "server" else []
    show(compared, ceiling)
    record = {"machine": machine(), "offline": [asdict(each) for each in compared], "server": ceiling}
    args.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    console.say(f"wrote {args.output}")


def machine() -> dict[str, str]:
    """What was measured on."""
    names = ("mlcommons-loadgen", "numpy", "onnxruntime")
    found = {name: metadata.version(name) for name in names}
    seen = system.describe()
    cpu = f"{seen['host_processor_core_count']} cores, {seen['host_processor_model_name']}"
    return {"cpu": cpu, "system": seen["operating_system"], "python": platform.python_version(), **found}


def compare(name: str, pairs: int, scratch: Path) -> Comparison:
    """Pairs of one case, each in a process of its own; a first one, unmeasured, warms the machine up."""
    table = np.array([pair(name, scratch / f"{list(CASES).index(name)}-{number}") for number in range(pairs + 1)])[1:]
    ratios = table[:, 0] / table[:, 1]
    low, high = bootstrap(lambda values: float(np.mean(values)), ratios)
    medians = np.median(table, axis=0)
    added = float(np.median(1e6 / table[:, 0] - 1e6 / table[:, 1]))
    console.note(f"{name}: ratios {' '.join(f'{ratio:.3f}' for ratio in ratios)}")
    return Comparison(name, float(medians[0]), float(medians[1]), float(ratios.mean()), low, high, added, pairs)


def pair(name: str, folder: Path) -> tuple[float, float]:
    """Samples per second through LoadGen and of the bare loop around it."""
    benchmark, precision, backend, options, batch = CASES[name]
    spec = RunSpec(benchmark, backend, Scenario.OFFLINE, TestMode.PERFORMANCE, folder, options=options)
    spec = replace(spec, precision=precision, max_batch=batch, round="v6.1", division=Division.OPEN, overrides=SHORT)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(asdict(spec), default=str), encoding="utf-8")
    command = [sys.executable, "-m", "tests.perf.pair", str(folder)]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return measured["loadgen"], measured["bare"]


def server_ceiling(scratch: Path) -> list[dict[str, float | bool]]:
    """Rates tried on the null backend at a limit of 10 ms: valid or not, by bisection between the two nearest."""
    tried = [server(CEILING_START_QPS, scratch) for _ in range(5)]
    low, high = CEILING_START_QPS, 4 * CEILING_START_QPS
    for _ in range(CEILING_STEPS):
        middle = (low + high) / 2
        tried.append(server(middle, scratch))
        low, high = (middle, high) if tried[-1]["valid"] else (low, middle)
    return tried


def server(qps: float, scratch: Path) -> dict[str, float | bool]:
    """One Server run of the null backend with the Python binding."""
    spec = RunSpec("resnet50", "null", Scenario.SERVER, TestMode.PERFORMANCE, scratch / f"server-{_count(scratch)}")
    changed = {**SHORT, "min_query_count": 1001.0, "target_latency": LIMIT_MS, "target_qps": qps}
    done = launch(replace(spec, round="v6.1", division=Division.OPEN, max_batch=256, overrides=changed))
    p99 = done.log.get("result_99.00_percentile_latency_ns", 0) / 1e6
    console.note(f"server {qps:.0f} queries/s: {VERDICTS[done.valid]}, p99 {p99:.2f} ms")
    return {"qps": qps, "valid": done.valid, "p99_ms": p99}


def _count(scratch: Path) -> int:
    return len(list(scratch.iterdir()))


def show(compared: list[Comparison], ceiling: list[dict[str, float | bool]]) -> None:
    """The tables for people."""
    console.table(
        "Offline: LoadGen / bare loop",
        ("case", "LoadGen/s>", "bare/s>", "ratio>", "95 % interval>", "added us>"),
        list(_rows(compared)),
    )
    rows = [(f"{each['qps']:.0f}", VERDICTS[bool(each["valid"])], f"{each['p99_ms']:.2f}") for each in ceiling]
    console.table("Server, null backend, limit 10 ms", ("queries/s>", "verdict", "p99 ms>"), rows)


def _rows(compared: list[Comparison]) -> Iterator[tuple[str, ...]]:
    for each in compared:
        interval = f"{each.low:.4f} to {each.high:.4f}"
        rates = f"{each.loadgen_qps:.0f}", f"{each.bare_qps:.0f}"
        yield each.case, *rates, f"{each.ratio:.4f}", interval, f"{each.added_us:.2f}"


if __name__ == "__main__":
    main()
