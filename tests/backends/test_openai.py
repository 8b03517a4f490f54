"""The openai backend against small real servers: tokens as they come, who counts them, how each kind is asked."""

from __future__ import annotations

import resource
import threading
import time
from pathlib import Path

import pytest

from loadgen_harness.backends.openai import BACKEND
from loadgen_harness.backends.openai import http as openai_http
from loadgen_harness.errors import BadInput, UnknownName
from tests.backends.asking import SECRET, ask, ids, loaded
from tests.backends.servers import (
    DONE,
    Reply,
    Server,
    event,
    good,
    stream,
    token,
    usage,
)  # fmt: skip


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment, which must be seen nowhere; and less patience after the first answer."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setattr(openai_http, "SETTLING_S", 0.02)


def test_tokens_come_as_they_are_sent() -> None:
    with Server(good(), stream(token(5), token(6), token(7, "length"), DONE, wait_s=0.01)) as server:
        with loaded(server.url) as backend:
            before = time.monotonic_ns()
            events = ask(backend, 2**63 + 1)[2**63 + 1]
            assert [each.tokens for each in events] == [(5,), (6,), (7,), ()]
            assert "".join(each.text for each in events) == "5 6 7 "
            times = [each.time_ns for each in events]
            assert before < times[0] and times == sorted(times) and times[2] - times[0] > 15_000_000
        assert server.asked[-1] == {
            "model": "m", "stream": True, "temperature": 0, "stream_options": {"include_usage": True},
            "prompt": f"p{2**63 + 1}", "max_tokens": 3,
        }  # fmt: skip


def test_several_tokens_in_one_chunk_and_comments_before() -> None:
    whole = event({"choices": [{"text": "a b", "token_ids": [4, 5], "finish_reason": "length"}]})
    with Server(good(), stream(b": keep-alive\n\n", whole, DONE, wait_s=0.02)) as server, loaded(server.url) as backend:
        events = ask(backend, 1)[1]
        assert [each.tokens for each in events] == [(4, 5), ()]


def test_a_role_is_no_first_token() -> None:
    role = event({"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
    word = event(
        {"choices": [{"delta": {"content": "Hi"}, "token_ids": [9], "finish_reason": "stop", "stop_reason": 2}]}
    )
    with Server(stream(role, word, DONE, wait_s=0.02)) as server, loaded(server.url, api="chat") as backend:
        events = ask(backend, 1)[1]
        assert [each.tokens for each in events] == [(9,), ()]
        assert server.asked[-1]["messages"] == [{"role": "user", "content": "p1"}]


def test_a_stop_token_is_no_output() -> None:
    bare = event({"choices": [{"text": "", "token_ids": [2], "finish_reason": "stop", "stop_reason": None}]})
    with Server(stream(token(5), token(6), bare, usage(3), DONE)) as server, loaded(server.url) as backend:
        assert ids(ask(backend, 1)[1]) == [5, 6]
        assert backend.describe()["usage_differs"].startswith("in 1 answers")


def test_tokens_whose_ids_nobody_tells_are_counted() -> None:
    """llama.cpp streams a character of several tokens as one piece with the last id alone."""
    timings = {"prompt_ms": 1.0, "predicted_ms": 2.0, "predicted_n": 5, "cache_n": 0}
    last = event({"choices": [{"text": "", "finish_reason": "stop"}], "timings": timings})
    with Server(good(), stream(token(5), token(7), last, DONE)) as server, loaded(server.url) as backend:
        events = ask(backend, 1, tokens=8)[1]
        assert [id for each in events for id in each.tokens] == [5, 7, -1, -1]
        assert backend.describe()["tokens_without_id"] == "2"


def test_usage_counts_where_no_ids_come() -> None:
    words = [event({"choices": [{"text": f"w{k}", "finish_reason": "stop" if k == 3 else None}]}) for k in range(4)]
    replies = stream(*words, usage(4), DONE), stream(*words, usage(6), DONE, wait_s=0.01)
    with Server(*replies) as server, loaded(server.url) as backend:
        events = ask(backend, 1, tokens=8)[1]
        assert ids(events) == [-1] * 6 and len(events[0].tokens) == 1
        assert "".join(each.text for each in events) == "w0w1w2w3"
        assert backend.describe()["tokens"] == "usage"


def test_without_ids_and_usage_nothing_can_be_counted() -> None:
    word = event({"choices": [{"text": "w", "finish_reason": "stop"}]})
    with (
        Server(stream(word, DONE)) as server,
        pytest.raises(BadInput, match="name a tokenizer file"),
        loaded(server.url),
    ):
        pass


def test_a_tokenizer_counts(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"one": 1, "two": 2, "three": 3, "?": 0}, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    words = [event({"choices": [{"text": text, "finish_reason": None}]}) for text in ("one", " two", " th", "ree")]
    ends = event({"choices": [{"text": "", "finish_reason": "length"}]})
    file, reply = str(tmp_path / "tokenizer.json"), stream(*words, ends, DONE, wait_s=0.01)
    with Server(reply) as server, loaded(server.url, tokenizer=file) as backend:
        events = ask(backend, 1)[1]
        assert ids(events) == [1, 2, 3] and events[0].tokens == (1,)
        assert backend.describe()["tokens"] == "tokenizer"


def test_thousands_in_flight_share_a_pool() -> None:
    with Server(good()) as server, loaded(server.url, concurrency="100") as backend:
        seen = ask(backend, *range(1, 1001))
        assert all(ids(events) == [1, 2, 3] for events in seen.values())
        assert int(backend.describe()["connections"].split()[0]) <= 100 + 3  # those of its questions at load
        assert backend.slots == 100


def test_the_limit_of_open_files_is_raised_where_that_is_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    try:
        with Server(good()) as server, loaded(server.url, concurrency="100"):
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (356, hard)
            with pytest.raises(BadInput, match=r"10000000256 open files are needed .*: raise `ulimit -n`"):
                BACKEND({"url": server.url, "concurrency": "10000000000"}).load(None, "cpu", "")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_connections_that_the_server_closes_are_not_used_again() -> None:
    """llama.cpp's server closes after each stream, and says the contrary."""
    closing = Reply(good().pieces, "close")
    with Server(closing) as server, loaded(server.url, concurrency="4") as backend:
        seen = ask(backend, *range(1, 41))
        assert {events[-1].error for events in seen.values()} == {""}
        assert "closed by the server" in backend.describe()["connections"]


def test_servers_are_known_and_asked_in_their_way() -> None:
    about = {"/version": {"version": "0.11.0"}, "/props": {"build_info": "b7"}, "/info": {"max_total_tokens": 9}}
    with Server(good(), owner="vllm", about=about) as server, loaded(server.url) as backend:
        told = backend.describe()
        assert (told["framework"], told["version"]) == ("vLLM", "0.11.0")
        ask(backend, 1)
        salts = [asked["cache_salt"] for asked in server.asked]
        assert len(set(salts)) == len(salts) == 2 and server.asked[0]["return_token_ids"] is True
        assert told["prefix_cache"] == "off: a cache_salt per request"
    with Server(good(), owner="llamacpp", about=about) as server, loaded(server.url) as backend:
        assert (server.asked[0]["cache_prompt"], server.asked[0]["n_probs"]) == (False, 1)
        assert backend.describe()["version"] == "b7"
    reply = stream(token(1, "length", "a"), usage(1), DONE)
    with Server(reply, about={"/info": about["/info"]}) as server, loaded(server.url) as backend:
        told = backend.describe()
        assert (told["framework"], told["tokens"]) == ("Text Generation Inference", "usage")
        assert told["prefix_cache"].startswith("unknown: the server does not say: start TGI with")


def test_old_vllm_ignores_salts() -> None:
    with (
        Server(good(), owner="vllm", about={"/version": {"version": "0.8.2"}}) as server,
        loaded(server.url) as backend,
    ):
        assert backend.describe()["prefix_cache"].startswith("unknown: vLLM 0.8.2 does not know cache_salt")


def test_a_cache_that_is_on_is_refused() -> None:
    reply = stream(token(1, "length"), usage(1, cached=8), DONE)
    for off, said in ((True, "off: the server's --disable-radix-cache"), (False, "on: used for 1 answers")):
        about = {"/get_server_info": {"version": "0.5", "disable_radix_cache": off}}
        with Server(stream(token(1, "length"), usage(1), DONE), reply, owner="sglang", about=about) as server:
            if off:
                with loaded(server.url) as backend:
                    assert backend.describe()["prefix_cache"] == said
                continue
            with pytest.raises(BadInput, match="SGLang reuses prompts"), loaded(server.url):
                pass
            with loaded(server.url, prefix_cache="allow") as backend:
                assert not ask(backend, 1)[1][-1].error
                assert backend.describe()["prefix_cache"] == said


def test_a_server_that_counts_no_cached_tokens_has_its_cache_off() -> None:
    reply = stream(token(1, "length"), usage(1, cached=0), DONE)
    with Server(reply) as server, loaded(server.url) as backend:
        ask(backend, 1)
        assert backend.describe()["prefix_cache"] == "off: the server counted no cached token in any answer"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs the server's address"),
        ({"url": "ftp://x"}, "must look like"),
        ({"url": "http://me:pw@x"}, "must not hold a password"),
        ({"url": "http://x:port"}, "is no URL"),
        ({"url": "http://x", "concurrency": "0"}, "concurrency"),
        ({"url": "http://x", "retries": "-1"}, "must not be negative"),
        ({"url": "http://x", "api_key": SECRET}, "takes no key as an option"),
        ({"url": "http://x", "token": SECRET}, "takes no key as an option"),
        ({"url": "http://x", "api_key_env": SECRET}, "names no environment variable"),
        ({"url": "http://x", "api_key_env": "hf_secret"}, "names no environment variable"),
        ({"url": "http://x", "nonsense": "1"}, "no option 'nonsense'"),
    ],
)
def test_bad_options(options: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        BACKEND(options)
    assert SECRET not in str(caught.value) and "hf_secret" not in str(caught.value) and "pw" not in str(caught.value)


def test_options_that_need_a_server() -> None:
    bad = [({"extra": "{"}, "is no JSON"), ({"extra": "[]"}, "JSON object"), ({"extra": '{"prompt": 1}'}, "set prompt")]
    bad += [({"tokens": "tokenizer"}, "tokenizer=FILE"), ({"tokenizer": "/none"}, "not there"), ({"ca": "/none"}, "")]
    with Server(good()) as server:
        for options, said in bad[:-1]:
            with pytest.raises(BadInput, match=said), loaded(server.url, **options):
                pass
        for name in ({"server": "apache"}, {"api": "rest"}, {"tokens": "guess"}, {"prefix_cache": "maybe"}):
            with pytest.raises(UnknownName), loaded(server.url, **name):
                pass
        with loaded(server.url, extra='{"temperature": 0.5, "top_k": 4}'):
            assert (server.asked[-1]["temperature"], server.asked[-1]["top_k"]) == (0.5, 4)
    with pytest.raises(BadInput, match="no file of certificates"), loaded("https://127.0.0.1:1", ca="/none"):
        pass


def test_a_key_that_no_header_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a\r\nX-Evil: 1")
    with pytest.raises(BadInput, match="no header takes") as caught:
        BACKEND({"url": "http://x"})
    assert "Evil" not in str(caught.value)


def test_nothing_is_left_behind() -> None:
    before = threading.active_count()
    with Server(good()) as server, loaded(server.url):
        assert threading.active_count() > before + 1
    assert threading.active_count() == before
