"""The Python driver between a SUT and LoadGen's binding: what it hands out, reports, records and counts."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness import loadgen
from loadgen_harness.errors import RunFailed
from loadgen_harness.sut import BatchSUT, Ids, Indices
from loadgen_harness.workers import Batching
from loadgen_harness.workers.thread import ThreadWorker
from tests.fakes import Echo, EchoSUT, FakeProgress, Numbers, Prompts, Script, TokenSUT, wait_for, work

SIZES = pytest.mark.parametrize("size", [1, 3, 64])


class Binding:
    """In the place of LoadGen's binding: real response objects, whose bytes it copies as LoadGen does."""

    QuerySampleResponse = loadgen.lg.QuerySampleResponse

    def __init__(self) -> None:
        self.completed: list[tuple[int, bytes, int]] = []
        self.first: list[tuple[int, bytes]] = []

    def QuerySamplesComplete(self, responses: Sequence[Any]) -> None:
        self.completed += [(each.id, ctypes.string_at(each.data, each.size), each.n_tokens) for each in responses]

    def FirstTokenComplete(self, responses: Sequence[Any]) -> None:
        self.first += [(each.id, ctypes.string_at(each.data, each.size)) for each in responses]


class Bench:
    """A driver with a LoadGen that only listens."""

    def __init__(self, binding: Binding, size: int = 1) -> None:
        self.binding, self.progress = binding, FakeProgress()
        self.errors: list[BaseException] = []
        self.driver = loadgen.PythonDriver(Batching(size, 1_000_000), self.progress, self.errors.append)  # type: ignore[arg-type]

    def table(self, folder: Path) -> np.ndarray:
        assert self.driver.save(folder / "samples.npy") == 0
        rows: np.ndarray = np.load(folder / "samples.npy")
        return rows


@pytest.fixture
def binding(monkeypatch: pytest.MonkeyPatch) -> Binding:
    made = Binding()
    monkeypatch.setattr(loadgen, "lg", made)
    return made


def queries(issue: Callable[[list[int], list[int]], None], count: int = 32, each: int = 8) -> None:
    """Query after query of `each` samples; the id of sample i is 500 + i."""
    for first in range(0, count, each):
        issue([500 + i for i in range(first, first + each)], list(range(first, first + each)))


def check_echo(bench: Bench, folder: Path, size: int) -> None:
    """Every sample answered once with its own number, recorded and counted."""
    assert bench.errors == []
    assert sorted(id_ for id_, *_ in bench.binding.completed) == list(range(500, 532))
    assert all(np.frombuffer(data, np.int32)[0] == id_ - 500 for id_, data, _ in bench.binding.completed)
    rows = bench.table(folder)
    assert sorted(rows["index"].tolist()) == list(range(32))
    assert (rows["id"] == rows["index"] + 500).all()
    assert (rows["scheduled"] == 0).all()
    stamps = ("issued", "dequeued", "started", "computed", "done")
    for early, late in pairwise(stamps):
        assert (rows[early] <= rows[late]).all()
    assert rows["batch"].max() <= size
    assert (bench.progress.issued, bench.progress.completed) == (32, 32)


@SIZES
def test_inline(binding: Binding, tmp_path: Path, size: int) -> None:
    bench = Bench(binding, size)
    sut = EchoSUT(Echo(), Numbers(), bench.driver)
    queries(bench.driver.issuer(sut, inline=True))
    check_echo(bench, tmp_path, size)


@SIZES
@pytest.mark.parametrize("replicas", [1, 3])
def test_threads(binding: Binding, tmp_path: Path, size: int, replicas: int) -> None:
    bench = Bench(binding, size)
    sut = EchoSUT(Echo(), Numbers(), bench.driver)
    worker = ThreadWorker(work(sut, bench.driver, bench.errors.append, replicas=replicas))
    worker.start()
    queries(bench.driver.issuer(sut, inline=False))
    bench.driver.stop()
    worker.close()
    bench.progress.completed = len(binding.completed)  # counters are exact with one completing thread only
    check_echo(bench, tmp_path, size)


class Halves(EchoSUT):
    """Reports the second half of a batch first."""

    def issue(self, ids: Ids, indices: Indices) -> None:
        middle = len(ids) // 2
        for part in (slice(middle, None), slice(middle)):
            self.driver.complete(ids[part], self.answer(indices[part]))


def test_a_batch_may_be_completed_in_parts(binding: Binding, tmp_path: Path) -> None:
    bench = Bench(binding, 8)
    queries(bench.driver.issuer(Halves(Echo(), Numbers(), bench.driver), inline=True))
    check_echo(bench, tmp_path, 8)


def test_byte_strings_of_any_length(binding: Binding) -> None:
    class Words(EchoSUT):
        def respond(self, outputs: Sequence[np.ndarray]) -> list[bytes]:  # type: ignore[override]
            return [b"x" * int(row[0]) for row in outputs[0]]

    bench = Bench(binding, 8)
    bench.driver.issuer(Words(Echo(), Numbers(), bench.driver), inline=True)([1, 2, 3], [0, 5, 2])
    assert binding.completed == [(1, b"", 0), (2, b"xxxxx", 0), (3, b"xx", 0)]


class Costly(EchoSUT):
    """Samples cost their remainder by 4."""

    def cost(self, sample: np.ndarray) -> float:
        return float(sample[0] % 4)


@pytest.mark.parametrize("inline", [True, False])
def test_dearest_samples_go_first(binding: Binding, inline: bool) -> None:
    bench = Bench(binding, 2)
    sut = Costly(Echo(), Numbers(), bench.driver)
    bench.driver.loader(sut, sut.qsl)(list(range(8)))
    worker = ThreadWorker(work(sut, bench.driver, bench.errors.append))
    worker.start()
    bench.driver.issuer(sut, inline=inline)(list(range(10, 18)), list(range(8)))
    bench.driver.stop()
    worker.close()
    assert [id_ for id_, *_ in binding.completed] == [13, 17, 12, 16, 11, 15, 10, 14]


WRONG: list[tuple[Callable[[BatchSUT, Ids, Indices], None], str]] = [
    (lambda sut, ids, indices: sut.driver.complete(ids, sut.answer(indices)[:-1]), "2 responses to 3 samples"),
    (lambda sut, ids, indices: sut.driver.complete([7, 8, 9], sut.answer(indices)), "sample 7, which"),
    (lambda sut, ids, indices: sut.driver.complete(ids, np.zeros((3, 2))[:, :1]), "strided array"),
    (lambda sut, ids, indices: [].remove(1), "list.remove"),  # type: ignore[func-returns-value]
]


@pytest.mark.parametrize(("act", "sentence"), WRONG)
@pytest.mark.parametrize("inline", [True, False])
def test_what_goes_wrong_in_a_callback_reaches_fail(
    binding: Binding, act: Callable[[BatchSUT, Ids, Indices], None], sentence: str, inline: bool
) -> None:
    class Wrong(EchoSUT):
        def issue(self, ids: Ids, indices: Indices) -> None:
            act(self, ids, indices)

    bench = Bench(binding, 4)
    sut = Wrong(Echo(), Numbers(), bench.driver)
    worker = ThreadWorker(work(sut, bench.driver, bench.errors.append))
    worker.start()
    bench.driver.issuer(sut, inline=inline)([1, 2, 3], [1, 2, 3])
    bench.driver.stop()
    worker.close()
    assert [sentence in str(error) for error in bench.errors] == [True]
    assert binding.completed == []


@pytest.fixture
def stream(binding: Binding) -> Iterator[tuple[Bench, Script, TokenSUT]]:
    bench, script = Bench(binding, 4), Script()
    sut = TokenSUT(script, Prompts(), bench.driver)
    sut.fail = bench.errors.append
    sut.start()
    yield bench, script, sut
    sut.close()


@pytest.mark.parametrize("inline", [True, False])
def test_streams_complete_in_any_order(stream: tuple[Bench, Script, TokenSUT], tmp_path: Path, inline: bool) -> None:
    bench, script, sut = stream
    worker = ThreadWorker(work(sut, bench.driver, bench.errors.append))
    worker.start()
    bench.driver.issuer(sut, inline=inline)([50, 60, 70], [5, 6, 7])
    wait_for(lambda: len(script.submitted) == 3)
    script.say(60, 1, 2)
    script.say(50, 7)
    script.say(60, 3, final=True)
    script.say(70, final=True)
    script.say(50, 8, final=True)
    wait_for(lambda: len(bench.binding.completed) == 3 and bench.progress.completed == 3)
    bench.driver.stop()
    worker.close()
    assert bench.errors == []
    assert bench.binding.first == [(60, b"\x01|1 2 "), (50, b"\x07|7 ")]
    assert [(id_, count) for id_, _, count in bench.binding.completed] == [(60, 3), (70, 0), (50, 2)]
    rows = bench.table(tmp_path)
    assert rows["id"].tolist() == [60, 70, 50]
    assert rows["index"].tolist() == [6, 7, 5]
    assert rows["tokens"].tolist() == [3, 0, 2]
    assert (rows["first_token"] > 0).tolist() == [True, False, True]
    assert (rows["issued"] <= rows["started"]).all() and (rows["started"] <= rows["computed"]).all()
    assert (rows["first_token"] <= rows["computed"]).all() and (rows["computed"] <= rows["done"]).all()


def test_a_stream_cannot_complete_twice(stream: tuple[Bench, Script, TokenSUT]) -> None:
    bench, _, sut = stream
    bench.driver.issuer(sut, inline=True)([50], [5])
    bench.driver.complete([50], [b""], [1])
    with pytest.raises(RunFailed, match="sample 50, which is not in flight"):
        bench.driver.complete([50], [b""], [1])


def test_each_thread_has_its_own_batch(binding: Binding) -> None:
    """What one thread took, another cannot complete: only streams may."""
    bench = Bench(binding)
    bench.driver.issuer(EchoSUT(Echo(), Numbers(), bench.driver), inline=False)([1], [1])
    batch = bench.driver.take()
    assert batch == ([1], [1])
    errors: list[BaseException] = []

    def complete() -> None:
        try:
            bench.driver.complete([1], np.zeros((1, 1)))
        except RunFailed as error:
            errors.append(error)

    thread = threading.Thread(target=complete)
    thread.start()
    thread.join()
    assert "which the completing thread was not given" in str(errors[0])
