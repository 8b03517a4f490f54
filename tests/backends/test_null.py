"""The null backends: what they echo and when."""

from __future__ import annotations

import time

import numpy as np
import pytest

from loadgen_harness.backends import TokenEvent
from loadgen_harness.backends.null import Null
from loadgen_harness.backends.null_stream import NullStream
from loadgen_harness.errors import BadInput, UnknownName

BATCH = {"input": np.zeros((4, 1), np.float32)}
REQUEST = {"prompt": "any", "max_new_tokens": 5}


def mean_ms(backend: Null, calls: int) -> float:
    begun = time.perf_counter()
    for _ in range(calls):
        backend.predict(BATCH)
    return (time.perf_counter() - begun) / calls * 1e3


def test_echoes_without_latency() -> None:
    backend = Null({})
    assert backend.predict(BATCH)[0] is BATCH["input"]
    assert mean_ms(backend, 1000) < 0.02
    assert backend.describe()["distribution"] == "constant"


@pytest.mark.parametrize("distribution", ["constant", "exponential", "lognormal"])
def test_mean_latency_is_the_chosen_one(distribution: str) -> None:
    """1 ms a batch and 0.25 ms a sample make 2 ms for four, about that for 200 drawn ones."""
    backend = Null({"latency_us": "1000", "per_sample_us": "250", "distribution": distribution, "seed": "4"})
    assert 2 * 0.75 < mean_ms(backend, 200) < 2 * 2.5  # the machine may be busy


def test_same_seed_same_latencies() -> None:
    options = {"latency_us": "1", "distribution": "lognormal", "sigma": "1"}
    first, second, third = (Null(options | {"seed": seed})._factors for seed in ("1", "1", "2"))
    assert first == second != third
    assert np.mean(first) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("options", [{"latency_us": "-1"}, {"latency_us": "soon"}, {"speed": "1"}])
def test_bad_options(options: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        Null(options)


def test_unknown_distribution_suggests() -> None:
    with pytest.raises(UnknownName, match="lognormal"):
        Null({"distribution": "log-normal"})


def collect(backend: NullStream, finals: int) -> list[TokenEvent]:
    events: list[TokenEvent] = []
    end = time.monotonic() + 5
    while sum(event.final for event in events) < finals and time.monotonic() < end:
        events.extend(backend.poll(0.1))
    return events


@pytest.fixture
def stream(request: pytest.FixtureRequest) -> NullStream:
    backend = NullStream(request.param)
    backend.load(None, "cpu", "")
    yield backend
    backend.close()


@pytest.mark.parametrize("stream", [{"ttft_ms": "30", "tpot_ms": "10"}], indirect=True)
def test_tokens_come_at_the_chosen_times(stream: NullStream) -> None:
    begun = time.monotonic_ns()
    stream.submit(7, REQUEST)
    events = collect(stream, 1)
    assert [event.tokens for event in events] == [(1,), (2,), (3,), (4,), (5,)]
    assert [event.final for event in events] == [False] * 4 + [True]
    late = [(event.time_ns - begun) / 1e6 - due for event, due in zip(events, (30, 40, 50, 60, 70), strict=True)]
    assert min(late) >= 0
    assert max(late) < 200  # a busy machine must not fail the test


@pytest.mark.parametrize("stream", [{"tpot_ms": "5", "tokens": "3", "slots": "2"}], indirect=True)
def test_third_request_waits_for_a_slot(stream: NullStream) -> None:
    for id_ in (1, 2, 3):
        stream.submit(id_, REQUEST)
    events = collect(stream, 3)
    assert sorted(event.id for event in events) == [1] * 3 + [2] * 3 + [3] * 3
    ends = {event.id: event.time_ns for event in events if event.final}
    first = min(event.time_ns for event in events if event.id == 3)
    assert first >= min(ends[1], ends[2])


@pytest.mark.parametrize("stream", [{"ttft_ms": "10000"}], indirect=True)
def test_cancel_ends_running_and_waiting_requests(stream: NullStream) -> None:
    stream.submit(1, REQUEST)
    stream.submit(2, REQUEST)
    for id_ in (2, 1, 1, 9):
        stream.cancel(id_)
    events = collect(stream, 2)
    assert [(event.id, event.error) for event in events] == [(2, "cancelled"), (1, "cancelled")]
    assert stream.poll(0) == []


@pytest.mark.parametrize("options", [{"slots": "0"}, {"ttft_ms": "-1"}])
def test_stream_bad_options(options: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="null_stream"):
        NullStream(options)
