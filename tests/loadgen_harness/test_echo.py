"""The echo server: what it answers, when, and what it refuses."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from loadgen_harness import echo
from loadgen_harness.errors import BadInput

ASKED = {"prompt": "x", "stream": True, "max_tokens": 3}


@contextmanager
def serving(pace: echo.Pace) -> Iterator[http.client.HTTPConnection]:
    """A connection to a server in a thread."""
    listener, loop = echo.listen("127.0.0.1", 0), asyncio.new_event_loop()
    port = listener.getsockname()[1]
    task = loop.create_task(echo.serve(listener, pace))
    thread = threading.Thread(target=run, args=(loop, task))
    thread.start()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        yield client
    finally:
        client.close()
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


def run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()


def post(client: http.client.HTTPConnection, body: Any, path: str = echo.COMPLETIONS) -> tuple[int, list[Any]]:
    """Status and chunks."""
    client.request("POST", path, json.dumps(body))
    response = client.getresponse()
    text = response.read().decode()
    if response.status != 200:
        return response.status, [json.loads(text)]
    *lines, done = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert done == "[DONE]"
    return 200, [json.loads(line) for line in lines]


@pytest.mark.parametrize("pace", [echo.Pace(5), echo.Pace(5, 2_000_000, 1_000_000)])
def test_tokens_are_numbers(pace: echo.Pace) -> None:
    with serving(pace) as client:
        _, chunks = post(client, ASKED)
        assert [each["choices"][0]["text"] for each in chunks] == ["1 ", "2 ", "3 "]
        assert [each["choices"][0]["finish_reason"] for each in chunks] == [None, None, "length"]
        wanted = {"max_tokens": 99, "return_token_ids": True, "stream_options": {"include_usage": True}}
        _, [*chunks, last] = post(client, {**ASKED, **wanted}, echo.CHAT)
        assert [each["choices"][0]["token_ids"] for each in chunks] == [[1], [2], [3], [4], [5]]
        assert chunks[0]["choices"][0]["delta"] == {"content": "1 "}
        assert (last["choices"], last["usage"]["completion_tokens"], last["timings"]["predicted_n"]) == ([], 5, 5)


def test_the_pace_is_kept() -> None:
    with serving(echo.Pace(4, 30_000_000, 10_000_000)) as client:
        begun = time.monotonic()
        _, chunks = post(client, {**ASKED, "max_tokens": 4, "stream_options": {"include_usage": True}})
        taken = (time.monotonic() - begun) * 1e3
    told = chunks[-1]["timings"]
    assert told["prompt_ms"] >= 30  # a late first token shortens the rest
    assert 60 <= told["prompt_ms"] + told["predicted_ms"] <= taken


def test_what_is_refused() -> None:
    with serving(echo.Pace()) as client:
        for body in ({"prompt": "x"}, {**ASKED, "stream": False}, {**ASKED, "max_tokens": -1}, [], "x"):
            assert post(client, body)[0] == 400
        assert post(client, ASKED, "/v2")[0] == 404
        client.request("GET", "/v1/models")
        assert json.loads(client.getresponse().read())["data"][0]["id"] == echo.MODEL


def test_a_taken_port_is_one_sentence() -> None:
    with echo.listen("127.0.0.1", 0) as taken, pytest.raises(BadInput, match="choose another --port"):
        echo.listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("command", [["--tokens", "0"], ["--tpot-ms", "-1"]])
def test_bad_numbers(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["echo", *command])
    with pytest.raises(SystemExit, match="2"):
        echo.main()
