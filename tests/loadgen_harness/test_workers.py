"""Workers and BatchSUT: how batches form, in what order answers come, where exceptions go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from loadgen_harness.samples import Recorder
from loadgen_harness.sut import Fail, Worker
from loadgen_harness.workers import Batching, RunBatch
from loadgen_harness.workers.inline import InlineWorker
from loadgen_harness.workers.thread import ThreadWorker
from tests.fakes import Echo, EchoSUT, FakeDriver, FakeProgress, Numbers

Make = Callable[[RunBatch, Batching, Fail], Worker]
KINDS = pytest.mark.parametrize("kind", [InlineWorker, ThreadWorker])


class Log:
    """Notes each batch that a worker runs; `gate` holds the first one until it is opened."""

    def __init__(self, *, gated: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.issued: list[Sequence[int] | int] = []
        self.late_ns: list[int] = []
        self.errors: list[BaseException] = []
        self.gate, self.entered = threading.Event(), threading.Event()
        if not gated:
            self.gate.set()

    def run(self, ids: Sequence[int], indices: Sequence[int], issued: Sequence[int] | int, dequeued: int) -> None:
        self.late_ns.append(time.monotonic_ns() - (issued if isinstance(issued, int) else issued[0]))
        self.batches.append(list(ids))
        self.issued.append(issued)
        self.entered.set()
        assert self.gate.wait(30)
        assert list(indices) == [id_ + 1000 for id_ in ids]


def issue(worker: Worker, *ids: int) -> None:
    worker.issue(list(ids), [id_ + 1000 for id_ in ids], time.monotonic_ns())


@KINDS
def test_a_query_larger_than_a_batch_is_split(kind: Make) -> None:
    log = Log()
    worker = kind(log.run, Batching(max_batch=4), log.errors.append)
    issue(worker, *range(10))
    worker.close()
    assert [id_ for batch in log.batches for id_ in batch] == list(range(10))
    assert max(map(len, log.batches)) == 4
    assert log.errors == []


@KINDS
def test_an_exception_reaches_fail(kind: Make) -> None:
    errors: list[BaseException] = []

    def run(*arguments: object) -> None:
        raise ArithmeticError("no")

    worker = kind(run, Batching(), errors.append)
    issue(worker, 1)
    worker.close()
    assert [str(error) for error in errors] == ["no"]


def test_what_waits_is_joined_up_to_the_largest_batch() -> None:
    log = Log(gated=True)
    worker = ThreadWorker(log.run, Batching(max_batch=4, max_wait_ns=10_000_000_000), log.errors.append)
    issue(worker, 0, 1, 2, 3)
    assert log.entered.wait(30)
    for id_ in range(4, 14):
        issue(worker, id_)
    log.gate.set()
    worker.close()
    assert log.batches[:3] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert [id_ for batch in log.batches for id_ in batch] == list(range(14))
    joined = log.issued[1]
    assert isinstance(joined, list)
    assert joined == sorted(joined)
    assert len(joined) == 4


def test_items_are_never_torn_across_batches() -> None:
    """Three samples wait, then two more: five do not fit into four."""
    log = Log(gated=True)
    worker = ThreadWorker(log.run, Batching(max_batch=4, max_wait_ns=10_000_000_000), log.errors.append)
    issue(worker, 99, 98, 97, 96)
    assert log.entered.wait(30)
    issue(worker, 0, 1, 2)
    issue(worker, 3, 4)
    issue(worker, 5, 6)
    log.gate.set()
    worker.close()
    assert log.batches[1:] == [[0, 1, 2], [3, 4, 5, 6]]


def test_a_full_batch_does_not_wait() -> None:
    log = Log()
    worker = ThreadWorker(log.run, Batching(max_batch=2, max_wait_ns=60_000_000_000), log.errors.append)
    issue(worker, 0)
    issue(worker, 1)
    assert log.entered.wait(30)  # sooner than the minute that the deadline allows
    worker.close()
    assert log.batches == [[0, 1]]


def test_the_deadline_of_the_oldest_sends_a_batch() -> None:
    log = Log()
    worker = ThreadWorker(log.run, Batching(max_batch=100, max_wait_ns=100_000_000), log.errors.append)
    issue(worker, 0)
    assert log.entered.wait(30)
    worker.close()
    assert log.batches == [[0]]
    assert 90_000_000 <= log.late_ns[0] < 10_000_000_000


def test_close_drains_the_queue() -> None:
    log = Log(gated=True)
    worker = ThreadWorker(log.run, Batching(max_batch=1, threads=2), log.errors.append)
    for id_ in range(50):
        issue(worker, id_)
    threading.Timer(0.05, log.gate.set).start()
    worker.close()
    assert sorted(id_ for batch in log.batches for id_ in batch) == list(range(50))
    assert not any(thread.is_alive() for thread in worker._threads)


@KINDS
@pytest.mark.parametrize("size", [1, 3, 64])
def test_a_batch_sut_answers_every_sample_with_its_own(kind: Make, size: int) -> None:
    driver, recorder, progress = FakeDriver(), Recorder(), FakeProgress()
    errors: list[BaseException] = []
    sut = EchoSUT(Echo(), Numbers(), driver, recorder)
    sut.progress = progress
    sut.worker = kind(sut.run, Batching(max_batch=size, max_wait_ns=1_000_000), errors.append)
    for first in range(0, 32, 8):
        sut.issue([500 + i for i in range(first, first + 8)], list(range(first, first + 8)))
    sut.flush()
    sut.close()
    assert errors == []
    assert sorted(driver.completed) == list(range(500, 532))
    assert all(np.frombuffer(data, np.int32)[0] == id_ - 500 for _, id_, data, _ in driver.events)
    table = recorder.table()
    assert sorted(table["index"].tolist()) == list(range(32))
    for early, late in (("issued", "dequeued"), ("dequeued", "started"), ("started", "done")):
        assert (table[early] <= table[late]).all()
    assert table["batch"].max() <= size
    assert (progress.issued, progress.completed) == (32, 32)


def test_dearest_samples_go_first() -> None:
    class Costly(EchoSUT):
        def cost(self, sample: np.ndarray) -> float:
            return float(sample[0] % 4)

    driver = FakeDriver()
    sut = Costly(Echo(), Numbers(), driver, Recorder())
    sut.progress, sut.worker = FakeProgress(), InlineWorker(sut.run, Batching(max_batch=2), lambda error: None)
    sut.issue([10, 11, 12, 13], [0, 1, 2, 3])
    assert driver.completed == [13, 12, 11, 10]


def test_mappings_are_stacked_by_key() -> None:
    sut = EchoSUT(Echo(), Numbers(), FakeDriver(), Recorder())
    batch = sut.collate([{"a": np.zeros(2), "b": np.ones(3)}] * 4)
    assert {key: value.shape for key, value in batch.items()} == {"a": (4, 2), "b": (4, 3)}
