"""The streaming system under test: requests join and leave a generating backend token by token."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Any

from loadgen_harness.backends import StreamBackend, TokenEvent
from loadgen_harness.errors import RunFailed
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.samples import Batch, Recorder
from loadgen_harness.sut import Driver, Fail, Progress, SystemUnderTest

POLL_S = 0.1


@dataclass
class Request:
    """One request in flight and what it has generated so far."""

    index: int
    issued_ns: int
    tokens: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    first_token_ns: int = 0


class StreamSUT(SystemUnderTest):
    """Answers samples by streaming; one long-lived thread polls the backend and completes samples."""

    def __init__(self, backend: StreamBackend, qsl: QuerySampleLibrary, driver: Driver, recorder: Recorder) -> None:
        """Set `fail` and `progress`, then `start()`, before the test."""
        self.backend, self.qsl, self.driver, self.recorder = backend, qsl, driver, recorder
        self.fail: Fail
        self.progress: Progress
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

    def issue(self, ids: Sequence[int], indices: Sequence[int]) -> None:
        """Submit every sample; the backend queues what exceeds its slots."""
        now = monotonic_ns()
        self.progress.issue(len(ids))
        try:
            for id_, index, sample in zip(ids, indices, self.qsl.get(indices), strict=True):
                self._flying[id_] = Request(index, now)
                self.backend.submit(id_, self.request(sample))
        except BaseException as error:
            self.fail(error)

    def flush(self) -> None:
        """Nothing is held back."""

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
        if event.error:
            raise RunFailed(f"the backend failed on a request: {event.error}")
        request = self._flying[event.id]
        if event.tokens and not request.tokens:
            request.first_token_ns = event.time_ns
            self.driver.first_token([event.id], [self.respond(event.tokens[:1], event.text)])
        request.tokens.extend(event.tokens)
        request.text.append(event.text)
        if event.final:
            self._finish(event.id, self._flying.pop(event.id))

    def _finish(self, id_: int, request: Request) -> None:
        count = len(request.tokens)
        self.driver.complete([id_], [self.respond(request.tokens, "".join(request.text))], [count])
        done, issued = monotonic_ns(), request.issued_ns
        self.recorder.add(Batch([id_], [request.index], issued, issued, issued, done, request.first_token_ns, count))
        self.progress.complete(1)
