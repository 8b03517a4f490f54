"""An OpenAI-compatible server that misbehaves as it is told, on loopback, in a thread of the test's process."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from dataclasses import dataclass
from typing import Any, Self

STREAM = "text/event-stream"


@dataclass(frozen=True)
class Reply:
    """One answer as bytes; `then` is keep, close, reset or hang; `wait_s` comes before each piece."""

    pieces: tuple[bytes, ...]
    then: str = "keep"
    wait_s: float = 0.0


def head(status: int = 200, kind: str = STREAM, **headers: str) -> bytes:
    """A response's head, its body in chunks."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\n{more}Transfer-Encoding: chunked\r\n\r\n".encode()


def chunked(*bodies: bytes, end: bool = True) -> tuple[bytes, ...]:
    """Bodies as HTTP chunks."""
    framed = tuple(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies)
    return (*framed, b"0\r\n\r\n") if end else framed


def event(data: Any) -> bytes:
    """A server-sent event."""
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def token(id: int, reason: str | None = None, text: str | None = None) -> bytes:
    """A chunk with one token, as vLLM sends it."""
    words = f"{id} " if text is None else text
    return event({"choices": [{"index": 0, "text": words, "token_ids": [id], "finish_reason": reason}]})


def usage(completion: int, cached: int | None = None) -> bytes:
    """The chunk that counts."""
    details = {} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}
    return event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": completion, **details}})


DONE = event(b"[DONE]")


def stream(*bodies: bytes, then: str = "keep", wait_s: float = 0.0) -> Reply:
    """A proper stream of these events."""
    return Reply((head(), *chunked(*bodies)), then, wait_s)


def good(count: int = 3) -> Reply:
    """Tokens 1 … count."""
    tokens = [token(k, "length" if k == count else None) for k in range(1, count + 1)]
    return stream(*tokens, usage(count), DONE)


def refusal(status: int, message: str, **headers: str) -> Reply:
    """An HTTP error with a JSON body that repeats the key, as careless servers do, up to the connection's end."""
    body = json.dumps({"error": {"message": f"{message} (you sent %KEY%)"}}).encode()
    begin = head(status, "application/json", **headers).replace(b"Transfer-Encoding: chunked", b"Connection: close")
    return Reply((begin, body), "close")


class Server:
    """Lists one model; answers the n-th completion with the n-th reply, the last again and again."""

    def __init__(
        self, *replies: Reply, tls: ssl.SSLContext | None = None, owner: str = "me", about: dict[str, Any] | None = None
    ) -> None:
        self.replies, self.asked, self.keys = list(replies), list[dict[str, Any]](), list[str]()
        self.open = 0
        self._tls, self._owner, self._about = tls, owner, about or {}
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        """What users write."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        """Listen, on the same port as before where there was one."""
        self._run(self._start())

    def stop(self) -> None:
        """Close the listener and every connection."""
        self._run(self._stop())

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.open += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        self.keys.append(fields.get("Authorization", ""))
        body = await reader.readexactly(int(fields.get("Content-Length", 0)))
        path = lines[0].split()[1]
        if lines[0].startswith("GET"):
            return await self._send(self._document(path), reader, writer)
        self.asked.append(json.loads(body))
        return await self._send(self.replies.pop(0) if len(self.replies) > 1 else self.replies[0], reader, writer)

    def _document(self, path: str) -> Reply:
        models = {"/v1/models": {"data": [{"id": "m", "owned_by": self._owner}]}}
        found = {**models, **self._about}.get(path)
        if found is None:
            return refusal(404, f"no {path}")
        return Reply((head(200, "application/json"), *chunked(json.dumps(found).encode())))

    async def _send(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for piece in reply.pieces:
            if reply.wait_s:
                await asyncio.sleep(reply.wait_s)
            writer.write(piece.replace(b"%KEY%", self.keys[-1].encode()))
            await writer.drain()
        if reply.then == "hang":
            await reader.read()  # until the client hangs up
        if reply.then == "reset":
            writer.transport.abort()
        return reply.then == "keep"
