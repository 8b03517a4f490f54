"""Replicas in processes of their own: several, pinned, streaming, with post-processing apart, and what they refuse."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from loadgen_harness.errors import BadInput, RunFailed
from loadgen_harness.launch import launch
from loadgen_harness.native import presence
from loadgen_harness.types import Division, Scenario, TestMode
from tests.fakes import tiny

pytestmark = [
    pytest.mark.usefixtures("plugin"),
    pytest.mark.skipif(bool(presence.missing()), reason=presence.missing()),
]

ACCURACY = {"mode": TestMode.ACCURACY, "worker": "process"}


def test_two_replicas_with_post_processors_on_cores_of_their_own(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    layout = {"replicas": 2, "pin": f"{core}/{core}", "postprocess": "process", "max_batch": 4}
    run = launch(tiny(tmp_path / "run", scenario=Scenario.OFFLINE, **ACCURACY, **layout))
    assert {index: np.frombuffer(data, np.int32).item() for index, data in run.responses.items()} == {
        index: index for index in range(64)
    }
    harness = run.meta["harness"]
    assert [each["cores"] for each in harness["processes"]] == [[core], [core]]
    assert (harness["replicas"], harness["postprocess"]) == (2, "process")
    assert all(each["host_peak_bytes"] > 1 << 20 for each in harness["processes"])


def test_streams_are_spread_over_replicas_by_their_free_slots(tmp_path: Path) -> None:
    stream = {"benchmark": "tiny_stream", "backend": "null_stream", "options": {"slots": "2", "tpot_ms": "2"}}
    run = launch(tiny(tmp_path / "run", scenario=Scenario.OFFLINE, replicas=2, **ACCURACY, **stream))
    assert run.valid
    taken = [each["gil"]["waits"] for each in run.meta["harness"]["processes"]]
    assert min(taken) > 0, "one replica did all the work"


def test_a_submission_run_loads_samples_set_by_set(tmp_path: Path) -> None:
    run = launch(tiny(tmp_path / "run", mode=TestMode.SUBMISSION, worker="process"))
    assert run.valid, run.invalid_reasons
    assert set(run.responses) == set(range(64))


@pytest.mark.parametrize("worker", ("thread", "inline", "process"))
def test_several_issuing_threads_with_coalescing(tmp_path: Path, worker: str) -> None:
    settings = {"num_issue_query_threads": 2.0, "coalesce_queries": 1.0, "target_qps": 2000.0, "min_query_count": 500.0}
    spec = tiny(
        tmp_path / "run",
        scenario=Scenario.SERVER,
        worker=worker,
        driver="native",
        division=Division.OPEN,
        overrides=settings,
    )
    run = launch(spec)
    rows = run.samples
    assert rows is not None
    assert len(rows) >= 500
    assert (rows["scheduled"] <= rows["issued"] + 1_000_000).all()
    assert run.log_errors == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"driver": "python"}, "--worker process needs the native bridge"),
        ({"postprocess": "thread"}, "--postprocess takes process"),
        ({"pin": "0/0/0"}, "3 groups of cores for 1 replicas"),
        ({"backend": "broken", "options": {"fault": "refuse"}}, "full moon"),
    ],
)
def test_what_cannot_be_is_said_before_the_run(tmp_path: Path, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        launch(tiny(tmp_path / "run", **{**ACCURACY, **changes}))
    assert list(tmp_path.iterdir()) == []


def test_a_streaming_benchmark_has_nothing_to_post_process(tmp_path: Path) -> None:
    stream = {"benchmark": "tiny_stream", "backend": "null_stream"}
    with pytest.raises(BadInput, match="no step of its own"):
        launch(tiny(tmp_path / "run", postprocess="process", **{**ACCURACY, **stream}))


def test_a_replica_that_cannot_load_fails_the_run_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="worker process 0: ArithmeticError: the device caught fire"):
        launch(tiny(tmp_path / "run", backend="broken", options={"fault": "load"}, **ACCURACY))
    log = (tmp_path / "run.failed" / "child.log").read_text()
    assert "broken.py" in log
    assert "Traceback" in log
