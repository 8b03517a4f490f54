"""Systems under test: the bodies that tasks subclass with one method, `respond`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from time import monotonic_ns
from typing import Any, Protocol

import numpy as np

from loadgen_harness.backends import Backend
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.samples import Batch, Recorder

Responses = np.ndarray | Sequence[bytes]


class Driver(Protocol):
    """The way back to LoadGen; see loadgen.PythonDriver."""

    name: str

    def complete(self, ids: Sequence[int], responses: Responses, tokens: Sequence[int] | None = None) -> None:
        """Report finished samples."""

    def first_token(self, ids: Sequence[int], responses: Sequence[bytes]) -> None:
        """Report first tokens."""


class Progress(Protocol):
    """Counters that the parent process reads."""

    def issue(self, count: int) -> None:
        """Samples handed over by LoadGen."""

    def complete(self, count: int) -> None:
        """Samples completed."""


class SystemUnderTest(ABC):
    """What LoadGen talks to; ids and indices come and go back as the driver hands them over."""

    @abstractmethod
    def issue(self, ids: Sequence[int], indices: Sequence[int]) -> None:
        """LoadGen's IssueQuery; called on LoadGen's thread."""

    @abstractmethod
    def flush(self) -> None:
        """LoadGen's FlushQueries: no more queries follow in this series."""

    @abstractmethod
    def close(self) -> None:
        """After the test: stop threads. Completing threads must live until then (LoadGen crashes otherwise)."""


class Worker(Protocol):
    """Where batches are computed; modules in `workers/` define WORKER, made as `WORKER(sut.run, batching, fail)`."""

    def issue(self, ids: Sequence[int], indices: Sequence[int], issued_ns: int) -> None:
        """Take samples over."""

    def flush(self) -> None:
        """Do not wait for more samples."""

    def close(self) -> None:
        """Finish what is queued, then stop threads."""


class BatchSUT(SystemUnderTest):
    """Answers samples in batches; how batches form is the worker's business."""

    def __init__(self, backend: Backend, qsl: QuerySampleLibrary, driver: Driver, recorder: Recorder) -> None:
        """Set `worker` and `progress` before the test starts."""
        self.backend, self.qsl, self.driver, self.recorder = backend, qsl, driver, recorder
        self.worker: Worker
        self.progress: Progress

    def collate(self, samples: list[Any]) -> Mapping[str, np.ndarray]:
        """One batch from samples: arrays stacked as `input`, mappings of arrays stacked per key."""
        if isinstance(samples[0], Mapping):
            return {key: np.stack([sample[key] for sample in samples]) for key in samples[0]}
        return {"input": np.stack(samples)}

    def cost(self, sample: Any) -> float:
        """How long a sample takes, in any unit; override where it varies, so that batches hold samples alike."""
        return 0.0

    def run_model(self, batch: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        """The backend's outputs for one batch; override to post-process with the batch at hand."""
        return self.backend.predict(batch)

    @abstractmethod
    def respond(self, outputs: Sequence[np.ndarray]) -> Responses:
        """Response bytes of a whole batch: C-contiguous rows of an (n, k) array, or n byte strings."""

    def answer(self, indices: Sequence[int]) -> Responses:
        """Responses to samples in RAM: everything between LoadGen's issue and its completion."""
        return self.respond(self.run_model(self.collate(self.qsl.get(indices))))

    def run(self, ids: Sequence[int], indices: Sequence[int], issued: Sequence[int] | int, dequeued: int) -> None:
        """Compute one batch and report it; called by workers."""
        started = monotonic_ns()
        responses = self.answer(indices)
        self.driver.complete(ids, responses)
        self.recorder.add(Batch(ids, indices, issued, dequeued, started, monotonic_ns()))
        self.progress.complete(len(ids))

    def issue(self, ids: Sequence[int], indices: Sequence[int]) -> None:
        """Hand samples to the worker."""
        issued = monotonic_ns()
        self.progress.issue(len(ids))
        if len(ids) > 1 and type(self).cost is not BatchSUT.cost:
            ids, indices = self.by_cost(ids, indices)
        self.worker.issue(ids, indices, issued)

    def by_cost(self, ids: Sequence[int], indices: Sequence[int]) -> tuple[list[int], list[int]]:
        """A query's samples, the dearest first: all of them are there at once, so their order is the SUT's choice."""
        costs = [self.cost(sample) for sample in self.qsl.get(indices)]
        order = sorted(range(len(ids)), key=costs.__getitem__, reverse=True)
        return [ids[i] for i in order], [indices[i] for i in order]

    def flush(self) -> None:
        """Let the worker finish what it gathered."""
        self.worker.flush()

    def close(self) -> None:
        """Stop the worker."""
        self.worker.close()


Fail = Callable[[BaseException], None]  # ends the run as failed with this cause; does not return in a child process
