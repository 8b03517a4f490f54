"""Run: what is read from a folder, and that odd content never raises but is named."""

from __future__ import annotations

import json
import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness.run import PREFIX, Run
from loadgen_harness.samples import DTYPE, FORMAT_1

PROPERTIES = [
    name for kind in Run.__mro__ for name, each in vars(kind).items() if isinstance(each, property | cached_property)
]


def record(key: Any, value: Any, *, error: bool = False, warning: bool = False) -> str:
    return PREFIX + json.dumps({"key": key, "value": value, "metadata": {"is_error": error, "is_warning": warning}})


def folder(path: Path, *records: str, **files: str | bytes) -> Run:
    """A run folder of detail records and other files (dots in names as two underscores)."""
    if records:
        (path / "mlperf_log_detail.txt").write_text("\n".join(records) + "\n", encoding="utf-8")
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (path / name.replace("__", ".")).write_bytes(data)
    return Run(path)


def read_everything(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in PROPERTIES}


def test_last_value_wins_and_remarks_are_kept(tmp_path: Path) -> None:
    run = folder(
        tmp_path,
        record("effective_scenario", "Single Stream"),
        record("effective_test_mode", "PerformanceOnly"),
        record("qps", 1),
        record("qps", 2),
        record("odd", "look", warning=True),
        record("result_validity", "VALID"),
    )
    assert run.log["qps"] == 2
    assert (run.scenario, run.mode) == ("SingleStream", "PerformanceOnly")
    assert run.log_warnings == ("odd: look",)
    assert run.valid
    assert run.invalid_reasons == ()
    assert run.damage == ()


def test_an_error_record_makes_it_invalid(tmp_path: Path) -> None:
    run = folder(tmp_path, record("result_validity", "VALID"), record("bad", "things", error=True))
    assert not run.valid
    assert run.invalid_reasons == ("bad: things",)


def test_reasons_in_loadgens_words(tmp_path: Path) -> None:
    run = folder(
        tmp_path,
        record("result_validity", "INVALID"),
        record("result_min_duration_met", False),
        record("early_stopping_met", True),
        record("result_invalid_reason", " * Increase expected QPS\n  so the query is larger."),
    )
    assert run.invalid_reasons == ("minimum duration not met", "Increase expected QPS so the query is larger.")


KEYS = {
    "SingleStream": ("early_stopping_latency_ss", 2_000_000, 2, "ms"),
    "MultiStream": ("early_stopping_latency_ms", 3_000_000, 3, "ms"),
    "Server": ("result_completed_samples_per_sec", 40.5, 40.5, "queries/s"),
    "Offline": ("result_samples_per_second", 123, 123, "samples/s"),
}
TOKEN_KEYS = {
    "SingleStream": ("result_90.00_percentile_latency_ns", 2_000_000, 2, "ms"),
    "Server": ("result_completed_tokens_per_second", 40.5, 40.5, "tokens/s"),
    "Offline": ("result_tokens_per_second", 123, 123, "tokens/s"),
}


@pytest.mark.parametrize(("scenario", "tokens"), [*((s, False) for s in KEYS), *((s, True) for s in TOKEN_KEYS)])
def test_the_official_metric(tmp_path: Path, scenario: str, tokens: bool) -> None:
    key, logged, value, unit = (TOKEN_KEYS if tokens else KEYS)[scenario]
    every = [record(k, v) for k, v, *_ in (*KEYS.values(), *TOKEN_KEYS.values()) if k != key]
    settled = [record("effective_scenario", scenario), record("requested_use_token_latencies", tokens)]
    found = folder(tmp_path, *every, *settled, record(key, logged)).result
    assert found is not None
    assert (found.key, found.value, found.unit) == (key, value, unit)


def test_an_accuracy_run_has_no_metric(tmp_path: Path) -> None:
    lines = record("effective_test_mode", "AccuracyOnly"), record("effective_scenario", "Offline")
    run = folder(tmp_path, *lines, record("result_samples_per_second", 3), record("power_end", "x"))
    assert run.result is None
    assert run.valid


def test_the_power_window_is_utc(tmp_path: Path) -> None:
    run = folder(
        tmp_path,
        record("power_begin", "11-22-2026 08:00:00.500"),
        record("power_end", "11-22-2026 08:00:03.000"),
    )
    assert run.power_window == (1795334400.5, 1795334403.0)
    assert run.duration_s == 2.5


def test_responses(tmp_path: Path) -> None:
    entries = [
        {"seq_id": 0, "qsl_idx": 3, "data": "01FF"},
        {"seq_id": 1, "qsl_idx": 4, "data": "", "token_data": "0a00", "token_count": 2},
        {"seq_id": 2, "qsl_idx": 3, "data": "02"},
    ]
    run = folder(tmp_path, mlperf_log_accuracy__json=json.dumps(entries))
    assert run.responses == {3: b"\x02", 4: b""}
    assert [entry.seq_id for entry in run.response_entries] == [0, 1, 2]
    assert run.response_entries[1].token_data == b"\x0a\x00"
    assert (run.response_entries[0].token_count, run.response_entries[1].token_count) == (None, 2)


def test_a_submission_run_keeps_its_timed_samples(tmp_path: Path) -> None:
    table = np.zeros(10, DTYPE)
    table["id"] = range(10)
    np.save(tmp_path / "samples.npy", table)
    lines = record("effective_test_mode", "SubmissionRun"), record("effective_accuracy_sample_count", 4)
    samples = folder(tmp_path, *lines).samples
    assert samples is not None
    assert samples["id"].tolist() == [4, 5, 6, 7, 8, 9]


def test_records_of_the_first_format_are_read(tmp_path: Path) -> None:
    table = np.zeros(3, FORMAT_1)
    table["id"], table["done"] = [1, 2, 3], [10, 20, 30]
    np.save(tmp_path / "samples.npy", table)
    run = folder(tmp_path, record("result_validity", "VALID"))
    assert run.samples is not None
    assert run.samples.dtype == DTYPE
    assert run.samples["computed"].tolist() == [10, 20, 30]
    assert run.damage == ()


@pytest.mark.parametrize("name", ["absent", "file.txt"])
def test_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("x")
    run = Run(tmp_path / name)
    found = read_everything(run)
    assert not found["valid"]
    assert found["invalid_reasons"] == ("LoadGen wrote no result",)
    assert any("mlperf_log_detail.txt" in sentence for sentence in found["damage"])


def test_an_empty_table_is_no_damage(tmp_path: Path) -> None:
    np.save(tmp_path / "samples.npy", np.zeros(0, DTYPE))
    run = folder(tmp_path, record("result_validity", "VALID"))
    assert run.samples is not None
    assert len(run.samples) == 0
    assert run.damage == ()


NPY = b"\x93NUMPY\x01\x00"
DEEP = "[" * 200_000
GARBAGE = bytes(range(256)) * 8
DAMAGED = [
    ("run.json", "[1, 2]"),
    ("run.json", '"text"'),
    ("run.json", '{"spec": '),
    ("run.json", DEEP),
    ("run.json", GARBAGE),
    ("mlperf_log_accuracy.json", '[{"seq_id": 0'),
    ("mlperf_log_accuracy.json", "{}x"),
    ("mlperf_log_accuracy.json", '{"seq_id": 0}'),
    ("mlperf_log_accuracy.json", "17"),
    ("mlperf_log_accuracy.json", "[17]"),
    ("mlperf_log_accuracy.json", '[{"qsl_idx": 0, "data": "00"}]'),
    ("mlperf_log_accuracy.json", '[{"seq_id": 0, "qsl_idx": 0, "data": "0"}]'),
    ("mlperf_log_accuracy.json", '[{"seq_id": 0, "qsl_idx": 0, "data": 5}]'),
    ("mlperf_log_accuracy.json", '[{"seq_id": Infinity, "qsl_idx": NaN, "data": ""}]'),
    ("mlperf_log_accuracy.json", '[{"seq_id": 0, "qsl_idx": 0, "data": "", "token_count": []}]'),
    ("mlperf_log_accuracy.json", DEEP),
    ("mlperf_log_accuracy.json", GARBAGE),
    ("samples.npy", b""),
    ("samples.npy", GARBAGE),
    ("samples.npy", b"PK\x03\x04" + GARBAGE),
    ("samples.npy", NPY),
    ("samples.npy", NPY + b"\x10\x00{'descr': 'oops'"),
    ("mlperf_log_detail.txt", PREFIX + "[]"),
    ("mlperf_log_detail.txt", PREFIX + '{"key": "x", "value": 1}'),
    ("mlperf_log_detail.txt", PREFIX + '{"key": "x", "value": 1, "metadata": null}'),
    ("mlperf_log_detail.txt", PREFIX + '{"key": "result_validity", "value": "VAL'),
    ("mlperf_log_detail.txt", PREFIX + DEEP),
    ("mlperf_log_detail.txt", PREFIX.encode() + GARBAGE),
]


@pytest.mark.parametrize(("name", "content"), DAMAGED, ids=[f"{name}-{n}" for n, (name, _) in enumerate(DAMAGED)])
def test_damage_is_named(tmp_path: Path, name: str, content: str | bytes) -> None:
    if name != "mlperf_log_detail.txt":
        folder(tmp_path, record("effective_scenario", "Offline"))
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_everything(Run(tmp_path))
    assert found["damage"]
    assert all(name in sentence for sentence in found["damage"])


def test_tables_of_another_kind(tmp_path: Path) -> None:
    for table in (np.zeros(5), np.zeros((2, 2), DTYPE), np.array([{}], dtype=object)):
        np.save(tmp_path / "samples.npy", table, allow_pickle=True)
        run = folder(tmp_path, record("x", 1))
        assert run.samples is None
        assert len(run.damage) == 1
    with (tmp_path / "samples.npy").open("wb") as file:
        np.savez(file, a=np.zeros(3))
    assert Run(tmp_path).samples is None


def test_a_truncated_table(tmp_path: Path) -> None:
    np.save(tmp_path / "samples.npy", np.zeros(100, DTYPE))
    whole = (tmp_path / "samples.npy").read_bytes()
    (tmp_path / "samples.npy").write_bytes(whole[: len(whole) // 2])
    run = folder(tmp_path, record("x", 1))
    assert run.samples is None
    assert "samples.npy" in run.damage[0]


@pytest.mark.parametrize("name", ["run.json", "mlperf_log_detail.txt", "mlperf_log_accuracy.json", "samples.npy"])
def test_a_folder_in_a_files_place(tmp_path: Path, name: str) -> None:
    if name != "mlperf_log_detail.txt":
        folder(tmp_path, record("x", 1))
    (tmp_path / name).mkdir()
    found = read_everything(Run(tmp_path))
    assert [name in sentence for sentence in found["damage"]] == [True]


ODD: list[Any] = [0, -1, 1e400, 10**400, None, True, "text", [], {}, [[1]], float("nan"), "\u2028", "11-22-2026"]


@pytest.mark.parametrize("value", ODD, ids=lambda value: str(value)[:8])
def test_odd_values_of_known_keys(tmp_path: Path, value: Any) -> None:
    keys = [
        "effective_scenario",
        "effective_test_mode",
        "requested_use_token_latencies",
        "result_validity",
        "result_samples_per_second",
        "result_invalid_reason",
        "power_begin",
        "power_end",
        "effective_accuracy_sample_count",
    ]
    run = folder(tmp_path, *(record(key, value) for key in keys), run__json=json.dumps({"spec": value}))
    damage = read_everything(run)["damage"]
    no_number = isinstance(value, float) and not math.isfinite(value)  # nor is it JSON
    assert all("not strict JSON" in each for each in damage) and len(damage) == (len(keys) if no_number else 0)


def test_odd_keys(tmp_path: Path) -> None:
    run = folder(tmp_path, record(["a"], 1), record(None, 2), record({}, 3))
    assert len(run.log) == 3
    read_everything(run)


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream"])
def test_an_estimate_that_loadgen_could_not_make_is_no_metric(tmp_path: Path, scenario: str) -> None:
    percentiles = ("result_90.00_percentile_latency_ns", "result_99.00_percentile_per_query_latency_ns")
    logged = [record(key, 5_000_000) for key in percentiles]
    run = folder(tmp_path, record("effective_scenario", scenario), record(KEYS[scenario][0], 0), *logged)
    assert run.result is None
