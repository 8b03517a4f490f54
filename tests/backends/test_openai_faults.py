"""All that a server can do wrong, each against a small real server: which request failed, and why, without secrets."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from loadgen_harness.backends.openai import BACKEND
from loadgen_harness.backends.openai import http as openai_http
from loadgen_harness.errors import BadInput
from tests.backends.asking import SECRET, ask, collect, ids, loaded
from tests.backends.servers import DONE, Reply, Server, chunked, event, good, head, refusal, stream, token, usage

CUT = (head(), *chunked(token(1), token(2), end=False))  # two tokens, then nothing


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment, which must be seen nowhere; and less patience after the first answer."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setattr(openai_http, "SETTLING_S", 0.02)


def failed(reply: Reply, *, tokens: int = 3, **options: str) -> str:
    """The error of one request that is answered so, after a good one at load."""
    with Server(good(), reply) as server, loaded(server.url, **options) as backend:
        (events,) = ask(backend, 7, tokens=tokens).values()
        assert not any(each.error for each in events[:-1])
        assert SECRET in server.keys[-1], "the server was sent the key"
        return events[-1].error


FAULTS = {
    "429": (refusal(429, "slow down", Retry_After="7"), r"^HTTP 429 \(Retry-After: 7\): slow down"),
    "503": (refusal(503, "loading"), r"^HTTP 503: loading"),
    "401": (refusal(401, "who are you"), r"^HTTP 401: who are you \(you sent Bearer \*\*\*\)"),
    "404": (refusal(404, "no model m"), r"^HTTP 404: no model m"),
    "page": (Reply((head(502, "text/html"), *chunked(b"<html>Bad gateway"))), r"^HTTP 502: <html>Bad gateway"),
    "html": (Reply((head(200, "text/html"), *chunked(b"<html>hi"))), "answered with text/html, not with a stream"),
    "json": (Reply((head(200, "application/json"), *chunked(b'{"choices": []}'))), "application/json, not with a"),
    "dropped": (Reply((), "close"), "closed the connection"),
    "reset": (Reply(CUT, "reset"), "the connection in the middle of its answer"),
    "cut": (Reply(CUT, "close"), "the connection in the middle of its answer"),
    "early": (stream(token(1), token(2)), "ended in the middle: no finish_reason"),
    "early, [DONE]": (stream(token(1), DONE), "ended in the middle: no finish_reason"),
    "half an event": (stream(token(1), b'data: {"choi'), "a chunk that is no JSON"),
    "bad JSON": (stream(token(1), event(b"{nope")), "a chunk that is no JSON"),
    "bad UTF-8": (stream(token(1), event(b'{"choices": [{"text": "\xff\xfe"}]}')), "a chunk that is no JSON"),
    "no choices": (stream(event({"id": 1})), "a chunk without 'choices'"),
    "odd choices": (stream(event({"choices": [7]})), "a chunk in no known form"),
    "odd text": (stream(event({"choices": [{"text": 7}]})), "text that is a int"),
    "odd ids": (stream(event({"choices": [{"text": "a", "token_ids": ["x"]}]})), "the server sent"),
    "list": (stream(event([1, 2])), "a chunk in no known form"),
    "no SSE": (stream(b"<html>\n\n"), "no server-sent event: b'<html>'"),
    "error event": (stream(token(1), event({"error": {"message": "out of memory"}})), "an error: out of memory$"),
    "vLLM's error": (stream(event({"object": "error", "message": "too long"})), "reported an error: too long"),
    "no HTTP": (Reply((b"SSH-2.0-OpenSSH\r\n\r\n",), "close"), "no proper HTTP"),
    "bad chunk": (Reply((head(), b"zz\r\nhello\r\n"), "hang"), "no proper HTTP"),
    "chunk of odd length": (Reply((head(), b"3\r\nhello\r\n"), "hang"), "a chunk without its end"),
    "too many": (stream(*map(token, range(1, 6)), token(6, "length"), DONE), "sent 6 tokens where 3 were asked for"),
    "none": (stream(event({"choices": [{"text": "", "finish_reason": "stop"}]}), DONE), "before the first token"),
    "filtered": (stream(token(1, "content_filter"), DONE), "finish_reason 'content_filter'"),
    "cached": (stream(token(1, "length"), usage(1, cached=64), DONE), "prompt cache was used for 64 tokens"),
    "redirect": (Reply((b"HTTP/1.1 307 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",)), "^HTTP 307: no reason given"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named(name: str) -> None:
    reply, said = FAULTS[name]
    error = failed(reply)
    assert re.search(said, error), error
    assert SECRET not in error and "\n" not in error


def test_text_without_ids_is_refused_where_ids_were_promised() -> None:
    word = event({"choices": [{"text": "w", "finish_reason": "stop"}]})
    assert "text without token ids" in failed(stream(word, usage(1), DONE))


def test_slow_first_token_and_slow_end() -> None:
    assert failed(Reply((head(),), "hang"), ttft_timeout_s="0.2") == "no first token within ttft_timeout_s = 0.2 s"
    assert (
        failed(Reply(CUT, "hang"), ttft_timeout_s="0.2", timeout_s="0.5") == "no whole answer within timeout_s = 0.5 s"
    )


def test_other_requests_go_on() -> None:
    with Server(good(), good(), refusal(500, "oh"), good()) as server, loaded(server.url, concurrency="1") as backend:
        seen = ask(backend, 1, 2, 3)
        assert [bool(seen[id_][-1].error) for id_ in (1, 2, 3)] == [False, True, False]


def test_cancelled_in_flight_and_in_the_queue() -> None:
    with Server(good(), Reply(CUT, "hang")) as server, loaded(server.url, concurrency="1") as backend:
        for id_ in (1, 2):
            backend.submit(id_, {"prompt": "x", "max_new_tokens": 3})
        while not backend.poll(1.0):
            pass
        for id_ in (2, 1, 99):
            backend.cancel(id_)
        seen = collect(backend, 1, 2)
        assert [seen[id_][-1].error for id_ in (1, 2)] == ["cancelled", "cancelled"]
        end = time.monotonic() + 5
        while server.open and time.monotonic() < end:
            time.sleep(0.01)
        assert not server.open, "the backend hangs up"


def test_retries_are_counted_and_only_before_the_first_token() -> None:
    twice = (refusal(429, "busy", Retry_After="0"), Reply((), "close"))
    with Server(good(), *twice, good()) as server, loaded(server.url, retries="2") as backend:
        assert ids(ask(backend, 1)[1]) == [1, 2, 3]
        told = backend.describe()
        assert (told["retries"], told["retried_requests"]) == ("2", "1")
    assert "(sent 2 times)" in failed(refusal(503, "down"), retries="1")
    assert "sent" not in failed(Reply(CUT, "close"), retries="3").replace("the server", "")
    assert "HTTP 404" in failed(refusal(404, "no"), retries="3")


def test_a_server_that_restarts() -> None:
    with Server(good(), Reply(CUT, "hang"), good()) as server, loaded(server.url) as backend:
        backend.submit(1, {"prompt": "x", "max_new_tokens": 3})
        while not backend.poll(1.0):
            pass
        server.stop()
        assert "in the middle of its answer" in collect(backend, 1)[1][-1].error
        assert "no connection to the server (Connection refused)" in ask(backend, 2)[2][-1].error
        server.start()
        assert ids(ask(backend, 3)[3]) == [1, 2, 3]


def test_no_server_no_model_no_key() -> None:
    with Server(good()) as server:
        url = server.url
    with pytest.raises(BadInput, match=r"no server answers at http://127\.0\.0\.1:\d+ .*: start it, or mend url\."):
        BACKEND({"url": url}).load(None, "cpu", "")
    for reply, said in ((refusal(404, "no model"), "HTTP 404"), (Reply(CUT, "close"), "closed the connection")):
        with Server(reply) as server, pytest.raises(BadInput, match=f"cannot be measured .*{said}"), loaded(server.url):
            pass
    with Server(good(), about={"/v1/models": {"data": []}}) as server:
        with pytest.raises(BadInput, match="lists no model"), loaded(server.url):
            pass
        with loaded(server.url, model="mine") as backend:
            assert server.asked[-1]["model"] == backend.describe()["model"] == "mine"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl program to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", str(files[0]), "-keyout", str(files[1])],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


def test_tls(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Server(good(), tls=context) as server:
        with pytest.raises(BadInput, match=r"no secure connection to .*self.signed.*--option ca=FILE"):
            BACKEND({"url": server.url}).load(None, "cpu", "")
        with loaded(server.url, ca=str(certificate[0])) as backend:
            assert ids(ask(backend, 1)[1]) == [1, 2, 3]
            assert backend.describe()["tls"] == "verified"
        with loaded(server.url, insecure="true") as backend:
            assert backend.describe()["tls"] == "not verified"
        with pytest.raises(BadInput, match="no server answers"):
            BACKEND({"url": server.url.replace("https", "http")}).load(None, "cpu", "")
