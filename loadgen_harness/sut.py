"""Systems under test: the bodies that tasks subclass with one method, `respond`, and the drivers they answer to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from loadgen_harness.backends import Backend
from loadgen_harness.progress import Counters
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.settings import Plan

if TYPE_CHECKING:
    from loadgen_harness.workers import Batching

Ids = Sequence[int] | np.ndarray  # lists from the Python driver, uint64 arrays from the native one
Indices = Sequence[int] | np.ndarray  # lists, int64 arrays
Responses = np.ndarray | Sequence[bytes]
Fail = Callable[[BaseException], None]  # ends the run as failed with this cause; does not return in a child process


class Driver(Protocol):
    """The way back to LoadGen, as a SUT sees it: also inside a replica's process."""

    name: str

    def complete(self, ids: Ids, responses: Responses, tokens: Sequence[int] | None = None) -> None:
        """Report finished samples; `tokens` counts what each of them generated."""

    def first_token(self, ids: Ids, responses: Sequence[bytes]) -> None:
        """Report first tokens, with their bytes."""


class LoadGenDriver(Driver, Protocol):
    """The way to and from LoadGen: queue, batches, record, progress."""

    def __init__(self, batching: Batching, counters: Counters, fail: Fail) -> None:
        """Batches form by `batching`; `fail` ends the run when a callback raises."""

    def take(self) -> tuple[Ids, Indices] | None:
        """The calling thread's next batch, valid until its next take(); blocks; None once stopped and empty."""

    def start_test(
        self, sut: SystemUnderTest, qsl: QuerySampleLibrary, plan: Plan, folder: Path, *, inline: bool
    ) -> None:
        """Run one LoadGen test to its end, once per process.

        `inline`: LoadGen's own thread calls sut.issue, in pieces of at most max_batch; else workers take batches.
        """

    def stop(self) -> None:
        """After the test: take() hands out what is left, then None."""

    def save(self, path: Path) -> int:
        """Write samples.npy; returns how many rows were left out."""

    def account(self) -> dict[str, Any]:
        """What only the driver knows, for run.json."""


class SystemUnderTest(ABC):
    """What answers samples; ids and indices come and go back as the driver hands them over."""

    streams = False  # whether samples complete one by one, later, from a thread of the SUT's own
    qsl: QuerySampleLibrary

    @abstractmethod
    def issue(self, ids: Ids, indices: Indices) -> None:
        """Answer these samples; called by a worker's thread, or LoadGen's own."""

    def flush(self) -> None:  # noqa: B027 - most have nothing to do here
        """LoadGen's FlushQueries: no more queries follow in this series."""

    def close(self) -> None:  # noqa: B027
        """After the test: stop own threads. Completing threads must live until then (LoadGen crashes otherwise)."""

    def costs(self, indices: Indices) -> np.ndarray | None:
        """The relative cost of samples in RAM, by which a query of several is taken dearest first; None: all alike."""
        return None


class BatchSUT(SystemUnderTest):
    """Answers samples in batches; how batches form is the driver's business."""

    def __init__(self, backend: Backend, qsl: QuerySampleLibrary, driver: Driver) -> None:
        """Answer from `backend`, which is loaded only later, for samples of `qsl`, to `driver`."""
        self.backend, self.qsl, self.driver = backend, qsl, driver

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

    def answer(self, indices: Indices) -> Responses:
        """Responses to samples in RAM: everything between a batch's start and its completion."""
        return self.respond(self.run_model(self.collate(self.qsl.get(indices))))

    def issue(self, ids: Ids, indices: Indices) -> None:
        """Compute one batch and report it."""
        self.driver.complete(ids, self.answer(indices))

    def costs(self, indices: Indices) -> np.ndarray | None:
        """Of each sample what `cost` says, where a task overrides it."""
        if type(self).cost is BatchSUT.cost:
            return None
        return np.array([self.cost(sample) for sample in self.qsl.get(indices)], dtype=np.float64)
