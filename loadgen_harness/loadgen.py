"""The only importer of `mlperf_loadgen`: the driver over LoadGen's own Python binding."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from time import monotonic_ns
from typing import Any

import mlperf_loadgen as lg
import numpy as np

from loadgen_harness import doomed
from loadgen_harness.effective import effective_settings
from loadgen_harness.errors import RunFailed
from loadgen_harness.progress import Counters
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.samples import Recorder
from loadgen_harness.settings import Plan
from loadgen_harness.sut import Fail, SystemUnderTest
from loadgen_harness.waiting import Taken, Waiting, part
from loadgen_harness.workers import Batching

Issue = Callable[[list[int], list[int]], None]
Flight = tuple[list[int], int, int, int]  # a streaming sample: its index alone, when issued, dequeued, started


class PythonDriver:
    """Talks to LoadGen through its own Python binding; ids and indices are lists, and go back exactly as they came.

    When LoadGen meant to issue a query is not known here (`scheduled` stays 0). Python cannot spin usefully beside its
    own lock, so `Batching.spin_ns` is ignored.
    """

    name = "python"

    def __init__(self, batching: Batching, counters: Counters, fail: Fail) -> None:
        """Batches form by `batching`; `fail` ends the run when a callback raises."""
        self._size, self._counters, self._fail = batching.max_batch, counters, fail
        self._waiting = Waiting(batching.max_batch, batching.max_wait_ns)
        self._recorder = Recorder()
        self._threads = _Threads()
        self._costs: dict[int, float] = {}  # of the samples in RAM; empty where all are alike
        self._streams = False
        self._flying: dict[int, Flight] = {}  # samples of a streaming SUT by id
        self._first: dict[int, int] = {}  # their first tokens' times
        self._limits: doomed.Limits | None = None  # of a Server run

    def start_test(
        self, sut: SystemUnderTest, qsl: QuerySampleLibrary, plan: Plan, folder: Path, *, inline: bool
    ) -> None:
        """Run one LoadGen test to its end, logs in `folder`, which holds user.conf and perhaps audit.config.

        Once per process: LoadGen loads its built-in mlperf.conf only on the first FromConfig. The audit.config of the
        working directory is never read.
        """
        settings = effective_settings(lg, plan, folder)
        self._limits = doomed.limits(plan.settings)
        log_settings = lg.LogSettings()
        log_settings.log_output.outdir = str(folder)
        log_settings.log_output.copy_summary_to_stdout = False
        log_settings.enable_trace = False
        load = _guarded(self.loader(sut, qsl), self._fail)
        library = lg.ConstructQSL(qsl.total_count, qsl.performance_count, load, qsl.unload)
        system = lg.ConstructFastSUT(self.issuer(sut, inline=inline), _guarded(sut.flush, self._fail))
        try:
            lg.StartTestWithLogSettings(system, library, settings, log_settings, str(folder / "audit.config"))
        finally:
            lg.DestroyFastSUT(system)
            lg.DestroyQSL(library)

    def loader(self, sut: SystemUnderTest, qsl: QuerySampleLibrary) -> Callable[[list[int]], None]:
        """LoadGen's LoadSamplesToRam: what samples cost is asked here, untimed."""

        def load(indices: list[int]) -> None:
            qsl.load(indices)
            costs = sut.costs(indices)
            if costs is not None:
                self._costs.update(zip(indices, costs.tolist(), strict=True))

        return load

    def issuer(self, sut: SystemUnderTest, *, inline: bool) -> Issue:
        """LoadGen's IssueQuery: queue the samples for workers, or answer them here."""
        self._streams = sut.streams
        hand_over = self._answering(sut) if inline else self._waiting.put

        def issue(ids: list[int], indices: list[int]) -> None:
            issued = monotonic_ns()
            try:
                self._counters.issue(len(ids))
                if self._costs and len(ids) > 1:
                    ids, indices = _dearest_first(self._costs, ids, indices)
                hand_over(ids, indices, issued)
            except BaseException as error:  # through LoadGen's C++ frames it would abort the process unexplained
                self._fail(error)

        return issue

    def take(self) -> tuple[Sequence[int], Sequence[int]] | None:
        """The calling thread's next batch; blocks; None once stopped and empty."""
        taken = self._waiting.take()
        if taken is None:
            return None
        self._note(taken)
        return taken[0], taken[1]

    def stop(self) -> None:
        """After the test: take() hands out what is left, then None."""
        self._waiting.stop()

    def complete(
        self, ids: Sequence[int], responses: np.ndarray | Sequence[bytes], tokens: Sequence[int] | None = None
    ) -> None:
        """Report finished samples: rows of a C-contiguous (n, k) array or n byte strings, in the order of `ids`.

        LoadGen copies the bytes before the call returns, so buffers may be reused at once. Raises RunFailed for
        responses that do not fit the samples.
        """
        computed = monotonic_ns()
        if len(responses) != len(ids):
            counts = f"{len(responses)} responses to {len(ids)} samples"
            raise RunFailed(f"the system under test gave {counts}: mend its respond()")
        own = self._threads.own
        flights = [_landed(self._flying, id_) for id_ in ids] if self._streams else ()
        taken = own.taken
        if ids is not taken[0] and not self._streams:
            taken = part(taken, ids)
        if isinstance(responses, np.ndarray) and tokens is None:
            lg.QuerySamplesComplete(own.slots.filled(ids, responses))
        else:
            keep, starts, sizes = _pointers(responses)
            more = () if tokens is None else (tokens,)
            lg.QuerySamplesComplete(list(map(lg.QuerySampleResponse, ids, starts, sizes, *more)))
            del keep
        done = monotonic_ns()
        if self._streams:
            for id_, flight, count in zip(ids, flights, tokens or [0] * len(ids), strict=True):
                if self._limits:
                    self._counters.exceed(*_exceeded(self._limits, flight[1], self._first.get(id_, 0), done, count))
                self._recorder.add(([id_], *flight, computed, done, self._first.pop(id_, 0), count))
        else:
            _, indices, issued, dequeued, started = taken
            if self._limits:
                self._counters.exceed(_late(self._limits.latency, issued, computed, len(ids)))
            self._recorder.add((ids, indices, issued, dequeued, started, computed, done, 0, 0))
        self._counters.complete(len(ids))

    def first_token(self, ids: Sequence[int], responses: Sequence[bytes]) -> None:
        """Report the first token of streaming samples, with its bytes."""
        self._first.update(dict.fromkeys(ids, monotonic_ns()))
        keep, starts, sizes = _pointers(responses)
        lg.FirstTokenComplete(list(map(lg.QuerySampleResponse, ids, starts, sizes)))
        del keep

    def save(self, path: Path) -> int:
        """Write samples.npy; returns how many rows were left out."""
        return self._recorder.save(path)

    def account(self) -> dict[str, Any]:
        """Nothing that the record does not show."""
        return {}

    def _answering(self, sut: SystemUnderTest) -> Callable[[list[int], list[int], int], None]:
        """What answers a whole query before it returns."""
        size, issue, note = self._size, sut.issue, self._note

        def answer(ids: list[int], indices: list[int], issued: int) -> None:
            if len(ids) <= size:
                note((ids, indices, issued, issued, issued))
                issue(ids, indices)
                return
            for begin in range(0, len(ids), size):
                now = monotonic_ns()
                some, theirs = ids[begin : begin + size], indices[begin : begin + size]
                note((some, theirs, issued, now, now))
                issue(some, theirs)

        return answer

    def _note(self, taken: Taken) -> None:
        """What the calling thread is about to answer."""
        self._threads.own.taken = taken
        if self._streams:
            ids, indices, issued, dequeued, started = taken
            each = [issued] * len(ids) if isinstance(issued, int) else issued
            for id_, index, when in zip(ids, indices, each, strict=True):
                self._flying[id_] = [index], when, dequeued, started


def _late(limit_ns: int, issued: Sequence[int] | int, now_ns: int, count: int) -> int:
    """How many samples of a batch were issued more than a limit ago (mostly in order of issue, so sorting is cheap)."""
    if isinstance(issued, int):
        return count if now_ns - issued > limit_ns else 0
    return bisect_left(sorted(issued), now_ns - limit_ns)


def _exceeded(limits: doomed.Limits, issued: int, first: int, done: int, tokens: int) -> tuple[bool, bool]:
    """Whether a streamed sample's first token came late, and whether its others came slowly."""
    if not limits.first_token:
        return done - issued > limits.latency, False
    slow = first > 0 and tokens > 1 and (done - first) // (tokens - 1) > limits.per_token
    return first - issued > limits.first_token, slow


def _guarded(call: Callable[..., None], fail: Fail) -> Callable[..., None]:
    """`call` whose exception ends the run with its cause: through LoadGen's C++ frames it would only abort."""

    def guarded(*arguments: object) -> None:
        try:
            call(*arguments)
        except BaseException as error:
            fail(error)

    return guarded


def _dearest_first(costs: Mapping[int, float], ids: list[int], indices: list[int]) -> tuple[list[int], list[int]]:
    """A query's samples by cost: all of them are there at once, so their order is the SUT's choice."""
    each = [costs[index] for index in indices]
    order = sorted(range(len(ids)), key=each.__getitem__, reverse=True)
    return [ids[i] for i in order], [indices[i] for i in order]


def _landed(flying: dict[int, Flight], id_: int) -> Flight:
    try:
        return flying.pop(id_)
    except KeyError:
        raise RunFailed(f"the system under test completed sample {id_}, which is not in flight") from None


class _Threads(threading.local):
    """One attribute for each thread: a look-up among those of a threading.local takes longer than a plain one."""

    def __init__(self) -> None:
        self.own = _Own()


class _Own:
    """What one thread answers and the response objects that it does it with."""

    def __init__(self) -> None:
        self.taken: Taken = ((), (), 0, 0, 0)
        self.slots = _Slots()


class _Slots:
    """One thread's response objects and their bytes, used again for every batch.

    Making a response object takes 0.7 us, three times as long as giving it another id.
    """

    def __init__(self) -> None:
        self._responses: list[Any] = []
        self._bytes = np.zeros(0, dtype=np.uint8)
        self._size = -1

    def filled(self, ids: Sequence[int], rows: np.ndarray) -> list[Any]:
        """Responses with these ids and the bytes of these rows."""
        if not rows.flags.c_contiguous:
            raise RunFailed("the system under test gave responses in a strided array: copy it in its respond()")
        count, size = len(ids), rows.nbytes // len(ids)
        if size != self._size or count > len(self._responses):
            self._make(max(count, len(self._responses)), size)
        self._bytes[: rows.nbytes] = rows.reshape(-1).view(np.uint8)
        chosen = self._responses if count == len(self._responses) else self._responses[:count]
        for response, id_ in zip(chosen, ids, strict=True):
            response.id = id_
        return chosen

    def _make(self, count: int, size: int) -> None:
        self._size = size
        self._bytes = np.zeros(max(count * size, 1), dtype=np.uint8)
        base = self._bytes.__array_interface__["data"][0]
        self._responses = [lg.QuerySampleResponse(0, base + number * size, size) for number in range(count)]


def _pointers(responses: Iterable[bytes]) -> tuple[object, Iterable[int], Iterable[int]]:
    """What must stay alive, then address and size of each response."""
    parts = [bytes(each) for each in responses]
    sizes = [len(each) for each in parts]
    joined = np.frombuffer(b"".join(parts) or b"\0", dtype=np.uint8)
    base = joined.__array_interface__["data"][0]
    return joined, accumulate(sizes[:-1], initial=base), sizes
