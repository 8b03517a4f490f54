"""HTTP/1.1 over asyncio, as little of it as a load generator needs: POST and GET, keep-alive, answers piece by piece.

aiohttp does the same and more at about three times the cost a request; what the client costs is measured here.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any, Protocol

READ = 1 << 16
SETTLING_S = 0.15
MAX_HEAD, MAX_CHUNK = 1 << 16, 1 << 26
HEAD, LENGTH, CHUNKS, TRAILER, UNTIL_CLOSE, OVER = range(6)
BODILESS = (204, 304)


class Taker(Protocol):
    """Who a response goes to; everything is called in the loop's thread, `end` or `broken` once and last."""

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """The status line and the headers, their names in lower case."""

    def data(self, piece: bytes, now: int) -> None:
        """A part of the body and when it came, in monotonic ns."""

    def end(self) -> None:
        """The response is whole."""

    def broken(self, reason: str) -> None:
        """The connection or the response failed."""


@dataclass(frozen=True)
class Address:
    """Where a server is; `tls` is None for plain http."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class Wire(asyncio.Protocol):
    """One connection; carries one request at a time."""

    def __init__(self, pool: Pool) -> None:
        """Goes back to `pool` when its response is over."""
        self._pool = pool
        self._transport: Any = None
        self._taker: Taker | None = None
        self._buffer = b""
        self._state, self._left = OVER, 0
        self._closes = False  # the server will close after this response
        self._used = False  # a response came over it already
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready; asyncio's own 256 KiB a read are fresh memory from the kernel each time, ten times the cost."""
        self._transport = transport
        if hasattr(transport, "max_size"):
            transport.max_size = READ

    def send(self, request: bytes, taker: Taker) -> None:
        """Begin a request; the connection must be idle."""
        self._taker, self._state, self._buffer = taker, HEAD, b""
        self._transport.write(request)

    def abort(self) -> None:
        """Close at once; the taker hears nothing more."""
        self._taker = None
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes came; whatever is whole is handed on."""
        now = monotonic_ns()
        if self._taker is None:
            return self.abort()  # nobody asked for these
        self._buffer = self._buffer + data if self._buffer else data
        try:
            if self._state == HEAD:
                self._read_head()
            if self._state == CHUNKS:
                self._read_chunks(now)
            elif self._state in (LENGTH, UNTIL_CLOSE):
                self._read_plain(now)
            if self._state == TRAILER:
                self._read_trailer()
        except ValueError as error:
            self._fail(f"the server sent no proper HTTP ({error})")
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """The server, the network or we closed."""
        self._transport = None
        self._pool.lost(self)
        if self._taker is None:
            return
        if self._state == UNTIL_CLOSE and exc is None:
            self._over()
            return
        why = f" ({exc})" if exc else ""
        when = "before it answered" if self._state == HEAD and not self._buffer else "in the middle of its answer"
        kept = " that it had kept open (lower idle_s below its keep-alive time, or allow retries)" if self._used else ""
        self._fail(f"the server closed the connection{kept if when[0] == 'b' else ''} {when}{why}")

    def _read_head(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD or not b"HTTP/1.".startswith(self._buffer[:7]):
                raise ValueError(f"an answer that begins with {self._buffer[:20]!r}")
            return
        status, headers = parse_head(self._buffer[:end].decode("latin-1"))
        self._buffer = self._buffer[end + 4 :]
        if 100 <= status < 200:
            return self._read_head()
        self._closes = headers.get("connection", "").lower() == "close" or headers[""] == "HTTP/1.0"
        if "chunked" in headers.get("transfer-encoding", "").lower():
            self._state = CHUNKS
        elif status in BODILESS or "content-length" in headers:
            self._state, self._left = LENGTH, int(headers.get("content-length", 0))
        else:
            self._state, self._closes = UNTIL_CLOSE, True
        if self._taker:
            self._taker.head(status, headers)
        return None

    def _read_chunks(self, now: int) -> None:
        """Every chunk that is here whole, handed on as one piece."""
        buffer, begin, pieces = self._buffer, 0, []
        while (line := buffer.find(b"\r\n", begin)) >= 0:
            size = int(buffer[begin:line].partition(b";")[0], 16)  # extensions follow a semicolon
            stop = line + 2 + size
            if not 0 <= size <= MAX_CHUNK:
                raise ValueError(f"a chunk of {size} bytes")
            if not size:
                begin, self._state = line + 2, TRAILER
                break
            if len(buffer) < stop + 2:
                break
            if buffer[stop : stop + 2] != b"\r\n":
                raise ValueError("a chunk without its end")
            pieces.append(buffer[line + 2 : stop])
            begin = stop + 2
        self._buffer = buffer[begin:]
        if self._state == CHUNKS and len(self._buffer) > MAX_CHUNK + MAX_HEAD:
            raise ValueError("a chunk without a size")
        if pieces and self._taker:
            self._taker.data(pieces[0] if len(pieces) == 1 else b"".join(pieces), now)

    def _read_trailer(self) -> None:
        """Lines up to an empty one end a chunked body."""
        while (line := self._buffer.find(b"\r\n")) >= 0:
            self._buffer = self._buffer[line + 2 :]
            if not line:
                return self._over()
        return None

    def _read_plain(self, now: int) -> None:
        piece, self._buffer = self._buffer, b""
        if self._state == LENGTH:
            piece, self._buffer = piece[: self._left], piece[self._left :]
            self._left -= len(piece)
        if piece and self._taker:
            self._taker.data(piece, now)
        if self._state == LENGTH and not self._left:
            self._over()

    def _over(self) -> None:
        """The response is whole: the connection is free before its taker hears of that."""
        taker, self._taker, self._state = self._taker, None, OVER
        self._used = True
        if self._closes or self._buffer:
            self.abort()
        elif self._transport:
            self._pool.give_back(self)
        if taker:
            taker.end()

    def _fail(self, reason: str) -> None:
        taker = self._taker
        self.abort()
        if taker:
            taker.broken(reason)


class Pool:
    """Connections to one server: the one used last is used next, those idle for too long are closed."""

    def __init__(self, address: Address, idle_s: float) -> None:
        """Connections are opened as requests want them; `idle_s` is below the patience of the server."""
        self._address, self._idle_s = address, idle_s
        self._idle: list[Wire] = []
        self._all: set[Wire] = set()
        self.opened, self.reuse = 0, True

    async def take(self) -> Wire:
        """A connection of one's own; raises OSError where none can be made."""
        if wire := self.idle():
            return wire
        loop = asyncio.get_running_loop()
        tls = self._address.tls
        _, wire = await loop.create_connection(lambda: Wire(self), self._address.host, self._address.port, ssl=tls)
        self.opened += 1
        self._all.add(wire)
        return wire

    def idle(self) -> Wire | None:
        """A connection that is open already, where there is one."""
        if not self._idle:
            return None
        wire = self._idle.pop()
        if monotonic_ns() * 1e-9 - wire.idle_since <= self._idle_s:
            return wire
        for old in (wire, *self._idle):  # those below it are older still
            old.abort()
        self._idle.clear()
        return None

    def give_back(self, wire: Wire) -> None:
        """Its response is over."""
        if self.reuse:
            wire.idle_since = monotonic_ns() * 1e-9
            self._idle.append(wire)
        else:
            wire.abort()

    async def learn(self) -> None:
        """After a response: whether the server keeps connections open; llama.cpp's closes those that streamed.

        A request over a connection that is just being closed would be lost.
        """
        await asyncio.sleep(SETTLING_S)
        self.reuse = bool(self._idle)

    def lost(self, wire: Wire) -> None:
        """It is closed."""
        self._all.discard(wire)
        if wire in self._idle:
            self._idle.remove(wire)

    def close(self) -> None:
        """Close every connection, at once."""
        for wire in list(self._all):
            wire.abort()
        self._idle.clear()


def why(error: OSError) -> str:
    """The cause of a connection that could not be made, in a few words."""
    if isinstance(error, ssl.SSLError):
        return str(getattr(error, "verify_message", "") or error.reason or error)
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio writes the address into the error's own words
    return error.strerror or str(error) or "it takes too long"


def parse_head(text: str) -> tuple[int, dict[str, str]]:
    """Status and headers, names in lower case; the protocol's version stands under an empty name."""
    first, *lines = text.split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if not version.startswith("HTTP/1.") or not code.isdigit():
        raise ValueError(f"an answer that begins with {first[:20]!r}")
    headers = {"": version}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"a header without a name: {line[:20]!r}")
        headers[name.strip().lower()] = value.strip()
    return int(code), headers
