"""The Python driver's queue: how samples become batches, for one thread and for several."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from loadgen_harness.errors import RunFailed
from loadgen_harness.waiting import Taken, Waiting, part

LONG_NS = 10_000_000_000
FEW_NS = 100_000_000


def put(waiting: Waiting, *ids: int, issued: int | None = None) -> None:
    waiting.put(list(ids), [id_ + 1000 for id_ in ids], time.monotonic_ns() if issued is None else issued)


def batches(waiting: Waiting) -> list[list[int]]:
    """The ids of all batches of a queue that is stopped."""
    waiting.stop()
    found = []
    while (taken := waiting.take()) is not None:
        assert list(taken[1]) == [id_ + 1000 for id_ in taken[0]]
        found.append(list(taken[0]))
    return found


def test_a_query_larger_than_a_batch_is_split() -> None:
    waiting = Waiting(4, 0)
    put(waiting, *range(10))
    assert batches(waiting) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_what_waits_is_joined_up_to_the_largest_batch() -> None:
    waiting = Waiting(4, LONG_NS)
    for id_ in range(10):
        put(waiting, id_, issued=id_)
    taken = waiting.take()
    assert taken is not None
    ids, _, issued, dequeued, started = taken
    assert (ids, issued) == ([0, 1, 2, 3], [0, 1, 2, 3])
    assert dequeued <= started
    assert batches(waiting) == [[4, 5, 6, 7], [8, 9]]


def test_queries_are_never_torn_across_batches() -> None:
    """Three samples wait, then two more: five do not fit into four."""
    waiting = Waiting(4, LONG_NS)
    put(waiting, 0, 1, 2)
    put(waiting, 3, 4)
    put(waiting, 5, 6)
    assert batches(waiting) == [[0, 1, 2], [3, 4, 5, 6]]


def test_a_full_batch_does_not_wait() -> None:
    waiting = Waiting(2, 60_000_000_000)
    put(waiting, 0)
    put(waiting, 1)
    assert waiting.take() is not None  # sooner than the minute that the deadline allows


def test_the_deadline_of_the_oldest_sends_a_batch() -> None:
    waiting = Waiting(100, FEW_NS)
    issued = time.monotonic_ns()
    put(waiting, 0, issued=issued)
    taken = waiting.take()
    assert taken is not None
    assert taken[0] == [0]
    assert 0.9 * FEW_NS <= taken[4] - issued < LONG_NS


def test_a_batch_waits_for_what_comes_before_the_deadline() -> None:
    waiting = Waiting(2, LONG_NS)
    put(waiting, 0)
    threading.Timer(0.05, put, (waiting, 1)).start()
    taken = waiting.take()
    assert taken is not None
    assert taken[0] == [0, 1]


def test_without_a_deadline_only_what_is_there_is_taken() -> None:
    waiting = Waiting(8, 0)
    put(waiting, 0)
    put(waiting, 1)
    taken = waiting.take()
    assert taken is not None
    assert taken[0] == [0, 1]


def test_stop_empties_the_queue_then_ends_every_thread() -> None:
    waiting, found = Waiting(3, 1_000_000), list[Sequence[int]]()

    def work() -> None:
        while (taken := waiting.take()) is not None:
            found.append(taken[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for id_ in range(200):
        put(waiting, id_)
    waiting.stop()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(id_ for ids in found for id_ in ids) == list(range(200))
    assert waiting.take() is None


def test_what_one_thread_leaves_over_is_the_next_ones() -> None:
    """The second query does not fit: another thread gets it while the first still computes."""
    waiting = Waiting(4, LONG_NS)
    put(waiting, 0, 1, 2)
    put(waiting, 3, 4, 5, 6)
    first = waiting.take()
    found: list[Taken | None] = []
    other = threading.Thread(target=lambda: found.append(waiting.take()))
    other.start()
    other.join(5)
    assert first is not None and found[0] is not None
    assert (first[0], found[0][0]) == ([0, 1, 2], [3, 4, 5, 6])


def test_a_part_of_a_batch_keeps_its_own_times() -> None:
    taken: Taken = ([7, 8, 9], [70, 80, 90], [1, 2, 3], 4, 5)
    assert part(taken, [9, 7]) == ([9, 7], [90, 70], [3, 1], 4, 5)
    assert part((*taken[:2], 1, 4, 5), [8]) == ([8], [80], 1, 4, 5)
    with pytest.raises(RunFailed, match="sample 6, which the completing thread was not given"):
        part(taken, [6])
