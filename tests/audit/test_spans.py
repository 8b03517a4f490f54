"""A run is as long as its figures say: latencies or rates edited alike in every place leave a gap."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from audit import spans
from audit.case import Case, Claim
from audit.finding import Severity
from loadgen_harness.types import Scenario
from tests.audit import folders
from tests.audit.folders import MS, ROUND

BEGAN = datetime(2026, 11, 22, 5)
STAMP = "%m-%d-%Y %H:%M:%S.%f"
COUNT, LATENCY_S = 30_000, 0.02


def run(scenario: str, *, faster: float = 1.0, overhead_s: float = 15e-6) -> dict[str, Any]:
    """600 s of queries of 20 ms each, whose figures were then divided by `faster`."""
    mean = int(LATENCY_S * 1e9 / faster)
    length = COUNT * (LATENCY_S + overhead_s)
    own: dict[str, dict[str, Any]] = {
        "SingleStream": {"result_qps_with_loadgen_overhead": (COUNT - 1) / (length - LATENCY_S)},
        "MultiStream": {"result_mean_query_latency_ns": mean, "early_stopping_latency_ms": mean},
        "Server": {
            "result_scheduled_samples_per_sec": faster * (COUNT - 1) / (length - LATENCY_S),
            "result_completed_samples_per_sec": faster * (COUNT - 1) / length,
        },
        "Offline": {"result_max_latency_ns": int(length * 1e9 / faster), "result_query_count": 1},
    }
    ends = {"power_begin": BEGAN, "power_end": BEGAN + timedelta(seconds=length)}
    figures = {"result_mean_latency_ns": mean, "result_max_latency_ns": 2 * mean, "result_query_count": COUNT}
    kept = {key: value for key, value in folders.performance(scenario).items() if not key.startswith("result_")}
    return {**kept, **figures, **own[scenario], **{key: value.strftime(STAMP) for key, value in ends.items()}}


def found(folder: Path, scenario: str, values: dict[str, Any]) -> list[tuple[str, Severity]]:
    """Key and weight of each finding."""
    written = folders.write(folder, {"result_validity": "VALID", **values})
    limits = ROUND.rules("toy").limits[Scenario(scenario)]
    case = Case(written, folders.benchmark(), ROUND, Claim(Scenario(scenario)), limits)
    return [(each.key, each.severity) for check in (spans.window, spans.between) for each in check(case)]


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Server", "Offline"])
def test_a_run_as_long_as_its_figures_say(tmp_path: Path, scenario: str) -> None:
    assert found(tmp_path, scenario, run(scenario)) == []


@pytest.mark.parametrize("faster", [2, 1.08, 1.03])
@pytest.mark.parametrize(
    ("scenario", "key", "severity"),
    [
        ("SingleStream", "result_mean_latency_ns", Severity.WARNING),
        ("MultiStream", "result_mean_query_latency_ns", Severity.WARNING),
        ("Server", "result_scheduled_samples_per_sec", Severity.ERROR),
        ("Offline", "result_max_latency_ns", Severity.ERROR),
    ],
)
def test_figures_made_better_leave_a_gap(
    tmp_path: Path, scenario: str, key: str, severity: Severity, faster: float
) -> None:
    assert found(tmp_path, scenario, run(scenario, faster=faster)) == [(key, severity)]


@pytest.mark.parametrize(
    ("scenario", "key"),
    [
        ("SingleStream", "result_mean_latency_ns"),
        ("MultiStream", "result_mean_query_latency_ns"),
        ("Server", "result_scheduled_samples_per_sec"),
        ("Offline", "result_max_latency_ns"),
    ],
)
def test_more_than_fits_is_impossible(tmp_path: Path, scenario: str, key: str) -> None:
    assert found(tmp_path, scenario, run(scenario, faster=0.98)) == [(key, Severity.ERROR)]


def test_a_slow_harness_between_fast_queries_is_no_fault(tmp_path: Path) -> None:
    """A third of the run passes between queries of 200 microseconds: each waits no longer than published ones do."""
    quick = {"result_mean_latency_ns": 200_000, "result_max_latency_ns": MS, "result_query_count": 2_000_000}
    length = 2_000_000 * 300e-6
    rates = {"result_qps_with_loadgen_overhead": 1_999_999 / (length - 0.0002)}
    ends = {"power_end": (BEGAN + timedelta(seconds=length)).strftime(STAMP)}
    assert found(tmp_path, "SingleStream", {**run("SingleStream"), **quick, **rates, **ends}) == []


def test_multistream_at_a_fixed_rate_leaves_gaps(tmp_path: Path) -> None:
    """Before LoadGen 2.0 queries of MultiStream came at intervals, and no estimate was made."""
    values = run("MultiStream", faster=2)
    del values["early_stopping_latency_ms"]
    assert found(tmp_path, "MultiStream", values) == []
