"""Folders of MLPerf Endpoints under LoadGen's keys; beside the official reader and the program itself."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.errors import MissingDependency
from loadgen_harness.run import Run
from tests.loadgen_harness import endpoint_folders as made

SERVER: dict[str, Any] = {
    "effective_scenario": "Server",
    "effective_test_mode": "PerformanceOnly",
    "effective_min_duration_ms": 600_000,
    "effective_max_duration_ms": 0,
    "effective_target_qps": 1.7,
    "effective_schedule_rng_seed": 16159082839903944936,
    "effective_sample_index_rng_seed": 2747215439041700203,
    "effective_performance_sample_count": 500,
    "requested_use_token_latencies": True,
    "generated_query_count": 1000,
    "generated_query_duration": 625_000_000_000,
    "result_query_count": 1000,
    "failed_query_count": 0,
    "num_errors": 0,
    "result_validity": "VALID",
    "result_completed_samples_per_sec": 1.6,
    "result_completed_tokens_per_second": 336.0,
    "result_min_latency_ns": 500_000_000,
    "result_mean_latency_ns": 700_000_000,
    "result_99.00_percentile_latency_ns": 896_000_000,
    "result_99.90_percentile_latency_ns": 899_600_000,
    "result_first_token_99.00_percentile_latency_ns": 29_800_000,
    "result_time_per_output_token_99.00_percentile_ns": 8_950_000,
    "result_time_to_output_token_max": 9_000_000,
    "early_stopping_99.00_percentile_latency_ns": 896_000_001,
    "early_stopping_first_token_99.00_percentile_latency_ns": 29_800_001,
    "early_stopping_time_per_output_token_99.00_percentile_ns": 8_950_001,
    "mean_output_tokens": 210,
    "endpoints_version": "0.1.0",
    "endpoints_complete": True,
    "streaming": "on",
}


def test_loadgens_keys(tmp_path: Path) -> None:
    run = Run(made.write(tmp_path, made.summary()))
    for key, value in SERVER.items():
        assert run.log[key] == (pytest.approx(value) if type(value) is float else value), key
    assert (run.syntax, run.scenario, run.mode, run.loadgen_version) == ("endpoints", "Server", "PerformanceOnly", "")
    assert run.valid
    assert run.damage == ()
    assert run.duration_s == 625.0
    assert run.result is not None
    assert (run.result.name, run.result.value) == ("Tokens/s", 336.0)
    assert "early_stopping_99.90_percentile_latency_ns" not in run.log, "too few samples: no estimate"
    assert "early_stopping_latency_ss" not in run.log


WORDS = [
    ({"kind": "offline", "pattern": "max_throughput"}, "Offline", "result_tokens_per_second"),
    ({"kind": "submission", "mode": "offline"}, "Offline", "result_tokens_per_second"),
    ({"kind": "submission", "mode": "online"}, "Server", "result_completed_tokens_per_second"),
    ({"kind": "submission", "pattern": "max_throughput"}, "Offline", "result_tokens_per_second"),
    ({"pattern": "concurrency", "concurrency": 32}, "Server", "result_completed_tokens_per_second"),
    ({"kind": "other"}, "", "result_completed_tokens_per_second"),
]


@pytest.mark.parametrize(("config", "scenario", "key"), WORDS)
def test_scenarios(tmp_path: Path, config: dict[str, Any], scenario: str, key: str) -> None:
    run = Run(made.write(tmp_path, made.summary(), **config))
    assert run.scenario == scenario
    assert run.log[key] == 336.0


def test_one_request_in_flight_is_single_stream(tmp_path: Path) -> None:
    run = Run(made.write(tmp_path, made.summary(tps=None), pattern="concurrency", concurrency=1))
    assert run.scenario == "SingleStream"
    assert run.log["early_stopping_latency_ss"] == 860_000_001
    assert run.result is not None
    assert (run.result.name, run.result.value) == ("Latency", pytest.approx(860.000001))


FAULTS = [
    ({"n_samples_failed": 900}, 900, "failed_query_count: 900 of 1000 requests failed"),
    ({"n_samples_failed": None}, 1, "the number of failed requests is not stated"),
    ({"n_samples_failed": -3}, 1, "the number of failed requests is not stated"),
    ({"state": "interrupted", "complete": False}, 1, "the run is interrupted, not complete"),
    ({"state": None}, 1, "endpoints_state"),
    ({"complete": False}, 1, "measurements were lost"),
]


@pytest.mark.parametrize(("changes", "count", "said"), FAULTS)
def test_failures_are_errors(tmp_path: Path, changes: dict[str, Any], count: int, said: str) -> None:
    run = Run(made.write(tmp_path, made.summary(**changes)))
    assert said in run.log_errors[0]
    assert (run.error_count, run.log["num_errors"]) == (count, count)
    assert run.log["result_validity"] == "INVALID"
    assert not run.valid
    assert run.invalid_reasons == run.log_errors


def test_a_run_without_a_rate_is_not_valid(tmp_path: Path) -> None:
    run = Run(made.write(tmp_path, made.summary(qps=None, tps=None, duration_ns=None)))
    assert not run.valid
    assert run.invalid_reasons == ("there is no rate",)
    assert run.result is None
    assert run.duration_s is None


def test_accuracy(tmp_path: Path) -> None:
    run = Run(made.write(tmp_path, made.summary(), made.accuracy(0.8, 0.6)))
    assert run.log["accuracy_score"] == pytest.approx(0.7)
    assert run.log["accuracy_scores"] == {"exam0": 0.8, "exam1": 0.6}
    assert run.log["effective_accuracy_sample_count"] == 60
    assert run.mode == "PerformanceOnly"
    assert run.valid


def test_accuracy_alone(tmp_path: Path) -> None:
    run = Run(made.write(tmp_path, None, made.accuracy(0.8)))
    assert run.mode == "AccuracyOnly"
    assert run.damage == ()
    assert run.result is None


def test_answers_that_are_missing(tmp_path: Path) -> None:
    counts = {"issued": 30, "scored": 20, "empty": 4, "missing": 6}
    run = Run(made.write(tmp_path, made.summary(), made.accuracy(0.8, response_counts=counts, complete=False)))
    assert (run.log["accuracy_missing_count"], run.log["accuracy_empty_count"]) == (6, 4)
    assert run.log_errors == (
        "accuracy_missing_count: 6 answers are missing",
        "accuracy_scores: exam0 was scored in part only",
    )
    assert not run.valid


def test_the_publishing_scripts_layout(tmp_path: Path) -> None:
    folder = made.write(tmp_path / "Server", made.summary())
    (folder / "performance/run_1").mkdir()
    (folder / "performance/result_summary.json").rename(folder / "performance/run_1/result_summary.json")
    (folder / "config.yaml").rename(folder / "performance/run_1/config.yaml")
    run = Run(folder)
    assert run.valid
    assert run.scenario == "Server"
    assert run.damage == ()


def test_a_loadgen_folder_stays_one(tmp_path: Path) -> None:
    (tmp_path / "mlperf_log_detail.txt").write_text(":::MLLOG {}\n")
    made.write(tmp_path, made.summary())
    assert Run(tmp_path).syntax == ""
    assert any("mlperf_log_detail.txt" in each for each in Run(tmp_path).damage)


BOMB = "a: &a [x,x,x]\n" + "".join(f"{b}: &{b} [*{a},*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
DAMAGED = [
    ("config.yaml", BOMB, "aliases"),
    ("config.yaml", "[" * 5_000, "nested too deep"),
    ("config.yaml", "- a\n" * 3, "not a mapping"),
    ("config.yaml", "a: [", "config.yaml"),
    ("config.yaml", "a: !!python/object:os.system {}\ntype: online", ""),
    ("config.yaml", "\0", "config.yaml"),
    ("config.yaml", b"\xff\xfe\x00", "config.yaml"),
    ("config.yaml", "x" * (300 << 10), "more than"),
    ("config.yaml", "? [a, b]\n: c\ntype: online", ""),
    ("performance/result_summary.json", "[1]", "not a mapping"),
    ("performance/result_summary.json", "{", "result_summary.json"),
    ("performance/result_summary.json", "[" * 100_000, "result_summary.json"),
    ("performance/result_summary.json", '{"qps": NaN, "n_samples_failed": 1e400, "latency": 7, "ttft": []}', ""),
    ("performance/result_summary.json", '{"latency": {"percentiles": {"x": 1, "99": "y", "nan": 2, "1e999": 3}}}', ""),
    ("accuracy/accuracy_results.json", '{"accuracy_scores": {"score": 1}}', "no accuracy data set"),
    ("accuracy/accuracy_results.json", '{"accuracy_scores": [{"score": "1", "total_samples": []}]}', ""),
]


@pytest.mark.parametrize(("name", "content", "said"), DAMAGED)
def test_hostile_files(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    folder = made.write(tmp_path, made.summary(), made.accuracy(0.5))
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    run = Run(folder)
    assert run.syntax == "endpoints"
    assert not said or any(each.startswith(name) and said in each for each in run.damage), run.damage
    assert said or run.damage == ()
    for key, value in run.log.items():
        assert not isinstance(value, float) or abs(value) < 1e300, key


def test_without_pyyaml_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingDependency, match="pip install pyyaml"):
        _ = Run(made.write(tmp_path, made.summary())).log


@pytest.fixture(scope="module")
def official() -> Any:
    """The official checker's reader of these folders."""
    folder = os.environ.get("LGH_MLCOMMONS_INFERENCE")
    if not folder:
        pytest.skip("LGH_MLCOMMONS_INFERENCE names no checkout of mlcommons/inference")
    place = str(Path(folder) / "tools" / "submission")
    sys.path.insert(0, place)
    try:
        return importlib.import_module("submission_checker.parsers.endpoints_parser").EndpointsParser
    finally:
        sys.path.remove(place)


OTHERWISE = {
    "effective_scenario": "the word of config.yaml",
    "qsl_reported_total_count": "issued requests, not a data set",
    "qsl_reported_performance_count": "issued requests, not a data set",
    "test_datetime": "always 0",
    "loadgen_version": "LoadGen did not run",
    "loadgen_git_commit_hash": "LoadGen did not run",
    "result_scheduled_samples_per_sec": "not measured",
}
RENAMED = {
    "result_time_per_output_token_min": "result_time_to_output_token_min",
    "result_time_per_output_token_max": "result_time_to_output_token_max",
    "result_time_per_output_token_mean": "result_time_to_output_token_mean",
}


def test_the_official_reader_finds_the_same(official: Any, tmp_path: Path) -> None:
    """Every key that the checker takes from such a folder; its percentiles are the early-stopping estimates."""
    folder = made.write(tmp_path, made.summary(n_samples_failed=3), made.accuracy(0.8))
    run, parsed = Run(folder), official(str(folder), log_type="performance")
    compared = 0
    for key in parsed.get_keys() - OTHERWISE.keys():
        ours = RENAMED.get(key, key)
        if "percentile" in key:
            ours = key.replace("result_", "early_stopping_", 1)
        assert run.log.get(ours) == parsed[key], key
        compared += 1
    assert compared > 30


@pytest.fixture(scope="module")
def report() -> Any:
    """The class that writes result_summary.json; needs a checkout of mlcommons/endpoints and its packages."""
    folder = os.environ.get("LGH_MLCOMMONS_ENDPOINTS")
    if not folder:
        pytest.skip("LGH_MLCOMMONS_ENDPOINTS names no checkout of mlcommons/endpoints")
    place = str(Path(folder) / "src")
    sys.path.insert(0, place)
    try:
        return importlib.import_module("inference_endpoint.metrics.report").Report
    except ImportError as error:
        pytest.skip(f"mlcommons/endpoints cannot be imported: {error}")
    finally:
        sys.path.remove(place)


def test_what_the_program_itself_writes(report: Any, tmp_path: Path) -> None:
    snapshot = {
        "state": "complete",
        "n_pending_tasks": 0,
        "metrics": [
            *({"type": "counter", "name": f"tracked_{name}", "value": value} for name, value in COUNTERS.items()),
            *({"type": "series", "name": name, **raw(low)} for name, low in SERIES.items()),
        ],
    }
    content = json.loads(report.from_snapshot(snapshot, use_legacy_loadgen_qps_metrics=False).to_json())
    run = Run(made.write(tmp_path, content))
    assert run.log_errors == ("failed_query_count: 2 of 1000 requests failed",)
    assert run.log["result_completed_samples_per_sec"] == pytest.approx(998 / 625)
    assert run.log["result_first_token_99.00_percentile_latency_ns"] == 10_000_099
    assert run.log["early_stopping_99.00_percentile_latency_ns"] == 500_000_100
    assert run.log["mean_output_tokens"] == 70
    assert set(made.summary()) >= set(content), "keys that the tests' folders lack"


COUNTERS = {
    "samples_issued": 1000,
    "samples_completed": 998,
    "samples_failed": 2,
    "duration_ns": 625_000_000_000,
}
SERIES = {"ttft_ns": 10_000_000, "tpot_ns": 4_000_000, "sample_latency_ns": 500_000_000, "osl": 20}


def raw(low: int) -> dict[str, Any]:
    at = {text: low + float(text) for text in made.GRID}
    return {
        "count": 998,
        "total": 998 * (low + 50),
        "min": low,
        "max": low + 100,
        "sum_sq": 998 * (low + 50) ** 2,
        "percentiles": at,
        "early_stopping_percentiles": {"99": low + 100.0, "50": None},
        "histogram": [[[low, low + 100], 998]],
    }
