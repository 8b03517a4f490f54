"""One small JSON document over HTTP, before a test: what a server says of itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from loadgen_harness.backends.openai.http import Pool

LIMIT_S = 10.0
MAX_BODY = 1 << 22


class Document:
    """Takes a response and keeps it."""

    def __init__(self, done: asyncio.Future[None]) -> None:
        """`done` hears of the end."""
        self.status, self.body = 0, b""
        self._done = done

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """The status is all that matters."""
        self.status = status

    def data(self, piece: bytes, now: int) -> None:
        """Kept."""
        self.body += piece[: MAX_BODY - len(self.body)]

    def end(self) -> None:
        """It is whole."""
        if not self._done.done():
            self._done.set_result(None)

    def broken(self, reason: str) -> None:
        """It never will be."""
        if not self._done.done():
            self._done.set_exception(ConnectionError(reason))


async def fetch(pool: Pool, request: bytes) -> tuple[int, Any]:
    """Status and JSON, None where it is none; raises OSError or TimeoutError."""
    async with asyncio.timeout(LIMIT_S):
        wire = await pool.take()
        document = Document(asyncio.get_running_loop().create_future())
        wire.send(request, document)
        try:
            await document._done
        finally:
            if not document._done.done() or document._done.cancelled():
                wire.abort()
    try:
        return document.status, json.loads(document.body)
    except ValueError:
        return document.status, None
