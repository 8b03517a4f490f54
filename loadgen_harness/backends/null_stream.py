"""Emits numbered tokens at a chosen time to first token and time per token: a generating model without a model."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgen_harness.backends import TokenEvent, checked
from loadgen_harness.errors import BadInput

OPTIONS = {"ttft_ms": 0.0, "tpot_ms": 0.0, "tokens": 0, "slots": 1}


@dataclass
class _Request:
    """One request in a slot: when it began and how many tokens it shall get."""

    id: int
    begun_ns: int
    wanted: int
    sent: int = 0


class NullStream:
    """Token k of a request is k itself, due ttft + (k - 1) x tpot after the request got a slot."""

    needs_model = False
    formats, casts, keeps_precision = (), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: ttft_ms, tpot_ms, tokens (0: the request's max_new_tokens), slots."""
        self._options = checked(options, OPTIONS, "null_stream")
        if self._options["slots"] < 1 or min(self._options.values()) < 0:
            raise BadInput("backend null_stream wants slots of at least 1 and no negative option.")
        self.slots: int = self._options["slots"]
        self._ttft_ns = int(self._options["ttft_ms"] * 1e6)
        self._tpot_ns = int(self._options["tpot_ms"] * 1e6)
        self._changed = threading.Condition()  # guards everything below; notified for scheduler and poller alike
        self._waiting: deque[tuple[int, int]] = deque()  # id, tokens wanted
        self._due: list[tuple[int, int]] = []  # heap of due time, id
        self._running: dict[int, _Request] = {}
        self._events: list[TokenEvent] = []
        self._open = False
        self._thread: threading.Thread | None = None

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Start the scheduler."""
        self._open = True
        self._thread = threading.Thread(target=self._schedule, name="null_stream", daemon=True)
        self._thread.start()

    def submit(self, id: int, input: Any) -> None:
        """Begin a request, or queue it until a slot is free."""
        limit = int(input["max_new_tokens"])
        with self._changed:
            self._waiting.append((id, max(1, min(limit, self._options["tokens"] or limit))))
            self._fill()
            self._changed.notify_all()

    def poll(self, timeout: float) -> list[TokenEvent]:
        """Events since the last poll; waits up to `timeout` seconds for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or not self._open, timeout)
            events, self._events = self._events, []
            return events

    def cancel(self, id: int) -> None:
        """End a request with an error event; one that is over stays as it ended."""
        with self._changed:
            queued = [each for each in self._waiting if each[0] == id]
            for each in queued:
                self._waiting.remove(each)
            if self._running.pop(id, None) or queued:
                self._events.append(TokenEvent(id, (), "", time.monotonic_ns(), final=True, error="cancelled"))
            self._fill()
            self._changed.notify_all()

    def describe(self) -> dict[str, str]:
        """The chosen times."""
        return {"framework": "null_stream", **{key: str(value) for key, value in self._options.items()}}

    def close(self) -> None:
        """Stop the scheduler; requests in flight get no more events."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def _schedule(self) -> None:
        with self._changed:
            while self._open:
                now = time.monotonic_ns()
                if not self._due:
                    self._changed.wait()
                elif self._due[0][0] > now:
                    self._changed.wait((self._due[0][0] - now) * 1e-9)
                else:
                    self._emit(self._due[0][1], now)

    def _emit(self, id: int, now: int) -> None:
        """The next token of the request whose turn it is; a cancelled one's entry is dropped."""
        heapq.heappop(self._due)
        request = self._running.get(id)
        if request is None:
            return
        request.sent += 1
        final = request.sent == request.wanted
        self._events.append(TokenEvent(id, (request.sent,), f"{request.sent} ", now, final=final))
        if final:
            del self._running[id]
            self._fill()
        else:
            due = request.begun_ns + self._ttft_ns + request.sent * self._tpot_ns
            heapq.heappush(self._due, (due, id))
        self._changed.notify_all()

    def _fill(self) -> None:
        """Move waiting requests into free slots."""
        while self._waiting and len(self._running) < self.slots:
            id, wanted = self._waiting.popleft()
            request = _Request(id, time.monotonic_ns(), wanted)
            self._running[id] = request
            heapq.heappush(self._due, (request.begun_ns + self._ttft_ns, id))


BACKEND = NullStream
