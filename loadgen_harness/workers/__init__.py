"""Where replicas of a backend live, one module each; each defines WORKER, a class made as `WORKER(work)`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgen_harness import calibrate
from loadgen_harness.errors import BadInput
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.sut import Fail, LoadGenDriver, SystemUnderTest
from loadgen_harness.types import RunSpec


@dataclass(frozen=True)
class Batching:
    """Dynamic batching: a batch goes when it holds `max_batch` samples or its oldest has waited `max_wait_ns`.

    Who looks for a batch stays awake for `spin_ns` before it sleeps.
    """

    max_batch: int = 1
    max_wait_ns: int = 0
    spin_ns: int = 0


@dataclass(frozen=True)
class Work:
    """Everything that a worker needs; `folder` is the run's."""

    sut: SystemUnderTest
    driver: LoadGenDriver
    batching: Batching
    spec: RunSpec
    folder: Path
    fail: Fail
    backend: Any


class Worker(ABC):
    """Takes batches from the driver to a system under test, on threads that live until close().

    Raises BadInput where it cannot do what the spec asks for.
    """

    inline = False  # LoadGen's own thread answers
    remote = False  # the backend lives in other processes: this one does not load it

    def __init__(self, work: Work) -> None:
        """Nothing runs yet."""
        self.work = work

    @abstractmethod
    def start(self) -> None:
        """Begin to take batches; called when a local backend is loaded, before the test and its calibration."""

    @abstractmethod
    def close(self) -> None:
        """Wait for the threads to end; called when the driver has stopped."""

    def library(self, qsl: QuerySampleLibrary) -> QuerySampleLibrary:
        """What LoadGen loads samples into."""
        return qsl

    def seconds(self, batch: int, kind: str) -> float:
        """What a batch takes where the backend lives: calibrate's measurement, "mean" or "fastest"."""
        return calibrate.seconds(self.work.sut, batch, kind)

    def account(self) -> dict[str, Any]:
        """What only the worker knows, for run.json; asked for after close()."""
        return {}

    def describe(self) -> dict[str, str]:
        """What the backend says of itself, where it lives."""
        described: dict[str, str] = self.work.backend.describe()
        return described


def check_local(spec: RunSpec) -> None:
    """Raise BadInput where `spec` asks for what only replicas in processes of their own can do."""
    asked = {
        "--postprocess": spec.postprocess,
        "--pin": spec.pin if spec.pin != "none" else "",
        "several devices": "," in spec.device,
    }
    for what, value in asked.items():
        if value:
            raise BadInput(f"{what} needs replicas in processes of their own: choose --worker process.")
