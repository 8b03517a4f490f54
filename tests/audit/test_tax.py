"""The harness tax as it is read and judged: definitions on synthetic records, the 2 % rule, damaged run.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit import tax
from audit.finding import Severity
from loadgen_harness.run import Run
from loadgen_harness.samples import DTYPE

MS = 1_000_000
GIL = {"waits": 3, "mean_us": 1.5, "max_us": 4.0, "over_1ms": 0}
MEASURED: dict[str, Any] = {
    "benchmark": "tiny",
    "layout": "native, thread",
    "seconds": 2.0,
    "samples": 600,
    "mean_ns": 41_000.0,
    "p99_ns": 200_000.0,
    "first_p99_ns": None,
    "ceiling": 1e6,
    "gil": GIL,
    "error": "",
}


def rows(*samples: dict[str, int]) -> np.ndarray:
    """A record: what a sample does not name is what came before it."""
    table = np.zeros(len(samples), DTYPE)
    for row, sample in zip(table, samples, strict=True):
        last = 0
        for name in ("issued", "dequeued", "started", "computed", "done"):
            row[name] = last = sample.get(name, last)
        row["scheduled"] = sample.get("scheduled", 0)
    return table


def folder(path: Path, scenario: str, *, log: dict[str, Any] | None = None, **meta: Any) -> Run:
    """A run folder with one sample of 10 ms, as far as judging needs it."""
    path.mkdir(parents=True)
    notes = {"is_error": False, "is_warning": False}
    records = {"effective_scenario": scenario, "effective_test_mode": "PerformanceOnly", **(log or {})}
    lines = [":::MLLOG " + json.dumps({"key": k, "value": v, "metadata": notes}) for k, v in records.items()]
    (path / "mlperf_log_detail.txt").write_text("\n".join(lines) + "\n")
    np.save(path / "samples.npy", rows({"issued": 5 * MS, "done": 15 * MS}))
    (path / "run.json").write_text(json.dumps({"format": 2, **meta}))
    return Run(path)


def test_added_latency_counts_from_the_schedule_and_leaves_the_batch_wait_out() -> None:
    table = rows(
        {"scheduled": 900, "issued": 1000, "dequeued": 1050, "started": 1950, "computed": 1960, "done": 2000},
        {"issued": 1000, "dequeued": 1050, "started": 1950, "computed": 1960, "done": 2000},
    )
    assert tax.latencies(table, "Server").tolist() == [200, 100]
    assert tax.latencies(table, "Server", waits=True).tolist() == [1100, 1000]


def test_a_multistream_latency_is_that_of_its_slowest_sample() -> None:
    table = rows(*({"issued": 10 * query, "done": 10 * query + end} for query in (2, 1) for end in (4, 9, 5)))
    assert sorted(tax.latencies(table, "MultiStream").tolist()) == [9, 9]
    assert len(tax.latencies(table, "SingleStream")) == 6


def test_a_tax_comes_back_as_it_was_written(tmp_path: Path) -> None:
    found = tax.of(folder(tmp_path / "run", "Server", tax=MEASURED))
    assert found == tax.Tax(**MEASURED)


@pytest.mark.parametrize(
    "damaged", [None, 3, [], {"gil": 3, "mean_ns": "much", "samples": None}, {"mean_ns": -1, "p99_ns": True}]
)
def test_a_damaged_tax_raises_nothing(damaged: Any, tmp_path: Path) -> None:
    run = folder(tmp_path / "run", "Server", tax=damaged)
    found = tax.of(run)
    assert found is None or (found.mean_ns is None and found.p99_ns is None)
    assert not list(tax.findings(run))


@pytest.mark.parametrize(
    ("scenario", "settings", "log", "whole_ns"),
    [
        ("Server", {"server_target_latency_ns": 8 * MS}, {}, 8 * MS),
        ("Server", {"use_token_latencies": True, "ttft_latency": 80 * MS, "server_target_latency_ns": 1}, {}, 80 * MS),
        ("Server", {"server_target_latency_ns": 0}, {}, None),
        ("SingleStream", {}, {}, 10 * MS),
        ("MultiStream", {}, {}, 10 * MS),
        ("Offline", {}, {"result_samples_per_second": 500.0}, 2 * MS),
        ("Offline", {}, {}, None),
    ],
)
def test_what_a_tax_is_measured_by(
    scenario: str, settings: dict[str, Any], log: dict[str, Any], whole_ns: int | None, tmp_path: Path
) -> None:
    measured = tax.Tax(mean_ns=1_000, p99_ns=2_000, first_p99_ns=3_000)
    judged = tax.share(folder(tmp_path / "run", scenario, log=log, settings=settings), measured)
    assert (judged.whole_ns if judged else None) == whole_ns
    if judged:
        added = 3_000 if settings.get("use_token_latencies") else 2_000 if scenario == "Server" else 1_000
        assert judged.added_ns == added
        assert judged.part == added / judged.whole_ns


@pytest.mark.parametrize(("limit_ms", "warned"), [(10.01, False), (10.0, False), (9.99, True)])
def test_two_percent_are_tolerated(limit_ms: float, warned: bool, tmp_path: Path) -> None:
    settings = {"server_target_latency_ns": int(limit_ms * MS)}
    found = list(tax.findings(folder(tmp_path / "run", "Server", settings=settings, tax=MEASURED)))
    assert bool(found) == warned
    if warned:
        assert found[0].severity is Severity.WARNING
        assert "200.0 µs" in found[0].found and "2.0% of the latency limit" in found[0].found
        assert "slowest" not in found[0].found
        assert "199.8 µs" in found[0].wanted
        assert "--worker" in found[0].fix


def test_few_queries_are_said(tmp_path: Path) -> None:
    settings = {"server_target_latency_ns": MS}
    run = folder(tmp_path / "run", "Server", settings=settings, tax={**MEASURED, "samples": 7})
    assert "of 7 samples" in next(iter(tax.findings(run))).found


def test_without_a_limit_it_is_stated_beside_the_own_mean_and_warned_of_nowhere(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", "SingleStream", tax={**MEASURED, "mean_ns": 300_000.0})
    found = tax.of(run)
    assert found is not None
    judged = tax.share(run, found)
    assert judged is not None
    assert (judged.whole, judged.exceeds, judged.limited) == ("the run's own mean", True, False)
    assert list(tax.findings(run)) == []
