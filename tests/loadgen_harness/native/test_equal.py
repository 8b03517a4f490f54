"""The same run through both drivers and every worker gives the same answers, counts and verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from loadgen_harness.launch import launch
from loadgen_harness.native import presence
from loadgen_harness.run import Response, Run
from loadgen_harness.types import RunSpec, Scenario, TestMode
from tests.fakes import tiny

pytestmark = [
    pytest.mark.usefixtures("plugin"),
    pytest.mark.skipif(bool(presence.missing()), reason=presence.missing()),
]

WORKERS = ("inline", "thread", "process")
SCENARIOS = (Scenario.SINGLE_STREAM, Scenario.MULTI_STREAM, Scenario.SERVER, Scenario.OFFLINE)
STREAM = {"benchmark": "tiny_stream", "backend": "null_stream", "options": {"slots": "4"}}
STAGES = ("issued", "dequeued", "started", "computed", "done")


def answers(run: Run) -> list[Response]:
    """The accuracy log, sorted by sample."""
    return sorted(run.response_entries, key=lambda entry: (entry.qsl_idx, entry.seq_id))


def check_record(run: Run, *, streams: bool) -> None:
    """Every sample once, its stages in order."""
    rows = run.samples
    assert rows is not None
    if run.mode == "PerformanceOnly":  # ids are addresses, used again from one set of accuracy samples to the next
        assert len(np.unique(rows["id"])) == len(rows)
    for before, after in pairwise(STAGES):
        assert (rows[before] <= rows[after]).all(), (before, after)
    assert (rows["batch"] >= 1).all()
    if run.meta["driver"] == "native":
        assert (rows["scheduled"] > 0).all()
        assert (rows["scheduled"] <= rows["issued"] + 1_000_000).all()  # two clocks are read one after the other
    assert (rows["tokens"] > 0).all() == streams
    # a request that ends with its first token reports both at once
    assert not streams or (rows["first_token"] >= rows["started"]).all()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunSpec], Run]:
    """The same run with the Python driver, made once."""
    made: dict[tuple[str, str], Run] = {}

    def find(spec: RunSpec) -> Run:
        key = spec.benchmark, spec.scenario.value
        if key not in made:
            made[key] = launch(replace(spec, output=tmp_path_factory.mktemp("python") / "run", driver="python"))
        return made[key]

    return find


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("worker", WORKERS)
def test_batches(tmp_path: Path, reference: Callable[[RunSpec], Run], scenario: Scenario, worker: str) -> None:
    spec = tiny(tmp_path / "run", scenario=scenario, mode=TestMode.ACCURACY, max_batch=5)
    run = launch(replace(spec, driver="native", worker=worker))
    assert answers(run) == answers(reference(spec))
    assert len(answers(run)) > 0
    assert run.valid and reference(spec).valid
    assert (run.meta["driver"], run.meta["harness"]["worker"]) == ("native", worker)
    check_record(run, streams=False)


@pytest.mark.parametrize("scenario", (Scenario.SINGLE_STREAM, Scenario.SERVER, Scenario.OFFLINE))
@pytest.mark.parametrize("worker", WORKERS)
def test_streams(tmp_path: Path, reference: Callable[[RunSpec], Run], scenario: Scenario, worker: str) -> None:
    spec = tiny(tmp_path / "run", scenario=scenario, mode=TestMode.ACCURACY, **STREAM)
    run = launch(replace(spec, driver="native", worker=worker))
    assert answers(run) == answers(reference(spec))
    assert sum(entry.token_count or 0 for entry in answers(run)) > 0
    assert run.valid and reference(spec).valid
    check_record(run, streams=True)


@pytest.mark.parametrize("scenario", (Scenario.SERVER, Scenario.OFFLINE))
@pytest.mark.parametrize("worker", ("thread", "process"))
def test_performance(tmp_path: Path, scenario: Scenario, worker: str) -> None:
    spec = tiny(tmp_path / "run", scenario=scenario, driver="native", worker=worker, max_batch=16, max_wait_ms=0.5)
    run = launch(spec)
    assert run.finished
    assert run.valid or scenario is Scenario.OFFLINE, run.invalid_reasons  # its calibration may meet a busy machine
    check_record(run, streams=False)
    table = run.samples
    assert table is not None
    assert run.meta["samples_left_out"] == 0
    if scenario is Scenario.SERVER:  # LoadGen's own percentile is the record's: scheduled to done
        ours = np.sort(table["done"] - table["scheduled"])[int(len(table) * 0.99)]
        theirs = run.log["result_99.00_percentile_latency_ns"]
        assert abs(ours - theirs) < 200_000 + 0.1 * theirs
