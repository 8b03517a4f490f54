"""Streaming requests over long-lived gRPC streams, one request at a time in each; imports no framework.

A stream of its own for each slot, where the client library's is shared: Triton does not say which request of a shared
stream failed, and cancelling one would cancel all.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any, NamedTuple, Protocol

from loadgen_harness.backends import TokenEvent
from loadgen_harness.backends.triton.server import pause

CANCELLED = "cancelled"


class Said(NamedTuple):
    """One response: whose it is (empty where it does not say), tokens, text, whether it is the last, an error."""

    id: str
    tokens: tuple[int, ...]
    text: str
    final: bool
    error: str


class Refused(Exception):
    """What the server says of a request that it does not answer."""


class Call(Protocol):
    """An open stream; `read` gives None at its end."""

    async def write(self, request: Any) -> None:
        """Send a request."""

    async def read(self) -> Said | None:
        """The next response."""

    def usable(self) -> bool:
        """Whether it is still open."""

    def cancel(self) -> None:
        """End it, and what the server computes for it."""


class Wire(Protocol):
    """The framework's side; everything but `request` is called on the event loop."""

    def open(self) -> Call:
        """A new stream."""

    def request(self, id: int, input: Any) -> Any:
        """The message for a request."""

    def reason(self, error: BaseException) -> tuple[str, bool]:
        """An error in words, and whether trying again may help."""

    async def close(self) -> None:
        """Give the connection back."""


@dataclass
class _Job:
    """One request and how far it is."""

    id: int
    input: Any
    put: Callable[[TokenEvent], None]
    cancelled: bool = False
    over: bool = False
    said: bool = False  # once it has answered, a retry would measure something else
    task: asyncio.Task[None] | None = None

    def take(self, said: Said | None, now: int) -> None:
        """One response, or the stream's end."""
        if said is None:
            raise Refused("the server ended the stream before the last response")
        if said.error:
            raise Refused(said.error)
        if said.id not in ("", str(self.id)):
            raise Refused(f"the server answered request {said.id} in its stream")
        self.said = True
        if said.final:
            self.end(said.tokens, said.text, now)
        elif said.tokens or said.text:
            self.put(TokenEvent(self.id, said.tokens, said.text, now))

    def end(self, tokens: tuple[int, ...] = (), text: str = "", now: int = 0) -> None:
        """The last event of a request that was answered."""
        self.over = True
        self.put(TokenEvent(self.id, tokens, text, now or monotonic_ns(), final=True))

    def fail(self, why: str) -> None:
        """The last event of one that was not."""
        if not self.over:
            self.over = True
            words = why if self.cancelled else f"request {self.id}: {why}"
            self.put(TokenEvent(self.id, (), "", monotonic_ns(), final=True, error=words))


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


class Streams:
    """`slots` streams on an event loop in a thread of their own; submit, cancel and close from any other thread."""

    def __init__(self, slots: int, *, put: Callable[[TokenEvent], None], timeout_s: float, retries: int) -> None:
        """`put` takes events; a request without a last response after `timeout_s` fails."""
        self._slots, self._put, self._timeout_s, self._retries = slots, put, timeout_s, retries
        self.retried = 0
        self._loop = asyncio.new_event_loop()
        self._jobs: dict[int, _Job] = {}
        self._waiting: asyncio.Queue[_Job] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._wire: Wire
        self._thread = threading.Thread(target=_turn, args=(self._loop,), name="triton", daemon=True)

    def start(self, make: Callable[[], Wire]) -> None:
        """Start the loop; `make` is called on it."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(make), self._loop).result()

    def submit(self, id: int, input: Any) -> None:
        """Begin a request, or queue it until a slot is free."""
        job = self._jobs[id] = _Job(id, input, self._put)
        self._loop.call_soon_threadsafe(self._waiting.put_nowait, job)

    def cancel(self, id: int) -> None:
        """Stop a request wherever it is; one that is over stays as it ended."""
        self._loop.call_soon_threadsafe(self._cancel, id)

    def close(self) -> None:
        """Cancel what is in flight, close the connection, end the thread."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        if not self._loop.is_closed():
            self._loop.close()

    async def _open(self, make: Callable[[], Wire]) -> None:
        self._wire = make()
        self._tasks = [self._loop.create_task(self._serve()) for _ in range(self._slots)]

    async def _shut(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._wire.close()

    def _cancel(self, id: int) -> None:
        job = self._jobs.get(id)
        if job is None or job.over:
            return
        job.cancelled = True
        if job.task:
            job.task.cancel()
        else:
            job.fail(CANCELLED)

    async def _serve(self) -> None:
        """One slot: a stream that lasts as long as it can be used."""
        call: Call | None = None
        while True:
            job = await self._waiting.get()
            attempts = 0
            while attempts <= self._retries and not (job.over or job.cancelled):
                await asyncio.sleep(pause(attempts))
                if call is None or not call.usable():
                    call = self._wire.open()
                await self._attempt(call, job, last=attempts == self._retries)
                attempts += 1
            if job.cancelled:
                job.fail(CANCELLED)
            if self._jobs.get(job.id) is job:
                del self._jobs[job.id]

    async def _attempt(self, call: Call, job: _Job, *, last: bool) -> None:
        """One try in a task of its own, which cancel() can stop without ending the slot."""
        job.task = self._loop.create_task(self._converse(call, job))
        try:
            await asyncio.wait({job.task})
        except asyncio.CancelledError:  # the whole backend closes
            job.task.cancel()
            call.cancel()
            raise
        error = asyncio.CancelledError() if job.task.cancelled() else job.task.exception()
        if error is None:
            return
        call.cancel()  # what else would come on it belongs to a request that has failed
        reason, again = (CANCELLED, False) if job.cancelled else self._told(error)
        if again and not last and not job.said:
            self.retried += 1
        else:
            job.fail(reason)

    def _told(self, error: BaseException) -> tuple[str, bool]:
        if isinstance(error, TimeoutError):
            return f"no last response after {self._timeout_s:g} s (option timeout_s)", False
        return (str(error), False) if isinstance(error, Refused) else self._wire.reason(error)

    async def _converse(self, call: Call, job: _Job) -> None:
        async with asyncio.timeout(self._timeout_s):
            await call.write(self._wire.request(job.id, job.input))
            while not job.over:
                job.take(await call.read(), monotonic_ns())
