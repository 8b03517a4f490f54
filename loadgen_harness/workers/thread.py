"""Long-lived threads that take batches from a queue: dynamic batching for Server, several replicas for Offline."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from time import monotonic_ns

from loadgen_harness.sut import Fail
from loadgen_harness.workers import Batching, RunBatch

Item = tuple[Sequence[int], Sequence[int], int] | None  # ids, indices, issued; None ends a thread


class ThreadWorker:
    """A queue in front of `batching.threads` threads; an item never holds more than one batch."""

    def __init__(self, run: RunBatch, batching: Batching, fail: Fail) -> None:
        """Start the threads; they live until close()."""
        self._run, self._batching, self._fail = run, batching, fail
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()
        names = [f"worker-{number}" for number in range(batching.threads)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def issue(self, ids: Sequence[int], indices: Sequence[int], issued_ns: int) -> None:
        """Queue samples, split where a query exceeds a batch."""
        size = self._batching.max_batch
        if len(ids) <= size:
            self._queue.put((ids, indices, issued_ns))
            return
        for begin in range(0, len(ids), size):
            self._queue.put((ids[begin : begin + size], indices[begin : begin + size], issued_ns))

    def flush(self) -> None:
        """Deadlines see to it that nothing waits long."""

    def close(self) -> None:
        """Let the threads finish the queue and stop."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        try:
            left: Item = self._queue.get()
            while left is not None:
                left = self._batch(left)
        except BaseException as error:
            self._fail(error)

    def _batch(self, first: tuple[Sequence[int], Sequence[int], int]) -> Item:
        """Gather a batch that begins with `first`, run it, and return the item that comes after it."""
        dequeued = monotonic_ns()
        items, total = [first], len(first[0])
        following = self._next(first[2], block=total < self._batching.max_batch)
        while isinstance(following, tuple) and total + len(following[0]) <= self._batching.max_batch:
            items.append(following)
            total += len(following[0])
            following = self._next(first[2], block=total < self._batching.max_batch)
        if len(items) == 1:
            self._run(*first, dequeued)
        else:
            self._run(*_joined(items), dequeued)
        return self._queue.get() if isinstance(following, _Nothing) else following

    def _next(self, oldest_ns: int, block: bool) -> Item | _Nothing:
        """The next item without passing the deadline of the oldest sample."""
        try:
            wait_ns = oldest_ns + self._batching.max_wait_ns - monotonic_ns() if block else 0
            return self._queue.get(timeout=wait_ns / 1e9) if wait_ns > 0 else self._queue.get_nowait()
        except queue.Empty:
            return _NOTHING


class _Nothing:
    """The queue had nothing in time."""


_NOTHING = _Nothing()


def _joined(items: list[tuple[Sequence[int], Sequence[int], int]]) -> tuple[list[int], list[int], list[int]]:
    ids: list[int] = []
    indices: list[int] = []
    issued: list[int] = []
    for item_ids, item_indices, issued_ns in items:
        ids.extend(item_ids)
        indices.extend(item_indices)
        issued.extend([issued_ns] * len(item_ids))
    return ids, indices, issued


WORKER = ThreadWorker
