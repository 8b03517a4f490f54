"""A closed loop of one client against the echo server: `python -m tests.perf.clients KIND URL IN_FLIGHT SECONDS`.

Prints requests per second, CPU time a request, and what the client adds to the server's own times. Kinds: our backend,
a bare asyncio protocol that only looks for an answer's end, and aiohttp as one would write it by hand.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from loadgen_harness import child
from loadgen_harness.backends import TokenEvent
from loadgen_harness.backends.openai import BACKEND

PROMPT = "<|im_start|>user\nWhat happens to you if you eat watermelon seeds?<|im_end|>\n<|im_start|>assistant\n"
TOKENS = 16
ASKED = {"prompt": PROMPT, "max_new_tokens": TOKENS}
WARM_S = 0.3
SPREAD_S = 0.2  # in which the first requests begin: an answer's time, lest all of them come at once for ever
LAST = b"\r\n0\r\n\r\n"


class Count:
    """Finished requests between a warm-up and the end, and the CPU time that they took."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._warm = seconds, 0.0
        self.done = 0
        self._cpu = self._spent = self._begun = self._ended = 0.0

    def __call__(self) -> bool:
        """One more is finished; whether to go on."""
        self._ended = now = time.perf_counter()
        self._warm = self._warm or now + WARM_S  # from the first answer on: connecting takes its time
        if self._begun:
            self.done += 1
            self._spent = time.process_time() - self._cpu
        elif now >= self._warm:
            self._begun, self._cpu = now, time.process_time()
        return not self._begun or now < self._begun + self._seconds

    def result(self) -> dict[str, float]:
        """What it came to."""
        done = max(self.done, 1)
        return {"requests/s": done / (self._ended - self._begun), "cpu_us": 1e6 * self._spent / done}


def backend(url: str, flight: int, seconds: float) -> dict[str, float]:
    """Ours, driven as a StreamSUT drives it."""
    made = BACKEND({"url": url, "concurrency": str(flight)})
    made.load(None, "cpu", "")
    count, sent, firsts, lasts = Count(seconds), list[int](), dict[int, int](), dict[int, int]()
    order: list[int] = []

    def submit() -> None:
        sent.append(time.monotonic_ns())
        made.submit(len(sent) - 1, ASKED)

    def take(event: TokenEvent) -> None:
        if event.error:
            raise SystemExit(event.error)
        if event.tokens:
            firsts.setdefault(event.id, event.time_ns)
            lasts[event.id] = event.time_ns
        if event.final:
            order.append(event.id)
            if count():
                submit()

    begun, started = time.perf_counter(), 0
    while started < flight or len(order) < len(sent):
        if started < flight and time.perf_counter() >= begun + started * SPREAD_S / flight:
            started += 1
            submit()
        for event in made.poll(0.1 if started == flight else 0.0005):
            take(event)
    server = np.array([(each.prompt_ms, each.decode_ms / (each.generated - 1)) for each in made.timings])
    ours = np.array([(firsts[id_] - sent[id_], (lasts[id_] - firsts[id_]) / (TOKENS - 1)) for id_ in order]) / 1e6
    added = ours[flight:] - server[flight:]  # the first have connected, too
    made.close()
    return {
        **count.result(),
        "added TTFT p50": float(np.median(added[:, 0])),
        "added TTFT p99": float(np.percentile(added[:, 0], 99)),
        "added TPOT p50": float(np.median(added[:, 1])),
    }


class Blind:
    """Sends the same request again and again, blind to what is in an answer."""

    def __init__(self, request: bytes, again: Callable[[Blind], None]) -> None:
        self.request, self._again = request, again
        self.wire: asyncio.Transport | None = None
        self._tail = b""

    def connection_made(self, transport: Any) -> None:
        """Connected."""
        self.wire = transport
        transport.max_size = 1 << 16

    def data_received(self, data: bytes) -> None:
        """A part of an answer."""
        self._tail = (self._tail + data)[-len(LAST) :]
        if self._tail == LAST:
            self._tail = b""
            self._again(self)

    def __getattr__(self, name: str) -> Any:
        """What else asyncio tells a protocol is of no interest."""
        return lambda *arguments: None


def bare(url: str, flight: int, seconds: float) -> dict[str, float]:
    """The least that a Python client can do."""
    return asyncio.run(_bare(url, flight, seconds))


async def _bare(url: str, flight: int, seconds: float) -> dict[str, float]:
    count, loop = Count(seconds), asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def again(client: Blind) -> None:
        if count() and client.wire:
            client.wire.write(client.request)
        elif not over.done():
            over.set_result(None)

    host, port = url.split("/")[2].split(":")
    made = [await loop.create_connection(lambda: Blind(request_of(url), again), host, int(port)) for _ in range(flight)]  # type: ignore[arg-type,return-value]
    for transport, client in made:
        transport.write(client.request)
    await over
    return count.result()


def aiohttp(url: str, flight: int, seconds: float) -> dict[str, float]:
    """The usual client, reading whatever has come and each event's JSON."""
    return asyncio.run(_aiohttp(url, flight, seconds))


async def _aiohttp(url: str, flight: int, seconds: float) -> dict[str, float]:
    library = importlib.import_module("aiohttp")
    count, body, tokens = Count(seconds), body_of(), 0
    async with library.ClientSession(connector=library.TCPConnector(limit=0)) as session:

        async def loop() -> None:
            nonlocal tokens
            while True:
                async with session.post(f"{url}/completions", data=body) as response:
                    async for piece in response.content.iter_any():
                        tokens += sum(
                            len(json.loads(each[6:])["choices"]) for each in piece.split(b"\n\n") if each[6:7] == b"{"
                        )
                if not count():
                    return

        await asyncio.gather(*(loop() for _ in range(flight)))
    return count.result()


def body_of() -> bytes:
    """What our backend asks, too."""
    usual = {"model": "echo", "stream": True, "temperature": 0, "stream_options": {"include_usage": True}}
    return json.dumps({**usual, "return_token_ids": True, "prompt": PROMPT, "max_tokens": TOKENS}).encode()


def request_of(url: str) -> bytes:
    """The whole request."""
    body = body_of()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {url.split('/')[2]}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


KINDS: dict[str, Callable[[str, int, float], dict[str, float]]] = {"backend": backend, "bare": bare, "aiohttp": aiohttp}


def main() -> None:
    """Measure and print JSON."""
    kind, url, flight, seconds = sys.argv[1:]
    child.prepare_process()
    gc.freeze()
    sys.stdout.write(json.dumps(KINDS[kind](url, int(flight), float(seconds))) + "\n")


if __name__ == "__main__":
    main()
