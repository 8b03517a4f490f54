"""The streaming system under test: requests join and leave a generating backend token by token."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loadgen_harness.backends import StreamBackend, TokenEvent
from loadgen_harness.errors import RunFailed
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.sut import Driver, Fail, Ids, Indices, SystemUnderTest

POLL_S = 0.1


@dataclass
class Request:
    """What one request in flight has generated so far."""

    index: int  # of the sample
    tokens: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


class StreamSUT(SystemUnderTest):
    """Answers samples by streaming; one long-lived thread polls the backend and completes samples."""

    streams = True

    def __init__(self, backend: StreamBackend, qsl: QuerySampleLibrary, driver: Driver) -> None:
        """Set `fail`, which hears of what the polling thread raises, then `start()`, before the test."""
        self.backend, self.qsl, self.driver = backend, qsl, driver
        self.fail: Fail
        self.finished: Callable[[], None] = _nothing  # called when a request leaves the backend
        self._flying: dict[int, Request] = {}
        self._open = True
        self._thread = threading.Thread(target=self._poll, name="stream", daemon=True)

    def start(self) -> None:
        """Begin polling."""
        self._thread.start()

    def request(self, sample: Any) -> Mapping[str, Any]:
        """The backend's input for a sample: a mapping with `prompt` and `max_new_tokens`."""
        chosen: Mapping[str, Any] = sample
        return chosen

    @abstractmethod
    def respond(self, tokens: Sequence[int], text: str) -> bytes:
        """Response bytes of a generation, also asked for its first token alone."""

    def issue(self, ids: Ids, indices: Indices) -> None:
        """Submit every sample; the backend queues what exceeds its slots."""
        known = ids.tolist() if isinstance(ids, np.ndarray) else ids
        for id_, index, sample in zip(known, indices, self.qsl.get(indices), strict=True):
            self._flying[id_] = Request(int(index))
            self.backend.submit(id_, self.request(sample))

    def close(self) -> None:
        """Stop polling."""
        self._open = False
        if self._thread.is_alive():
            self._thread.join()

    def _poll(self) -> None:
        try:
            while self._open:
                for event in self.backend.poll(POLL_S):
                    self._take(event)
        except BaseException as error:
            self.fail(error)

    def _take(self, event: TokenEvent) -> None:
        request = self._flying[event.id]
        if event.error:
            raise RunFailed(self._blame(event, request))
        if event.tokens and not request.tokens:
            self.driver.first_token([event.id], [self.respond(event.tokens[:1], event.text)])
        request.tokens.extend(event.tokens)
        request.text.append(event.text)
        if event.final:
            self._finish(event.id, self._flying.pop(event.id))
            self.finished()

    def _blame(self, event: TokenEvent, request: Request) -> str:
        """Which request failed, how far it was, and why."""
        others = len(self._flying) - 1
        return (
            f"the backend failed on sample {request.index} (request {event.id:#x}, after {len(request.tokens)} tokens, "
            f"{others} others in flight): {event.error}"
        )

    def _finish(self, id_: int, request: Request) -> None:
        response = self.respond(request.tokens, "".join(request.text))
        self.driver.complete([id_], [response], [len(request.tokens)])


def _nothing() -> None: ...
