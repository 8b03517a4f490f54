"""Latencies as LoadGen judges them, held against LoadGen's own figures of real runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadgen_harness.launch import launch
from loadgen_harness.metrics import percentile
from loadgen_harness.run import Run
from loadgen_harness.samples import DTYPE
from loadgen_harness.types import Scenario
from submissions import latencies
from tests.fakes import tiny
from tests.submissions.folders import Made, make

SCENARIOS = (Scenario.SINGLE_STREAM, Scenario.MULTI_STREAM, Scenario.SERVER, Scenario.OFFLINE)
SHARES = (0.5, 0.9, 0.95, 0.97, 0.99)
AHEAD_NS = 300_000  # LoadGen's clock stops after ours; on a busy machine as late as this
PERCENTILE = {Scenario.MULTI_STREAM: "result_{:.2f}_percentile_per_query_latency_ns"}


@pytest.mark.alone
@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_percentiles_are_loadgen_s(tmp_path: Path, scenario: Scenario) -> None:
    run = launch(tiny(tmp_path / "run", scenario=scenario, options={"latency_us": "2000"}))
    seconds, values = latencies.of(run)
    counted = "effective_min_sample_count" if scenario is Scenario.OFFLINE else "result_query_count"
    assert len(seconds) == len(values) >= run.log[counted] > 0
    key = PERCENTILE.get(scenario, "result_{:.2f}_percentile_latency_ns")
    for share in SHARES:
        official = run.log[key.format(100 * share)]
        assert percentile(values, share) == pytest.approx(official, abs=AHEAD_NS, rel=0.02), (scenario, share)


def test_a_query_of_multistream_is_done_with_its_last_sample(tmp_path: Path) -> None:
    table = np.zeros(6, DTYPE)
    table["issued"] = table["scheduled"] = [100, 100, 100, 900, 900, 900]
    table["done"] = [200, 800, 300, 1000, 1100, 1050]
    run = make(tmp_path / "run", Made(Scenario.MULTI_STREAM, 16, 1.0))
    np.save(run.path / "samples.npy", table)
    seconds, values = latencies.of(Run(run.path))
    assert values.tolist() == [700, 200]
    assert seconds.tolist() == [0.0, 800e-9]


def test_server_latency_runs_from_the_schedule(tmp_path: Path) -> None:
    """What LoadGen issued late is the system's delay all the same."""
    table = np.zeros(2, DTYPE)
    table["scheduled"], table["issued"], table["done"] = [1000, 2000], [1500, 2000], [3000, 3000]
    run = make(tmp_path / "run", Made(Scenario.SERVER, 16, 1.0))
    np.save(run.path / "samples.npy", table)
    assert latencies.of(Run(run.path))[1].tolist() == [2000, 1000]


def test_waiting_counts_what_no_worker_has_taken(tmp_path: Path) -> None:
    table = np.zeros(4, DTYPE)
    table["scheduled"] = table["issued"] = [10, 20, 30, 40]
    table["dequeued"] = [11, 35, 36, 41]
    table["done"] = [15, 45, 46, 47]
    run = make(tmp_path / "run", Made(Scenario.SERVER, 16, 1.0))
    np.save(run.path / "samples.npy", table)
    seconds, count = latencies.waiting(Run(run.path))
    assert count.tolist() == [1, 1, 2, 1]
    assert seconds.tolist() == pytest.approx([0, 10e-9, 20e-9, 30e-9])
    assert len(latencies.waiting(make(tmp_path / "other", Made(Scenario.OFFLINE, 16, 1.0)))[0]) == 0


def test_offline_pace_is_time_per_sample_of_stretches(tmp_path: Path) -> None:
    """The second half takes twice as long a sample."""
    table = np.zeros(6400, DTYPE)
    table["issued"] = 1
    table["done"] = 1 + np.cumsum(np.where(np.arange(6400) < 3200, 1000, 2000))
    run = make(tmp_path / "run", Made(Scenario.OFFLINE, 16, 1.0))
    np.save(run.path / "samples.npy", table)
    paces = latencies.paces(Run(run.path))
    assert len(paces) == latencies.PACED
    assert paces[:31] == pytest.approx(1000) and paces[33:] == pytest.approx(2000)
    assert latencies.throughput(Run(run.path)) == pytest.approx(1e9 / 1500, rel=1e-3)


def test_an_empty_record_has_nothing(tmp_path: Path) -> None:
    run = make(tmp_path / "run", Made(Scenario.SERVER, 16, 1.0))
    np.save(run.path / "samples.npy", np.zeros(0, DTYPE))
    empty = Run(run.path)
    assert [len(each) for each in (*latencies.of(empty), *latencies.waiting(empty), latencies.paces(empty))] == [0] * 5
    assert latencies.throughput(empty) is None
