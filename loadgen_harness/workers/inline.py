"""Predicts in LoadGen's issuing thread: no hop, for SingleStream, MultiStream and Offline."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic_ns

from loadgen_harness.sut import Fail
from loadgen_harness.workers import Batching, RunBatch


class InlineWorker:
    """Runs every query at once, in batches of at most `max_batch`."""

    def __init__(self, run: RunBatch, batching: Batching, fail: Fail) -> None:
        """Compute with `run`; `fail` ends the run."""
        self._run, self._size, self._fail = run, batching.max_batch, fail

    def issue(self, ids: Sequence[int], indices: Sequence[int], issued_ns: int) -> None:
        """Answer the whole query before returning."""
        size = self._size
        try:
            if len(ids) <= size:
                self._run(ids, indices, issued_ns, issued_ns)
                return
            for begin in range(0, len(ids), size):
                self._run(ids[begin : begin + size], indices[begin : begin + size], issued_ns, monotonic_ns())
        except BaseException as error:  # an exception through LoadGen's C++ frames would abort the process unexplained
            self._fail(error)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing to stop."""


WORKER = InlineWorker
