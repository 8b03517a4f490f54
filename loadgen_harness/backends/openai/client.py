"""Requests to one server, thousands at a time: an asyncio loop in a thread of its own, fed and drained by others."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, fields
from typing import Any

from loadgen_harness.backends import TokenEvent
from loadgen_harness.backends.openai.answer import SHOWN, Answer, Counting, Refused, said
from loadgen_harness.backends.openai.http import Address, Pool, Wire, why
from loadgen_harness.backends.openai.tally import Tally

SWEEP_S = 0.05  # between looks for requests that take too long
AGAIN_S = 0.1  # before a request is sent again, doubled each time
PASSING = (429, 500, 502, 503, 504)  # what another attempt may mend
KEPT = 1 << 14  # bytes of an error's body


@dataclass(frozen=True)
class Limits:
    """How many requests, how long, how often."""

    concurrency: int
    timeout_s: float
    ttft_timeout_s: float  # 0: the whole request's alone
    retries: int
    idle_s: float

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Limits:
        """Those among the backend's options."""
        return cls(**{each.name: options[each.name] for each in fields(cls)})


class LoopThread:
    """An asyncio loop that runs in a thread of its own; uvloop's where it is installed: a fifth less work a request."""

    def __init__(self) -> None:
        """It runs at once."""
        if importlib.util.find_spec("uvloop"):
            self.name = "uvloop"
            self.loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
        else:
            self.name, self.loop = "asyncio", asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="http", daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine that runs in the loop; called from other threads."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def end(self) -> None:
        """Stop and free the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Outbox:
    """Events on their way from the loop's thread to the one that polls."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing has happened; whatever the loop does not expect will end the next poll."""
        self._loop = loop
        self._events: deque[TokenEvent] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._sleeping = False
        self._crash: BaseException | None = None
        loop.set_exception_handler(self._crashed)

    def put(self, event: TokenEvent) -> None:
        """An event for poll(); in the loop's thread."""
        self._events.append(event)
        if self._sleeping:
            self._sleeping = False
            self._loop.call_soon(self._bell.put, None)  # after whatever else came: both want Python's lock

    def poll(self, timeout: float) -> list[TokenEvent]:
        """Events since the last poll; raises what broke the loop."""
        events = self._events
        if not events and not self._crash:
            self._sleeping = True
            if not events:
                with contextlib.suppress(queue.Empty):
                    self._bell.get(timeout=timeout)
            self._sleeping = False
        if self._crash:
            raise self._crash
        return [events.popleft() for _ in range(len(events))]

    def _crashed(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        self._crash = context.get("exception") or RuntimeError(str(context.get("message")))
        self._bell.put(None)


class Client:
    """Sends requests and collects their events in `outbox`; what is public may be called from any thread."""

    def __init__(self, address: Address, limits: Limits, hide: Callable[[str], str]) -> None:
        """Nothing is connected yet; `hide` takes secrets out of what goes into a message."""
        self.limits, self.hide = limits, hide
        self.tally = Tally()
        self.counting = Counting("")
        self.runs = LoopThread()
        self._loop = self.runs.loop
        self.outbox = Outbox(self._loop)
        self.pool = Pool(address, limits.idle_s)
        self._submitted: deque[Flight] = deque()
        self._woken = False
        self._flying: dict[int, Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop.call_soon_threadsafe(self._sweep)

    def submit(self, flight: Flight) -> None:
        """Send a request, now or when fewer are in flight; the loop is woken once for as many as come meanwhile."""
        self._submitted.append(flight)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._send_next)

    def cancel(self, id: int) -> None:
        """End a request with an error."""
        self._loop.call_soon_threadsafe(self._cancel, id)

    def close(self) -> None:
        """Drop what is in flight, close connections, end the thread."""
        self.runs.wait(self._stop())
        self.runs.end()

    def over(self, flight: Flight) -> None:
        """A request has ended: the next one may go. In the loop's thread."""
        self._flying.pop(flight.id, None)
        self._send_next()

    def again(self, flight: Flight, delay_s: float) -> None:
        """Send a request once more, later. In the loop's thread."""
        self.tally.retried(flight.id)
        self._loop.call_later(delay_s, self._send, flight)

    async def _stop(self) -> None:
        for flight in list(self._flying.values()):
            flight.drop()
        self._flying.clear()
        self._submitted.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.pool.close()
        await asyncio.sleep(0.01)  # transports say goodbye in later turns of the loop

    def _send_next(self) -> None:
        self._woken = False
        submitted, flying = self._submitted, self._flying
        while submitted and len(flying) < self.limits.concurrency:
            flight = submitted.popleft()
            flying[flight.id] = flight
            flight.begin()
            self._send(flight)

    def _send(self, flight: Flight) -> None:
        if flight.ended:
            return
        if wire := self.pool.idle():
            flight.send(wire)
            return
        task = self._loop.create_task(self._connect(flight))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, flight: Flight) -> None:
        try:
            wire = await self.pool.take()
        except OSError as error:
            flight.broken(f"no connection to the server ({why(error)})")
            return
        if flight.ended:
            self.pool.give_back(wire)
        else:
            flight.send(wire)

    def _cancel(self, id: int) -> None:
        waiting = next((each for each in self._submitted if each.id == id), None)
        if waiting:
            self._submitted.remove(waiting)
        if flight := waiting or self._flying.get(id):
            flight.fail("cancelled")

    def _sweep(self) -> None:
        """Fail what takes too long."""
        now = time.monotonic()
        for flight in list(self._flying.values()):
            if reason := flight.late(now):
                flight.fail(reason)
        self._loop.call_later(SWEEP_S, self._sweep)


class Flight:
    """One request, from its sending to its last event; takes what comes back. All in the loop's thread."""

    def __init__(self, client: Client, id: int, request: bytes, limit: int) -> None:
        """`request` is the whole HTTP request, `limit` how many tokens it asks for."""
        self.id, self.ended = id, False
        self.answer = Answer(client.counting, limit)
        self._client, self._request, self._limit = client, request, limit
        self._wire: Wire | None = None
        self._begun_s = 0.0
        self._status, self._headers, self._body = 0, dict[str, str](), b""

    def begin(self) -> None:
        """The clock for timeouts starts: once, whatever number of attempts follow."""
        self._begun_s = time.monotonic()

    def send(self, wire: Wire) -> None:
        """An attempt over this connection."""
        self._status, self._body, self._wire = 0, b"", wire
        self.answer = Answer(self._client.counting, self._limit)
        wire.send(self._request, self)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """A stream of events, or what is none: that is kept for the message."""
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        self._headers = dict(headers)
        self._status = status if status != 200 or kind == "text/event-stream" else -1

    def data(self, piece: bytes, now: int) -> None:
        """A part of the answer."""
        if self._status != 200:
            self._body += piece[: KEPT - len(self._body)]
            return
        try:
            tokens, text = self.answer.feed(piece)
        except Refused as error:
            self.fail(str(error))
            return
        if tokens or text:
            self._client.outbox.put(TokenEvent(self.id, tokens, text, now))

    def end(self) -> None:
        """The response is whole."""
        self._wire = None
        if self._status != 200:
            self._refused()
            return
        try:
            tokens = self.answer.finish()
        except Refused as error:
            self.fail(str(error))
            return
        self.ended = True
        self._client.tally.add(self.answer)
        self._client.outbox.put(TokenEvent(self.id, tokens, "", time.monotonic_ns(), final=True))
        self._client.over(self)

    def broken(self, reason: str) -> None:
        """The connection could not be made, or broke."""
        self._wire = None
        self.fail(reason, mendable=True)

    def late(self, now: float) -> str:
        """Why this request has taken too long, empty where it has not."""
        limits, taken = self._client.limits, now - self._begun_s
        if taken > limits.timeout_s:
            return f"no whole answer within timeout_s = {limits.timeout_s:g} s"
        if limits.ttft_timeout_s and taken > limits.ttft_timeout_s and not self.answer.count:
            return f"no first token within ttft_timeout_s = {limits.ttft_timeout_s:g} s"
        return ""

    def fail(self, reason: str, *, mendable: bool = False, delay_s: float = 0.0) -> None:
        """Another attempt where that is allowed and nothing was given out yet, or the last event, with the cause."""
        if self.ended:
            return
        self.drop()
        made = self._client.tally.retries.get(self.id, 0)
        if mendable and made < self._client.limits.retries and not self.answer.count:
            self.ended = False
            self._client.again(self, delay_s or AGAIN_S * 2**made)
            return
        sent = f" (sent {made + 1} times)" if made else ""
        error = self._client.hide(reason) + sent
        self._client.outbox.put(TokenEvent(self.id, (), "", time.monotonic_ns(), final=True, error=error))
        self._client.over(self)

    def drop(self) -> None:
        """No more is wanted of it."""
        self.ended = True
        if self._wire:
            self._wire.abort()
            self._wire = None

    def _refused(self) -> None:
        """An answer that is no stream: its status and what the server says."""
        text = self._body.decode("utf-8", errors="replace")
        try:
            words = said(json.loads(text))
        except ValueError:
            words = " ".join(text.split())[:SHOWN]
        if self._status < 0:
            kind = self._headers.get("content-type") or "no content type"
            self.fail(f"the server answered with {kind[:SHOWN]}, not with a stream of events: {words}")
            return
        wait = self._headers.get("retry-after", "")
        asked = f" (Retry-After: {wait[:SHOWN]})" if wait else ""
        delay_s = min(float(wait), self._client.limits.timeout_s) if wait.isdigit() else 0.0
        reason = f"HTTP {self._status}{asked}: {words or 'no reason given'}"
        self.fail(reason, mendable=self._status in PASSING, delay_s=delay_s)
