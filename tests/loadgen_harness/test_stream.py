"""StreamSUT: tokens come back in order, first tokens before completions, errors end the run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from loadgen_harness.backends.null_stream import NullStream
from loadgen_harness.errors import RunFailed
from tests.fakes import FakeDriver, Prompts, Script, TokenSUT, wait_for


class Bench:
    """A StreamSUT between a fake driver and a backend."""

    def __init__(self, backend: Script | NullStream) -> None:
        self.driver = FakeDriver()
        self.errors: list[BaseException] = []
        self.sut = TokenSUT(backend, Prompts(), self.driver)
        self.sut.fail = self.errors.append


@contextmanager
def bench(backend: Script | NullStream) -> Iterator[Bench]:
    made = Bench(backend)
    made.sut.start()
    try:
        yield made
    finally:
        made.sut.close()


def test_tokens_first_and_last() -> None:
    script = Script()
    with bench(script) as made:
        made.sut.issue([50, 60], [5, 6])
        assert script.submitted == [
            (50, {"prompt": "5", "max_new_tokens": 5}),
            (60, {"prompt": "6", "max_new_tokens": 6}),
        ]
        script.say(50)  # an event without tokens is no first token
        script.say(50, 7, at=11)
        script.say(60, 1, 2, at=12)
        script.say(50, 8, 9, at=13)
        script.say(50, final=True, at=14)
        script.say(60, 3, final=True, at=15)
        wait_for(lambda: len(made.driver.completed) == 2)
    assert made.errors == []
    assert made.driver.of(50) == [("first", b"\x07|7 ", 0), ("complete", b"\x07\x08\x09|7 8 9 ", 3)]
    assert made.driver.of(60) == [("first", b"\x01|1 2 ", 0), ("complete", b"\x01\x02\x03|1 2 3 ", 3)]
    assert made.driver.completed == [50, 60]


def test_a_whole_answer_in_one_event() -> None:
    script = Script()
    with bench(script) as made:
        made.sut.issue([1], [2])
        script.say(1, 4, 5, final=True)
        wait_for(lambda: made.driver.completed)
    assert [kind for kind, *_ in made.driver.of(1)] == ["first", "complete"]


def test_an_answer_without_tokens_still_completes() -> None:
    script = Script()
    with bench(script) as made:
        made.sut.issue([1], [2])
        script.say(1, final=True)
        wait_for(lambda: made.driver.completed)
    assert made.driver.of(1) == [("complete", b"|", 0)]


def test_an_error_event_fails_the_run() -> None:
    script = Script()
    with bench(script) as made:
        made.sut.issue([1, 9], [2, 3])
        script.say(1, 3)
        script.say(1, final=True, error="out of memory")
        wait_for(lambda: made.errors)
    assert isinstance(made.errors[0], RunFailed)
    assert str(made.errors[0]) == (
        "the backend failed on sample 2 (request 0x1, after 1 tokens, 1 others in flight): out of memory"
    )
    assert made.driver.completed == []


def test_an_unknown_request_fails_the_run() -> None:
    script = Script()
    with bench(script) as made:
        script.say(99, 1)
        wait_for(lambda: made.errors)


def test_a_refused_request_raises_where_it_was_issued() -> None:
    """The worker, or the driver on LoadGen's thread, hands that to `fail`."""
    script = Script()
    with bench(script) as made:
        script.submit = lambda id, input: (_ for _ in ()).throw(OSError("full"))  # type: ignore[method-assign]
        with pytest.raises(OSError, match="full"):
            made.sut.issue([1], [2])


def test_ids_come_as_arrays_too() -> None:
    script = Script()
    with bench(script) as made:
        made.sut.issue(np.array([2**63 + 5], np.uint64), np.array([4], np.int64))
        assert script.submitted == [(2**63 + 5, {"prompt": "4", "max_new_tokens": 4})]
        script.say(2**63 + 5, 1, final=True)
        wait_for(lambda: made.driver.completed)
    assert made.driver.completed == [2**63 + 5]


def test_close_without_requests_ends_the_thread() -> None:
    before = threading.active_count()
    with bench(Script()):
        pass
    assert threading.active_count() == before


@pytest.mark.parametrize("slots", [1, 3])
def test_the_null_stream(slots: int) -> None:
    backend = NullStream({"slots": str(slots), "ttft_ms": "1", "tpot_ms": "0.2"})
    backend.load(None, "cpu", "none")
    with bench(backend) as made:
        indices = [3, 5, 4, 1, 2, 6]
        made.sut.issue([100 + index for index in indices], indices)
        wait_for(lambda: len(made.driver.completed) == len(indices) or made.errors)
    backend.close()
    assert made.errors == []
    for index in indices:
        first, last = made.driver.of(100 + index)
        assert first[0] == "first"
        assert (last[0], last[2]) == ("complete", index)
        assert last[1].startswith(bytes(range(1, index + 1)))
    if slots == 1:
        assert made.driver.completed == [100 + index for index in indices]
