"""Small real classes that stand for LoadGen, a data set and a backend, and runs of the third-party plug-in."""

from __future__ import annotations

import os
import queue
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness.backends import TokenEvent
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.settings import Plan
from loadgen_harness.stream import StreamSUT
from loadgen_harness.sut import BatchSUT, Fail, Ids, Indices, Responses, SystemUnderTest
from loadgen_harness.types import RunSpec, Scenario, TestMode
from loadgen_harness.workers import Batching, Work

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "tests" / "plugin"  # a distribution as pip would lay it out: package beside dist-info


def environment() -> dict[str, str]:
    """Environment of a process that finds this checkout and the plug-in."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(PLUGIN), str(ROOT))), "COLUMNS": "200"}


def lgh(*arguments: str) -> list[str]:
    """The command line of the suite as a process of its own."""
    return [sys.executable, "-m", "loadgen_harness", *arguments]


def tiny(output: Path, **changes: Any) -> RunSpec:
    """A run of the plug-in's smallest benchmark."""
    chosen: dict[str, Any] = {
        "benchmark": "tiny",
        "backend": "null",
        "scenario": Scenario.SINGLE_STREAM,
        "mode": TestMode.PERFORMANCE,
        "round": "tiny",
    }
    return RunSpec(output=output, **chosen | changes)


def wait_for(condition: Callable[[], object], limit_s: float = 30.0) -> None:
    """Return when `condition` holds; fail the test when it never does."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def names(folder: Path) -> set[str]:
    """What a folder holds."""
    return {path.name for path in folder.iterdir()}


class Numbers(QuerySampleLibrary):
    """Sample i is int32 [i], already in RAM."""

    def __init__(self, count: int = 32) -> None:
        super().__init__(total_count=count, performance_count=count)
        self.load(range(count))

    def read(self, index: int) -> Any:
        return np.array([index], np.int32)


class Prompts(Numbers):
    """Sample i asks for i tokens."""

    def read(self, index: int) -> Any:
        return {"prompt": str(index), "max_new_tokens": index}


class FakeDriver:
    """Hands out the batches that a test puts; notes what would go back to LoadGen, in order.

    An event is (kind, id, bytes, token count).
    """

    name = "fake"

    def __init__(self) -> None:
        self.events: list[tuple[str, int, bytes, int]] = []
        self._batches: queue.SimpleQueue[tuple[Ids, Indices] | None] = queue.SimpleQueue()

    def put(self, ids: Ids, indices: Indices) -> None:
        """The next batch of whoever asks first."""
        self._batches.put((ids, indices))

    def take(self) -> tuple[Ids, Indices] | None:
        batch = self._batches.get()
        if batch is None:
            self._batches.put(None)  # for the next thread
        return batch

    def stop(self) -> None:
        self._batches.put(None)

    def start_test(
        self, sut: SystemUnderTest, qsl: QuerySampleLibrary, plan: Plan, folder: Path, *, inline: bool
    ) -> None: ...

    def save(self, path: Path) -> int:
        return 0

    def account(self) -> dict[str, Any]:
        return {}

    def complete(self, ids: Ids, responses: Responses, tokens: Sequence[int] | None = None) -> None:
        rows = [bytes(response) for response in responses]
        counts = tokens or [0] * len(ids)
        self.events += [("complete", *each) for each in zip(ids, rows, counts, strict=True)]

    def first_token(self, ids: Ids, responses: Sequence[bytes]) -> None:
        self.events += [("first", id_, response, 0) for id_, response in zip(ids, responses, strict=True)]

    def of(self, id_: int) -> list[tuple[str, bytes, int]]:
        """The events of one sample."""
        return [(kind, data, count) for kind, each, data, count in list(self.events) if each == id_]

    @property
    def completed(self) -> list[int]:
        """Ids in order of completion."""
        return [id_ for kind, id_, *_ in list(self.events) if kind == "complete"]


def work(sut: SystemUnderTest, driver: Any, fail: Fail, **changes: Any) -> Work:
    """What a worker is made with; `changes` go to the spec."""
    backend = getattr(sut, "backend", None)
    return Work(sut, driver, Batching(), tiny(Path("unused"), **changes), Path("unused"), fail, backend)


class FakeProgress:
    """Counts."""

    def __init__(self) -> None:
        self.issued = self.completed = 0

    def issue(self, count: int) -> None:
        self.issued += count

    def complete(self, count: int) -> None:
        self.completed += count


class Echo:
    """A backend that returns its input."""

    thread_safe, needs_model = True, False

    def load(self, model: Path | None, device: str, precision: str) -> None: ...

    def predict(self, batch: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
        return list(batch.values())

    def describe(self) -> dict[str, str]:
        return {}

    def close(self) -> None: ...


class EchoSUT(BatchSUT):
    """Responds with the backend's first output."""

    def respond(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        return outputs[0]


class Script:
    """A streaming backend whose events a test puts."""

    slots, needs_model = 4, False

    def __init__(self) -> None:
        self.submitted: list[tuple[int, Any]] = []
        self._events: queue.SimpleQueue[TokenEvent] = queue.SimpleQueue()

    def say(self, id_: int, *tokens: int, final: bool = False, error: str = "", at: int = 1) -> None:
        """Put one event."""
        text = "".join(f"{token} " for token in tokens)
        self._events.put(TokenEvent(id_, tokens, text, at, final=final, error=error))

    def submit(self, id: int, input: Any) -> None:
        self.submitted.append((id, input))

    def poll(self, timeout: float) -> list[TokenEvent]:
        try:
            return [self._events.get(timeout=timeout)]
        except queue.Empty:
            return []

    def cancel(self, id: int) -> None: ...

    def load(self, model: Path | None, device: str, precision: str) -> None: ...

    def describe(self) -> dict[str, str]:
        return {}

    def close(self) -> None: ...


class TokenSUT(StreamSUT):
    """Responds with token ids, then the text."""

    def respond(self, tokens: Sequence[int], text: str) -> bytes:
        return bytes(tokens) + b"|" + text.encode()
