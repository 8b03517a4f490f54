"""The native bridge: LoadGen driven from C++, so that Python pays per batch and never per sample.

LoadGen's IssueQuery only appends to a table in shared memory, without Python's lock; workers take batches of it into
numpy arrays, in this process or in others, and one call completes a batch. The table is the record of the run too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from functools import partial
from pathlib import Path
from threading import get_ident
from types import SimpleNamespace
from typing import Any

import numpy as np

from loadgen_harness import doomed, samples
from loadgen_harness.effective import effective_settings
from loadgen_harness.errors import RunFailed
from loadgen_harness.native import presence
from loadgen_harness.native.presence import missing as missing
from loadgen_harness.progress import Counters
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.settings import Plan
from loadgen_harness.sut import Fail, Ids, Responses, SystemUnderTest
from loadgen_harness.types import Scenario, TestMode
from loadgen_harness.workers import Batching

NEVER = (1 << 63) - 1  # ns
OVERFLOW = 1 << 20  # samples past the record's limit that may be in flight at once
POPULATED = 1 << 24  # rows that get their memory before the test, at most (1.3 GB)


class Seat:
    """One thread's place at the table: its arrays, and views of the lengths that batches have had."""

    def __init__(self, bridge: Any, table: Any, batching: Batching) -> None:
        """Arrays of at most one batch."""
        self._ids = np.zeros(batching.max_batch, np.uint64)
        self._indices = np.zeros(batching.max_batch, np.int64)
        seat = bridge.Seat(table, self._ids, self._indices, batching.max_wait_ns, batching.spin_ns)
        self.next_batch: Callable[[], int] = seat.next_batch
        self.try_batch: Callable[[], int] = seat.try_batch
        self.views: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def batch(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The first `count` ids [n] uint64 and sample indices [n] int64, overwritten by the next batch."""
        views = self.views.get(count)
        if views is None:
            views = self.views[count] = self._ids[:count], self._indices[:count]
        return views


class NativeDriver:
    """Talks to LoadGen through the bridge; ids are row numbers of the record, in arrays of uint64."""

    name = "native"

    def __init__(self, batching: Batching, counters: Counters, fail: Fail) -> None:
        """Raises RunFailed where the bridge is missing or cannot be loaded; `fail` ends the run."""
        self.batching = batching
        self.bridge = presence.load()
        self.table = self.bridge.Table(samples.LIMIT, OVERFLOW)
        self._loadgen = self.bridge.Bridge(self.table, counters.words(), partial(_failed, fail))
        self._complete = self._loadgen.complete
        # Not thread-local: those die with their thread's Python state, when nanobind cannot take the lock it wants.
        self._seats: dict[int, Seat] = {}

    def start_test(
        self, sut: SystemUnderTest, qsl: QuerySampleLibrary, plan: Plan, folder: Path, *, inline: bool
    ) -> None:
        """Run one LoadGen test to its end, logs in `folder`, which holds user.conf and perhaps audit.config.

        Once per process, as with the Python driver. Raises RunFailed for what LoadGen throws.
        """
        settings = effective_settings(self.bridge, plan, folder)
        self.table.populate(expected_rows(plan, qsl))
        if limits := doomed.limits(plan.settings):
            self._loadgen.judge(*(each or NEVER for each in astuple(limits)))
        library = SimpleNamespace(
            total_count=qsl.total_count,
            performance_count=qsl.performance_count,
            load=_loader(self._loadgen, sut, qsl),
            unload=qsl.unload,
        )
        alone = plan.settings.server_num_issue_query_threads <= 1
        answer = (_answering_alone if alone else _answering)(self, sut.issue) if inline else None
        try:
            self._loadgen.start_test(settings, str(folder), library, answer)
        except (RuntimeError, ValueError, MemoryError) as error:  # C++ exceptions in Python's clothes
            raise RunFailed(f"LoadGen stopped with {error}") from error

    def take(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The calling thread's next batch, valid until its next take(); blocks; None once stopped and empty."""
        seat = self.seat()
        count = seat.next_batch()
        return seat.batch(count) if count else None

    def seat(self) -> Seat:
        """The calling thread's own."""
        seat = self._seats.get(get_ident())
        if seat is None:
            seat = self._seats[get_ident()] = Seat(self.bridge, self.table, self.batching)
        return seat

    def listen(self, ring: Any) -> None:
        """Complete what a worker process writes into `ring`, from a thread of the bridge's own."""
        self._loadgen.listen(ring, self.batching.spin_ns)

    def complete(self, ids: Ids, responses: Responses, tokens: Sequence[int] | None = None) -> None:
        """Report finished samples: rows of a C-contiguous (n, k) array or n byte strings, in the order of `ids`.

        LoadGen copies the bytes before the call returns. Raises RunFailed for responses that do not fit the samples
        or answer what is not in flight.
        """
        if tokens is None and type(responses) is np.ndarray and type(ids) is np.ndarray:
            try:  # the hot path: answer() without its call
                self._complete(ids, responses)
                return
            except (ValueError, TypeError, BufferError, RuntimeError) as error:
                raise _unfit(error) from error
        answer(self._loadgen, ids, responses, tokens)

    def first_token(self, ids: Ids, responses: Sequence[bytes]) -> None:
        """Report first tokens, with their bytes."""
        first_token(self._loadgen, ids, responses)

    def stop(self) -> None:
        """After the test: take() hands out what is left, then None."""
        self.table.close()

    def save(self, path: Path) -> int:
        """Write samples.npy, in order of issue; returns how many rows were left out."""
        rows = self.table.rows().view(samples.DTYPE)
        samples.write(path, rows)
        return int(self.table.issued - len(rows))

    def account(self) -> dict[str, Any]:
        """How threads of this process waited for Python's lock."""
        return {"gil": self.bridge.gil()}

    def close(self) -> None:
        """End the bridge's own threads; nothing can be completed afterwards."""
        self._loadgen.stop()


def _loader(loadgen: Any, sut: SystemUnderTest, qsl: QuerySampleLibrary) -> Callable[[list[int]], None]:
    """LoadGen's LoadSamplesToRam: what samples cost is asked here, untimed."""
    known = np.zeros(qsl.total_count)

    def load(indices: list[int]) -> None:
        qsl.load(indices)
        costs = sut.costs(indices)
        if costs is not None:
            known[indices] = costs
            loadgen.costs(known)

    return load


Issue = Callable[[np.ndarray, np.ndarray], None]


def _answering_alone(driver: NativeDriver, issue: Issue) -> Callable[[int], None]:
    """Answers the samples that were just issued, in the issuing thread, in pieces of at most a batch."""
    seat = Seat(driver.bridge, driver.table, driver.batching)
    try_batch, views, batch = seat.try_batch, seat.views, seat.batch

    def answer(left: int) -> None:
        while left > 0:
            count = try_batch()
            issue(*(views.get(count) or batch(count)))
            left -= count

    return answer


def _answering(driver: NativeDriver, issue: Issue) -> Callable[[int], None]:
    """The same for several issuing threads: each has a seat, and one may take what another issued."""

    def answer(left: int) -> None:
        seat = driver.seat()
        while left > 0 and (count := seat.try_batch()):
            issue(*seat.batch(count))
            left -= count

    return answer


def _failed(fail: Fail, error: BaseException) -> None:
    """The bridge's own complaints are failures of the run; what callbacks raised goes on as it is."""
    fail(RunFailed(str(error)) if type(error) is RuntimeError else error)


def expected_rows(plan: Plan, qsl: QuerySampleLibrary) -> int:
    """How many samples the test will issue about, as far as settings tell: their rows get their memory before it."""
    chosen = plan.settings
    if chosen.mode == TestMode.ACCURACY:
        return min(qsl.total_count, POPULATED)
    seconds = chosen.min_duration_ms / 1000
    rate = {Scenario.SERVER: chosen.server_target_qps, Scenario.OFFLINE: 1.1 * chosen.offline_expected_qps}
    expected = int(rate.get(Scenario(chosen.scenario), 0.0) * seconds)
    return min(max(expected, chosen.min_query_count), POPULATED)


def answer(sink: Any, ids: Ids, responses: Responses, tokens: Sequence[int] | None) -> None:
    """Hand finished samples to a Bridge or a Ring; raises RunFailed for responses that do not fit."""
    known = ids if isinstance(ids, np.ndarray) else np.array(ids, np.uint64)
    counts = None if tokens is None else np.array(tokens, np.int64)
    data = (responses, None) if isinstance(responses, np.ndarray) else _joined(known, responses)
    try:
        sink.complete(known, *data, counts)
    except (ValueError, TypeError, BufferError, RuntimeError) as error:
        raise _unfit(error) from error


def first_token(sink: Any, ids: Ids, responses: Sequence[bytes]) -> None:
    """Hand first tokens to a Bridge or a Ring; raises RunFailed for responses that do not fit."""
    if not isinstance(ids, np.ndarray):
        ids = np.array(ids, np.uint64)
    try:
        sink.first_token(ids, *_joined(ids, responses))
    except (ValueError, TypeError, BufferError, RuntimeError) as error:
        raise _unfit(error) from error


def _unfit(error: Exception) -> RunFailed:
    """What the bridge says of responses: a RuntimeError speaks of samples that are not in flight."""
    if isinstance(error, RuntimeError):
        return RunFailed(str(error))
    return RunFailed(f"the system under test gave unfit responses ({error}): mend its respond()")


def _joined(ids: np.ndarray, responses: Sequence[bytes]) -> tuple[bytes, np.ndarray]:
    """The bytes of all responses and where each begins and ends, [n + 1] uint64."""
    if len(responses) != len(ids):
        raise RunFailed(f"the system under test gave {len(responses)} responses to {len(ids)} samples: mend it")
    offsets = np.zeros(len(ids) + 1, np.uint64)
    np.cumsum([len(each) for each in responses], out=offsets[1:])
    return b"".join(responses), offsets
