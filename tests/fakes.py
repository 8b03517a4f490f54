"""Small real classes that stand for LoadGen, a data set and a backend, and runs of the third-party plug-in."""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness.backends import TokenEvent
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.stream import StreamSUT
from loadgen_harness.sut import BatchSUT, Responses
from loadgen_harness.types import RunSpec, Scenario, TestMode

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
    """Notes what would go back to LoadGen, in order, as (kind, id, bytes, token count)."""

    name = "fake"

    def __init__(self) -> None:
        self.events: list[tuple[str, int, bytes, int]] = []

    def complete(self, ids: Sequence[int], responses: Responses, tokens: Sequence[int] | None = None) -> None:
        rows = [bytes(response) for response in responses]
        counts = tokens or [0] * len(ids)
        self.events += [("complete", *each) for each in zip(ids, rows, counts, strict=True)]

    def first_token(self, ids: Sequence[int], responses: Sequence[bytes]) -> None:
        self.events += [("first", id_, response, 0) for id_, response in zip(ids, responses, strict=True)]

    def of(self, id_: int) -> list[tuple[str, bytes, int]]:
        """The events of one sample."""
        return [(kind, data, count) for kind, each, data, count in list(self.events) if each == id_]

    @property
    def completed(self) -> list[int]:
        """Ids in order of completion."""
        return [id_ for kind, id_, *_ in list(self.events) if kind == "complete"]


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
