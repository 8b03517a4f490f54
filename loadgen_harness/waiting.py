"""Samples that wait for a worker, and how they become batches (the Python driver's queue)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from time import monotonic_ns

from loadgen_harness.errors import RunFailed

# A batch on its way to the system under test: ids, indices, when issued (all at once, or each), dequeued, started (ns)
Taken = tuple[Sequence[int], Sequence[int], Sequence[int] | int, int, int]
Item = tuple[Sequence[int], Sequence[int], int]  # ids, indices, issued


class Waiting:
    """A queue whose batches go when they hold `max_batch` samples or their oldest has waited `max_wait_ns`.

    An item never holds more than one batch. One thread gathers at a time, so that what it leaves over is the next
    thread's to take at once, and two idle threads do not gather half a batch each.
    """

    def __init__(self, max_batch: int, max_wait_ns: int) -> None:
        """Empty, open."""
        self._size, self._wait_ns = max_batch, max_wait_ns
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()  # None: stopped
        self._turn = threading.Lock()
        self._left: Item | _Nothing | None = _NOTHING  # what did not fit into the last batch

    def put(self, ids: Sequence[int], indices: Sequence[int], issued_ns: int) -> None:
        """Queue a query, split where it exceeds a batch."""
        size = self._size
        if len(ids) <= size:
            self._queue.put((ids, indices, issued_ns))
            return
        for begin in range(0, len(ids), size):
            self._queue.put((ids[begin : begin + size], indices[begin : begin + size], issued_ns))

    def stop(self) -> None:
        """Nothing more comes."""
        self._queue.put(None)

    def take(self) -> Taken | None:
        """The next batch; blocks; None once stopped and empty."""
        with self._turn:
            first = self._queue.get() if isinstance(self._left, _Nothing) else self._left
            if first is None:
                self._left = None  # for every thread that asks after this one
                return None
            return self._gathered(first)

    def _gathered(self, first: Item) -> Taken:
        """A batch that begins with `first`; keeps the item that comes after it."""
        dequeued = monotonic_ns()
        items, total = [first], len(first[0])
        self._left = _NOTHING
        while total < self._size:
            following = self._next(first[2])
            if not isinstance(following, tuple) or total + len(following[0]) > self._size:
                self._left = following
                break
            items.append(following)
            total += len(following[0])
        ids, indices, issued = first if len(items) == 1 else _joined(items)
        return ids, indices, issued, dequeued, monotonic_ns()

    def _next(self, oldest_ns: int) -> Item | _Nothing | None:
        """The next item without passing the deadline of the oldest sample."""
        try:
            wait_ns = oldest_ns + self._wait_ns - monotonic_ns()
            return self._queue.get(timeout=wait_ns / 1e9) if wait_ns > 0 else self._queue.get_nowait()
        except queue.Empty:
            return _NOTHING


class _Nothing:
    """The queue had nothing in time."""


_NOTHING = _Nothing()


def part(taken: Taken, ids: Sequence[int]) -> Taken:
    """Some samples of a batch; raises RunFailed for one that it does not hold."""
    place = {id_: number for number, id_ in enumerate(taken[0])}
    try:
        places = [place[id_] for id_ in ids]
    except KeyError as error:
        raise RunFailed(
            f"the system under test completed sample {error}, which the completing thread was not given"
        ) from None
    _, indices, issued, dequeued, started = taken
    each = issued if isinstance(issued, int) else [issued[number] for number in places]
    return ids, [indices[number] for number in places], each, dequeued, started


def _joined(items: list[Item]) -> tuple[list[int], list[int], list[int]]:
    ids: list[int] = []
    indices: list[int] = []
    issued: list[int] = []
    for item_ids, item_indices, issued_ns in items:
        ids.extend(item_ids)
        indices.extend(item_indices)
        issued.extend([issued_ns] * len(item_ids))
    return ids, indices, issued
