"""What a run is made of: which driver, which worker, and what does not go together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadgen_harness import child, settings
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.stream import StreamSUT
from loadgen_harness.types import Scenario
from loadgen_harness.workers import Worker
from tests.fakes import FakeProgress, tiny

pytestmark = pytest.mark.usefixtures("plugin")

SETTINGS = settings.TestSettings("Server", "PerformanceOnly")


@pytest.fixture
def no_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the native bridge was never built."""
    monkeypatch.setattr(child, "BRIDGE", "loadgen_harness.no_such_bridge")


def build(**changes: Any) -> Worker:
    spec = tiny(Path("unused"), **{"driver": "python", **changes})
    return child.build(child.assemble(spec), spec, folder=Path("unused"), counters=FakeProgress(), fail=[].append)  # type: ignore[arg-type]


def test_without_a_bridge_the_binding_drives(no_bridge: None) -> None:
    assert child.choose_driver("", SETTINGS).name == "python"
    assert "not built" in child.bridge_missing()


def test_a_bridge_that_is_asked_for_must_be_there(no_bridge: None) -> None:
    with pytest.raises(BadInput, match="the native bridge is not built"):
        child.choose_driver("native", SETTINGS)


def test_the_bridge_drives_where_it_is_built() -> None:
    lacking = child.bridge_missing()
    if lacking:
        pytest.skip(lacking)
    assert child.choose_driver("", SETTINGS).name == child.choose_driver("native", SETTINGS).name == "native"
    assert child.choose_driver("python", SETTINGS).name == "python"


@pytest.mark.parametrize("name", ["pyton", "c++"])
def test_other_drivers_are_unknown(name: str) -> None:
    with pytest.raises(UnknownName, match="unknown driver"):
        child.choose_driver(name, SETTINGS)


@pytest.mark.parametrize("name", ["", "python"])
def test_issue_threads_need_the_bridge(no_bridge: None, name: str) -> None:
    with pytest.raises(BadInput, match="--driver native"):
        child.choose_driver(name, replace(SETTINGS, server_num_issue_query_threads=2))


@pytest.mark.parametrize(
    ("benchmark", "scenario", "chosen", "driver", "worker"),
    [
        ("tiny", Scenario.SINGLE_STREAM, "", "python", "inline"),
        ("tiny", Scenario.SERVER, "", "native", "thread"),
        ("tiny", Scenario.OFFLINE, "", "native", "inline"),
        ("tiny", Scenario.OFFLINE, "thread", "python", "thread"),
        ("tiny_stream", Scenario.INTERACTIVE, "", "python", "inline"),
        ("tiny_stream", Scenario.SINGLE_STREAM, "", "native", "thread"),
        ("tiny_stream", Scenario.SINGLE_STREAM, "inline", "native", "inline"),
    ],
)
def test_the_worker_by_default(benchmark: str, scenario: Scenario, chosen: str, driver: str, worker: str) -> None:
    spec = tiny(Path("unused"), benchmark=benchmark, backend="null_stream", scenario=scenario, worker=chosen)
    assert child.worker_name(spec, child.assemble(spec).benchmark, driver) == worker


def test_build_loads_nothing() -> None:
    worker = build(benchmark="tiny_stream", backend="null_stream", options={"slots": "8"}, replicas=1)
    assert isinstance(worker.work.sut, StreamSUT)
    assert worker.work.spec.worker == "inline"
    assert worker.work.driver.name == "python"
    assert not worker.work.sut._thread.is_alive()


def test_batching_comes_from_the_spec() -> None:
    batching = build(max_batch=8, max_wait_ms=1.5, spin_us=20).work.batching
    assert (batching.max_batch, batching.max_wait_ns, batching.spin_ns) == (8, 1_500_000, 20_000)
    assert build(max_batch=0).work.batching.max_batch == 1


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"worker": "process"}, "--worker process needs the native bridge"),
    ({"worker": "tread"}, "unknown worker 'tread': did you mean 'thread'?"),
    ({"replicas": 0}, "--replicas must be at least 1, not 0"),
    ({"spin_us": -1}, "--spin-us must not be negative"),
    ({"worker": "thread", "postprocess": "process"}, "choose --worker process"),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG)
def test_what_does_not_go_together(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises((BadInput, UnknownName)) as caught:
        build(**changes)
    assert sentence in str(caught.value)


def test_replica_processes_need_a_bridge(no_bridge: None) -> None:
    with pytest.raises(BadInput, match="needs the native bridge: the native bridge is not built"):
        build(worker="process", driver="")


@pytest.mark.parametrize(("device", "replicas", "copies"), [("cpu", 3, 3), ("cuda:0,cuda:1", 1, 2), ("cpu", 1, 1)])
def test_every_device_has_its_replica(device: str, replicas: int, copies: int) -> None:
    assert child.copies(tiny(Path("unused"), device=device, replicas=replicas)) == copies


def test_only_replicas_in_processes_multiply_the_pace() -> None:
    worker = build(worker="thread", replicas=3)
    assert child.pace(worker).copies == 1
    worker.remote = True
    assert child.pace(worker).copies == 3
