"""What LoadGen was asked for is in effect; a log that says otherwise was edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit import requested
from audit.case import Case, Claim
from loadgen_harness.types import Scenario
from tests.audit import folders
from tests.audit.folders import ROUND

OWN: dict[str, dict[str, Any]] = {
    "SingleStream": {"effective_target_qps": 49.4198, "requested_single_stream_expected_latency_ns": 20234804},
    "MultiStream": {"effective_target_qps": 100, "requested_multi_stream_expected_latency_ns": 10_000_000},
    "Server": {"effective_target_qps": 100.5, "effective_max_async_queries": 0},
    "Offline": {"effective_target_qps": 48.1, "requested_min_query_count": 24576},
}


def log(scenario: str) -> dict[str, Any]:
    """A log with both settings, as LoadGen derives one from the other."""
    values = {**folders.performance(scenario), **OWN[scenario]}
    asked = {name: values[key] for key, name in requested.pairs(scenario).items() if key in values}
    return {**values, **asked}


def keys(folder: Path, scenario: str, **changes: Any) -> list[str]:
    """Keys of the findings."""
    run = folders.write(folder, {**log(scenario), **changes})
    limits = ROUND.rules("toy").limits[Scenario(scenario)]
    case = Case(run, folders.benchmark(), ROUND, Claim(Scenario(scenario)), limits)
    return [each.key for check in requested.CHECKS for each in check(case)]


@pytest.mark.parametrize("scenario", OWN)
def test_settings_taken_over(tmp_path: Path, scenario: str) -> None:
    assert keys(tmp_path, scenario) == []


@pytest.mark.parametrize(
    ("scenario", "key", "value"),
    [
        ("SingleStream", "requested_qsl_rng_seed", 0),
        ("Server", "requested_min_duration_ms", 1000),
        ("Offline", "requested_scenario", "Server"),
        ("Offline", "requested_test_mode", "AccuracyOnly"),
        ("Offline", "requested_performance_sample_count_override", 16),
        ("Offline", "requested_offline_expected_qps", 1.0),
        ("Server", "requested_server_target_latency_ns", 1),
        ("MultiStream", "requested_multi_stream_samples_per_query", 1),
        ("SingleStream", "requested_single_stream_target_latency_percentile", 0.5),
        ("SingleStream", "requested_single_stream_expected_latency_ns", 10_000_000),
        ("SingleStream", "requested_qsl_rng_seed", "nonsense"),
    ],
)
def test_another_setting_asked_for(tmp_path: Path, scenario: str, key: str, value: object) -> None:
    assert keys(tmp_path, scenario, **{key: value}) == [key]


def test_what_loadgen_derives_is_no_contradiction(tmp_path: Path) -> None:
    whole_sets = {"requested_sample_concatenate_permutation": True, "effective_sample_concatenate_permutation": True}
    more = {"requested_min_query_count": 60, "effective_min_query_count": 10_000}
    assert keys(tmp_path / "sets", "SingleStream", **whole_sets, **more) == []
    library = {"requested_performance_sample_count_override": 0, "requested_accuracy_sample_count_override": 0}
    assert keys(tmp_path / "library", "Offline", **library) == []
