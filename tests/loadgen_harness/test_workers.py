"""Workers: they take batches to the SUT, refuse layouts that they cannot run, and end when the driver stops."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from loadgen_harness.errors import BadInput
from loadgen_harness.workers.inline import InlineWorker
from loadgen_harness.workers.thread import ThreadWorker
from tests.fakes import Echo, EchoSUT, FakeDriver, Numbers, Prompts, Script, TokenSUT, work


class Careful(Echo):
    """For one thread at a time."""

    thread_safe = False


@pytest.mark.parametrize("replicas", [1, 3])
def test_threads_answer_until_the_driver_stops(replicas: int) -> None:
    driver, errors = FakeDriver(), list[BaseException]()
    worker = ThreadWorker(work(EchoSUT(Echo(), Numbers(), driver), driver, errors.append, replicas=replicas))
    before = threading.active_count()
    worker.start()
    assert threading.active_count() == before + replicas
    for first in range(0, 30, 3):
        driver.put([first + i for i in range(3)], [first + i for i in range(3)])
    driver.stop()
    worker.close()
    assert threading.active_count() == before
    assert errors == []
    assert sorted(driver.completed) == list(range(30))


def test_arrays_pass_through() -> None:
    driver, errors = FakeDriver(), list[BaseException]()
    worker = ThreadWorker(work(EchoSUT(Echo(), Numbers(), driver), driver, errors.append))
    worker.start()
    driver.put(np.array([1, 2**64 - 1], np.uint64), np.array([3, 4], np.int64))
    driver.stop()
    worker.close()
    assert errors == []
    assert driver.completed == [1, 2**64 - 1]


def test_an_exception_reaches_fail() -> None:
    class Wrong(EchoSUT):
        def respond(self, outputs: Any) -> np.ndarray:
            raise ArithmeticError("no")

    driver, errors = FakeDriver(), list[BaseException]()
    worker = ThreadWorker(work(Wrong(Echo(), Numbers(), driver), driver, errors.append))
    worker.start()
    driver.put([1], [1])
    worker.close()
    assert [str(error) for error in errors] == ["no"]


def test_inline_needs_nothing() -> None:
    driver = FakeDriver()
    worker = InlineWorker(work(EchoSUT(Echo(), Numbers(), driver), driver, [].append))
    before = threading.active_count()
    worker.start()
    assert threading.active_count() == before
    worker.close()
    assert (worker.inline, worker.remote) == (True, False)


LAYOUTS: list[tuple[type[Any], dict[str, Any], str]] = [
    (InlineWorker, {"replicas": 2}, "need --worker thread or process"),
    (ThreadWorker, {"replicas": 2}, "backend null serves one thread at a time: choose --worker process"),
    *((kind, {"postprocess": "process"}, "--postprocess needs") for kind in (InlineWorker, ThreadWorker)),
    *((kind, {"pin": "split"}, "--pin needs") for kind in (InlineWorker, ThreadWorker)),
    *((kind, {"device": "cuda:0,cuda:1"}, "several devices needs") for kind in (InlineWorker, ThreadWorker)),
]


@pytest.mark.parametrize(("kind", "changes", "sentence"), LAYOUTS)
def test_layouts_that_it_cannot_run(kind: type[Any], changes: dict[str, Any], sentence: str) -> None:
    driver = FakeDriver()
    with pytest.raises(BadInput, match=sentence):
        kind(work(EchoSUT(Careful(), Numbers(), driver), driver, [].append, **changes))


def test_a_streaming_backend_has_one_thread() -> None:
    driver = FakeDriver()
    with pytest.raises(BadInput, match="one thread at a time"):
        ThreadWorker(work(TokenSUT(Script(), Prompts(), driver), driver, [].append, replicas=2))


def test_no_pinning_is_what_threads_do_anyway() -> None:
    driver = FakeDriver()
    ThreadWorker(work(EchoSUT(Careful(), Numbers(), driver), driver, [].append, pin="none"))


def test_the_backend_describes_itself() -> None:
    class Known(Echo):
        def describe(self) -> dict[str, str]:
            return {"framework": "known"}

    driver = FakeDriver()
    worker = InlineWorker(work(EchoSUT(Known(), Numbers(), driver), driver, [].append))
    assert worker.describe() == {"framework": "known"}


def test_a_batch_is_measured_where_the_backend_is() -> None:
    driver = FakeDriver()
    worker = InlineWorker(work(EchoSUT(Echo(), Numbers(), driver), driver, [].append))
    assert 0 < worker.seconds(4, "fastest") <= worker.seconds(4, "mean") * 10
