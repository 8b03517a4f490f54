"""A streaming server without a model, for measuring what a client costs: `python -m loadgen_harness.echo --port 8000`.

It answers /v1/completions and /v1/chat/completions as vLLM does, token k of an answer being k itself. Tokens without
a pause between them go out in one piece, those with one each in a packet of its own; the last chunk says when, by the
server's own clock.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import heapq
import json
import resource
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any

from loadgen_harness import console
from loadgen_harness.errors import BadInput, SuiteError

MODEL = "echo"
BACKLOG, READ = 4096, 1 << 16
EVENTS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
KNOWN = {"/v1/models": {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "loadgen-harness"}]}}


@dataclass(frozen=True)
class Pace:
    """What every answer looks like: its tokens at most, and when they come."""

    tokens: int = 16
    ttft_ns: int = 0
    tpot_ns: int = 0

    @property
    def at_once(self) -> bool:
        """Whether an answer goes out in one piece."""
        return not (self.ttft_ns or self.tpot_ns)


@dataclass(frozen=True)
class Wish:
    """What of a request an answer depends on."""

    chat: bool
    ids: bool
    usage: bool
    tokens: int


class Clock:
    """Calls back at chosen times, in order, with one timer of the loop: asyncio's own heap is slow at thousands."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing is due."""
        self._loop = loop
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def at(self, time_ns: int, call: Callable[[], None]) -> None:
        """Call at a monotonic time, or at once where that is over."""
        self._count += 1
        heapq.heappush(self._due, (time_ns, self._count, call))
        if self._due[0][1] == self._count:
            self._set()

    def _set(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due[0][0] * 1e-9, self._ring) if self._due else None

    def _ring(self) -> None:
        now = monotonic_ns()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        self._set()


class Connection(asyncio.Protocol):
    """One client's connection: a request, its answer, the next request."""

    def __init__(self, pace: Pace, clock: Clock) -> None:
        """Answer at this pace."""
        self._pace, self._clock = pace, clock
        self._transport: Any = None
        self._received = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here; reads of asyncio's own size cost ten times as much."""
        self._transport = transport
        if hasattr(transport, "max_size"):
            transport.max_size = READ

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone; what is due for it goes nowhere."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """A request, or a part of one."""
        self._received += data
        if not self._busy:
            self._next()

    def _next(self) -> None:
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._received[:head_end].decode("latin-1")
        stop = head_end + 4 + _length(head)
        if len(self._received) < stop:
            return
        body, self._received = self._received[head_end + 4 : stop], self._received[stop:]
        path = head.split(" ", 2)[1]
        if path in (COMPLETIONS, CHAT):
            self._begin(_wish(path, body, self._pace), monotonic_ns())
        else:
            self._plain(200 if path in KNOWN else 404, KNOWN.get(path, {"error": {"message": f"no {path} here"}}))

    def _begin(self, wish: Wish | None, now: int) -> None:
        if wish is None:
            self._plain(400, {"error": {"message": "the body must be JSON with stream: true and max_tokens"}})
        elif self._pace.at_once:
            self._transport.write(_whole(wish))
        else:
            self._busy = True
            Answer(self, self._pace, wish, now).schedule(self._clock)

    def _plain(self, status: int, body: Mapping[str, Any]) -> None:
        text = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        self._transport.write(head.encode() + text)

    def send(self, data: bytes, last: bool) -> bool:
        """A part of an answer; whether the client is still there."""
        if self._transport is None:
            return False
        self._transport.write(data)
        if last:
            self._busy = False
            self._next()
        return True


class Answer:
    """One answer whose tokens come one by one."""

    def __init__(self, connection: Connection, pace: Pace, wish: Wish, now: int) -> None:
        """`now` is when the request was here."""
        self._connection, self._pace, self._wish = connection, pace, wish
        self._begun, self._first, self._sent = now, 0, 0

    def schedule(self, clock: Clock) -> None:
        """The next token, at its time."""
        due = self._begun + self._pace.ttft_ns + self._sent * self._pace.tpot_ns
        clock.at(due, functools.partial(self._emit, clock))

    def _emit(self, clock: Clock) -> None:
        now = monotonic_ns()
        wish = self._wish
        self._sent += 1
        data = _chunk(wish.chat, wish.ids, self._sent, wish.tokens)
        if self._sent == 1:
            self._first = now
            data = EVENTS + data
        last = self._sent == wish.tokens
        if last:
            data += _account(wish, self._begun, self._first, now) + DONE
        if self._connection.send(data, last) and not last:
            self.schedule(clock)


def _length(head: str) -> int:
    for line in head.split("\r\n"):
        if line[:15].lower() == "content-length:":
            return int(line[15:])
    return 0


def _wish(path: str, body: bytes, pace: Pace) -> Wish | None:
    """The request in short; None where it is none that can be streamed."""
    try:
        asked = json.loads(body)
        wanted = asked.get("max_tokens") or asked.get("max_completion_tokens") or pace.tokens
        if not asked["stream"] or wanted < 1:
            return None
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        return Wish(path == CHAT, bool(asked.get("return_token_ids")), usage, min(int(wanted), pace.tokens))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@functools.cache
def _whole(wish: Wish) -> bytes:
    """An answer without pauses."""
    chunks = (_chunk(wish.chat, wish.ids, k, wish.tokens) for k in range(1, wish.tokens + 1))
    return b"".join((EVENTS, *chunks, _account(wish, 0, 0, 0), DONE))


@functools.cache
def _chunk(chat: bool, ids: bool, k: int, last: int) -> bytes:
    """Token k of `last` as it goes over the wire."""
    choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": "length" if k == last else None}
    choice |= {"delta": {"content": f"{k} "}} if chat else {"text": f"{k} "}
    choice |= {"token_ids": [k]} if ids else {}
    return _framed({**_head(chat), "choices": [choice]})


def _account(wish: Wish, begun: int, first: int, last: int) -> bytes:
    """Counts, where they are asked for, and the server's own times."""
    if not wish.usage:
        return b""
    counts = {"prompt_tokens": 1, "completion_tokens": wish.tokens, "total_tokens": wish.tokens + 1}
    timings = {"prompt_ms": (first - begun) / 1e6, "predicted_ms": (last - first) / 1e6}
    timings |= {"predicted_n": wish.tokens, "cache_n": 0}
    return _framed({**_head(wish.chat), "choices": [], "usage": counts, "timings": timings})


def _head(chat: bool) -> dict[str, Any]:
    kind = "chat.completion.chunk" if chat else "text_completion"
    return {"id": "echo-0", "object": kind, "created": 0, "model": MODEL}


def _framed(chunk: Mapping[str, Any]) -> bytes:
    data = f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


async def serve(listener: socket.socket, pace: Pace) -> None:
    """Answer until cancelled; the listener is bound already. Raises BadInput where there are too many connections."""
    loop = asyncio.get_running_loop()
    clock, broken = Clock(loop), loop.create_future()

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception") or RuntimeError(context["message"])
        if not broken.done():
            broken.set_exception(error)

    loop.set_exception_handler(report)
    server = await loop.create_server(lambda: Connection(pace, clock), sock=listener, backlog=BACKLOG)
    gc.freeze()
    async with server:
        try:
            await broken
        except OSError as error:
            raise BadInput(f"the echo server cannot go on ({error.strerror}): raise `ulimit -n`.") from error


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; raises BadInput where the port is taken."""
    try:
        return socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        raise BadInput(f"cannot listen on {host}:{port} ({error.strerror}): choose another --port.") from error


def allow_files() -> None:
    """As many connections as the system's hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def arguments(command: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m loadgen_harness.echo", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free; it is printed")
    parser.add_argument("--tokens", type=int, default=16, help="of an answer, at most; fewer where fewer are asked for")
    parser.add_argument("--ttft-ms", type=float, default=0.0, help="from a request's last byte to its first token")
    parser.add_argument("--tpot-ms", type=float, default=0.0, help="from token to token")
    return parser.parse_args(command)


def main() -> None:
    """Serve until interrupted."""
    args = arguments()
    try:
        if args.tokens < 1 or min(args.ttft_ms, args.tpot_ms) < 0:
            raise BadInput("--tokens must be at least 1 and times not negative: mend the command line.")
        listener = listen(args.host, args.port)
    except SuiteError as error:
        console.fail(str(error))
        raise SystemExit(2) from error
    console.raw(f"http://{args.host}:{listener.getsockname()[1]}/v1")
    allow_files()
    try:
        asyncio.run(serve(listener, Pace(args.tokens, int(args.ttft_ms * 1e6), int(args.tpot_ms * 1e6))))
    except BadInput as error:
        console.fail(str(error))
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
