"""Result folders as MLPerf Endpoints leaves them, from invented figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GRID = ("99.9", "99", "97", "95", "90", "80", "75", "50", "25", "10", "5", "1")
CONFIG = """\
name: a run
version: '1.0'
type: {kind}
benchmark_mode: {mode}
model_params:
  name: a/model
  streaming: 'on'
  max_new_tokens: 1024
datasets:
- name: questions
  type: performance
  samples: 500
- name: exam
  type: accuracy
  samples: 30
settings:
  runtime:
    min_duration_ms: 600000
    max_duration_ms: 0
    n_samples_to_issue: null
    scheduler_random_seed: 16159082839903944936
    dataloader_random_seed: 2747215439041700203
  load_pattern:
    type: {pattern}
    target_qps: {qps}
    target_concurrency: {concurrency}
endpoint_config:
  endpoints: ['http://localhost:8000']
  api_key: null
"""


def series(low: int, high: int) -> dict[str, Any]:
    """One measured series: percentiles between `low` and `high`, estimates a little above."""
    at = {text: low + (high - low) * float(text) / 100 for text in GRID}
    estimates = {text: value + 1 for text, value in at.items() if float(text) >= 50}
    estimates["99.9"] = None  # type: ignore[assignment]  # too few samples for it
    middle = (low + high) / 2
    return {
        "total": 1000 * middle,
        "min": low,
        "max": high,
        "median": middle,
        "avg": middle,
        "std_dev": 1.0,
        "percentiles": at,
        "early_stopping_percentiles": estimates,
        "histogram": {"buckets": [[low, high]], "counts": [1000]},
    }


def summary(**changes: Any) -> dict[str, Any]:
    """A result_summary.json of 1,000 requests in 625 s."""
    return {
        "version": "0.1.0",
        "git_sha": "ea33275",
        "test_started_at": 0,
        "n_samples_issued": 1000,
        "n_samples_completed": 1000,
        "n_samples_failed": 0,
        "duration_ns": 625_000_000_000,
        "state": "complete",
        "complete": True,
        "ttft": series(10_000_000, 30_000_000),
        "tpot": series(4_000_000, 9_000_000),
        "latency": series(500_000_000, 900_000_000),
        "output_sequence_lengths": series(20, 400),
        "input_sequence_lengths": series(5, 50),
        "legacy_loadgen_window_duration_ns": None,
        "qps": 1.6,
        "tps": 336.0,
        "finish_reason_counts": {"stop": 1000},
        "run_config": {"load_pattern": {"type": "poisson"}},
        **changes,
    }


def accuracy(*scores: float, **changes: Any) -> dict[str, Any]:
    """An accuracy_results.json with one data set for each score, and a scored performance data set."""
    entries = [
        {
            "dataset_name": f"exam{number}",
            "score": score,
            "unit_samples": 10,
            "num_repeats": 3,
            "total_samples": 30,
            "complete": True,
            "dataset_type": "accuracy",
            "response_counts": {"issued": 30, "scored": 30, "empty": 0, "missing": 0},
            **changes,
        }
        for number, score in enumerate(scores)
    ]
    timed = {"dataset_name": "performance", "score": 0.5, "total_samples": 1000, "dataset_type": "performance"}
    return {"average_accuracy": sum(scores) / max(1, len(scores)), "accuracy_scores": [*entries, timed]}


def write(
    folder: Path,
    perf: Mapping[str, Any] | None = None,
    acc: Mapping[str, Any] | None = None,
    **config: Any,
) -> Path:
    """A <Scenario> folder; `config` changes the kind (online), mode, load pattern and its rates."""
    words = {"kind": "online", "mode": "null", "pattern": "poisson", "qps": 1.7, "concurrency": "null", **config}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG.format(**words))
    for place, content in (("performance/result_summary.json", perf), ("accuracy/accuracy_results.json", acc)):
        if content is not None:
            (folder / place).parent.mkdir(exist_ok=True)
            (folder / place).write_text(json.dumps(content, indent=2))
    return folder
