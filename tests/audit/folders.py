"""Small run folders written by hand, in LoadGen's own format, and a tiny round and benchmark that they obey."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.compliance._settings import DEFAULTS
from loadgen_harness import rounds
from loadgen_harness.run import Run
from loadgen_harness.samples import DTYPE
from loadgen_harness.types import Benchmark, Metric, Variant

MS = 1_000_000
SEEDS = {"qsl": 11, "sample_index": 22, "schedule": 33}
AUDIT_WARNING = "Found Audit Config file (audit.config). Overriding TestSettings from audit.config file."
ROUND = rounds.parse(
    {
        "name": "tiny",
        "seeds": SEEDS,
        "loadgen_version": "6.0.17",
        "benchmarks": {
            "toy": {
                "tests": ["TEST01", "TEST04"],
                "limits": {"performance_sample_count": 8, "accuracy_sample_count": 10, "min_duration_ms": 2000},
                "accuracy": [{"metric": "accuracy", "reference": 90.0, "target": 89.0}],
                "scenarios": {
                    "SingleStream": {"percentile": 0.9, "min_query_count": 64},
                    "MultiStream": {"percentile": 0.9, "min_query_count": 64, "samples_per_query": 8},
                    "Server": {"percentile": 0.9, "min_query_count": 100, "target_latency_ms": 50},
                    "Offline": {"min_query_count": 100},
                },
            },
            "talk": {
                "tests": ["TEST06"],
                "limits": {"performance_sample_count": 8, "min_duration_ms": 2000, "token_latencies": True},
                "scenarios": {
                    "Server": {"percentile": 0.9, "ttft_ms": 100, "tpot_ms": 20, "equal_issue": True},
                    "Interactive": {"percentile": 0.9, "ttft_ms": 30, "tpot_ms": 10, "equal_issue": True},
                    "Offline": {"min_query_count": 10},
                },
            },
        },
    }
)


def benchmark(name: str = "toy", metric: Metric | None = None) -> Benchmark:
    """A benchmark value with one variant and one metric."""
    return Benchmark(
        name=name,
        title=name,
        checker_name=name,
        variants={"": Variant("toy-model")},
        metrics=(metric or Metric("accuracy", "%"),),
        sample="one number",
        response_dtype="float32",
        backends=("null",),
        precisions=("fp32",),
        token="token" if name == "talk" else "",
    )


def common(scenario: str, mode: str = "PerformanceOnly") -> dict[str, Any]:
    """What LoadGen logs of every run: settings, seeds, counts."""
    return {
        "loadgen_version": "6.0.17 @ d6147c7eb7",
        "effective_scenario": scenario,
        "effective_test_mode": mode,
        "effective_samples_per_query": 8 if scenario == "MultiStream" else 1,
        "effective_target_latency_ns": 50 * MS if scenario == "Server" else 0,
        "effective_target_latency_percentile": 0.9,
        "effective_min_duration_ms": 2000,
        "effective_max_duration_ms": 0,
        "effective_min_query_count": 100,
        "effective_max_query_count": 0,
        **{f"effective_{name}_rng_seed": seed for name, seed in SEEDS.items()},
        "effective_accuracy_log_sampling_target": 0,
        "effective_performance_issue_unique": False,
        "effective_performance_issue_same": False,
        "effective_performance_issue_same_index": 0,
        "effective_performance_sample_count": 8,
        "effective_accuracy_sample_count": 10,
        "effective_sample_concatenate_permutation": False,
        "power_begin": "11-22-2026 04:59:55.000",
        "power_end": "11-22-2026 04:59:58.000",
        "num_errors": 0,
    }


def performance(scenario: str) -> dict[str, Any]:
    """A valid performance run of 300 queries in three seconds: 10 ms each, the slowest fifth 12 ms."""
    verdict = {"result_validity": "VALID", "result_min_duration_met": True, "early_stopping_met": True}
    own: dict[str, dict[str, Any]] = {
        "SingleStream": {"result_qps_with_loadgen_overhead": 99.67, "early_stopping_latency_ss": 12 * MS},
        "MultiStream": {"result_90.00_percentile_per_query_latency_ns": 12 * MS, "early_stopping_latency_ms": 12 * MS},
        "Server": {"result_scheduled_samples_per_sec": 100, "result_completed_samples_per_sec": 99.5},
        "Offline": {
            "effective_samples_per_query": 300,
            "effective_min_query_count": 1,
            "result_query_count": 1,
            "result_samples_per_second": 100,
            "result_max_latency_ns": 3000 * MS,
        },
    }
    counted = {"result_query_count": 300, "result_90.00_percentile_latency_ns": 12 * MS}
    return {**common(scenario), **verdict, **counted, **own[scenario]}


def talking() -> dict[str, Any]:
    """A valid Server run with token latencies, quick enough for Interactive."""
    tokens = {
        "requested_use_token_latencies": True,
        "requested_server_ttft_latency": 30 * MS,
        "requested_server_tpot_latency": 10 * MS,
        "effective_target_latency_ns": 0,
        "effective_sample_concatenate_permutation": True,
        "result_first_token_90.00_percentile_latency_ns": 20 * MS,
        "result_time_per_output_token_90.00_percentile_ns": 5 * MS,
        "result_90.00_percentile_latency_ns": 70 * MS,
    }
    return {**performance("Server"), **tokens}


def audited(values: Mapping[str, Any], test: str, **changes: Any) -> dict[str, Any]:
    """The same log as a compliance test's audit.config leaves it."""
    keys = (
        "accuracy_log_rng_seed",
        "accuracy_log_sampling_target",
        "performance_issue_same",
        "performance_issue_same_index",
    )
    settings = {f"effective_{key}": DEFAULTS[test].get(key, 0) for key in keys}
    return {**values, **settings, **changes}


def samples(scenario: str, queries: int = 300) -> np.ndarray:
    """The record of the same queries: times in order, the slowest fifth 12 ms."""
    width = 8 if scenario == "MultiStream" else 1
    table = np.zeros(queries * width, dtype=DTYPE)
    query = np.repeat(np.arange(queries), width)
    table["id"] = np.arange(len(table))
    table["issued"] = table["dequeued"] = table["started"] = table["computed"] = 1 + query * 10 * MS
    table["done"] = table["issued"] + np.where(query % 5 == 4, 12, 10) * MS - 1000
    table["batch"] = width
    return table


def write(
    folder: Path,
    values: Mapping[str, Any],
    *,
    warnings: Sequence[str] = (),
    errors: Sequence[str] = (),
    responses: Sequence[Mapping[str, Any]] | None = None,
) -> Run:
    """A folder with LoadGen's logs alone, as another harness leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    notes = [("warning_generic_message", text, False) for text in warnings]
    notes += [("error_runtime", text, True) for text in errors]
    lines = [_line(key, value, error=error, warning=not error) for key, value, error in notes]
    lines += [_line(key, value) for key, value in values.items()]
    (folder / "mlperf_log_detail.txt").write_text("\n".join(lines) + "\n")
    if responses is not None:
        (folder / "mlperf_log_accuracy.json").write_text(json.dumps(list(responses)))
    return Run(folder)


def own(run: Run, table: np.ndarray | None = None, **spec: Any) -> Run:
    """Turn a folder into one of ours: samples.npy and run.json with digests."""
    if table is not None:
        np.save(run.file("samples.npy"), table)
    digests = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in run.path.iterdir() if p.is_file()}
    record = {"format": 1, "spec": {"benchmark": "toy", "round": "tiny", **spec}, "digests": digests}
    run.file("run.json").write_text(json.dumps(record))
    return Run(run.path)


def response(index: int, data: bytes, **tokens: Any) -> dict[str, Any]:
    """One entry of the accuracy log; `token_data` as bytes, `token_count`."""
    shown = {key: value.hex().upper() if isinstance(value, bytes) else value for key, value in tokens.items()}
    return {"seq_id": index, "qsl_idx": index, "data": data.hex().upper(), **shown}


def _line(key: str, value: Any, *, error: bool = False, warning: bool = False) -> str:
    metadata = {"is_error": error, "is_warning": warning, "file": "loadgen.cc", "line_no": 1, "pid": 1, "tid": 1}
    return ":::MLLOG " + json.dumps({"key": key, "value": value, "time_ms": 10_000.0, "metadata": metadata})
