"""Accuracy logs of token ids: ROUGE, exact matches, answers to questions, and what the official evaluators must say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audit import metrics
from audit.metrics import labels
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from tests.audit import logs
from tests.audit.test_metrics import values


def chat(folder: Path, dtype: str) -> tuple[Run, Path]:
    """Twelve prompts with answers in token ids."""
    wanted, made = logs.texts(12), logs.tokenizer(folder)
    logs.lines(folder / "open_orca.jsonl", ({"output": text} for text in wanted))
    answers = logs.generated(wanted, made, dtype)
    return logs.write(folder / "run", enumerate(answers)), folder


def test_token_ids_of_either_width_give_the_same_texts(tmp_path: Path) -> None:
    pytest.importorskip("rouge_score")
    wide, narrow, real = (chat(tmp_path / name, name) for name in ("<i8", "<i4", "<f4"))
    first = values(metrics.score_log("llama2-70b-99.9", *wide))
    assert first == values(metrics.score_log("llama2-70b", *narrow)) == values(metrics.score_log("llama2-70b", *real))
    assert list(first) == ["ROUGE1", "ROUGE2", "ROUGEL", "TOKENS_PER_SAMPLE"] and 50 < first["ROUGE1"] < 100


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    run, folder = chat(tmp_path, "<i4")
    (folder / "open_orca.jsonl").rename(folder / "data.jsonl.pkl")
    with pytest.raises(BadInput, match=r"holds no open_orca\*\.jsonl or \*\.jsonl"):
        metrics.score_log("llama2-70b-99", run, folder)
    with pytest.raises(BadInput, match="may run code when it is opened"):
        labels.records(folder / "data.jsonl.pkl", ("output",))


def test_long_context_scores_each_part_by_its_own_metric(tmp_path: Path) -> None:
    pytest.importorskip("rouge_score")
    made = logs.tokenizer(tmp_path)
    needle = "0f0e0d0c-1111-2222-3333-444455556666"
    rows = [
        {"gt_output": needle, "metric": "niah_em"},
        {"gt_output": "Paris|City of Light", "metric": "qa_em"},
        {"gt_output": "London", "metric": "qa_em"},
    ]
    logs.lines(tmp_path / "mlperf_llama3.1_405b.jsonl", rows)
    told = [f"It is {needle}.", "I think. Answer: the city of light", "Answer: Rome"]
    run = logs.write(
        tmp_path / "run", ((n, np.array(made.encode(text).ids, "<i8").tobytes()) for n, text in enumerate(told))
    )
    (tmp_path / "nltk_data").mkdir()
    nltk = pytest.importorskip("nltk")
    try:
        nltk.data.find("tokenizers/punkt_tab/english/")
    except LookupError:
        with pytest.raises(BadInput, match="punkt_tab"):
            metrics.score_log("llama3.1-405b", run, tmp_path)
        return
    assert values(metrics.score_log("llama3.1-405b", run, tmp_path))["exact_match"] == pytest.approx(200 / 3)


def mixture(folder: Path) -> tuple[Run, list[str]]:
    """Two chats, three school questions and a program of mixtral-8x7b, one sample sent twice."""
    made = logs.tokenizer(folder)
    wanted = [*logs.texts(2), "5600", "7", "-3.5"]
    rows = [{"dataset": "OpenOrca" if n < 2 else "GSM8K", "gt_output": text} for n, text in enumerate(wanted)]
    logs.lines(folder / "mixtral_set.jsonl", [*rows, {"dataset": "MBXP", "gt_output": "assert f(1)"}])
    told = [*logs.texts(2, seed=9), "The answer is 5,600.", "no idea, 8 or 9", "so it is -3.5\nQ: 12", "def f(x): pass"]
    answers = [np.array(made.encode(text).ids, "<i4").tobytes() for text in told]
    return logs.write(folder / "run", [*enumerate(answers), (2, answers[3])]), wanted


def test_a_mixture_is_scored_by_parts(tmp_path: Path) -> None:
    pytest.importorskip("rouge_score")
    run, _ = mixture(tmp_path)
    with pytest.raises(BadInput, match=r"1 samples are programs of MBXP.*evaluate_mbxp\.py"):
        metrics.score_log("mixtral-8x7b", run, tmp_path)
    (tmp_path / "verdicts.json").write_text('{"5": true}')
    found = values(metrics.score_log("mixtral-8x7b", run, tmp_path / "mixtral_set.jsonl"))
    assert found["gsm8k_accuracy"] == pytest.approx(200 / 3) and found["mbxp_accuracy"] == 100
    assert 0 < found["ROUGE2"] < found["ROUGE1"] <= 100


def reasoning(folder: Path, rows: list[dict[str, str]], told: list[str]) -> Run:
    """Answers of a reasoning benchmark to rows of its data set."""
    made = logs.tokenizer(folder)
    logs.lines(folder / "rows.jsonl", rows)
    return logs.write(
        folder / "run", ((n, np.array(made.encode(text).ids, "<i4").tobytes()) for n, text in enumerate(told))
    )


def test_reasoning_with_a_plain_key(tmp_path: Path) -> None:
    rows = [
        {"dataset": "gpqa", "ground_truth": "b"},
        {"dataset": "mmlu_pro", "ground_truth": "J"},
        {"dataset": "aime1983", "ground_truth": "042"},
        {"dataset": "gpqa", "ground_truth": "A"},
    ]
    told = ["... FINAL ANSWER: (B)", "so it must be J", r"thus \boxed{42}", "ANSWER: C"]
    found = values(metrics.score_log("deepseek-r1", reasoning(tmp_path, rows, told), tmp_path))
    assert found["exact_match"] == 75 and found["TOKENS_PER_SAMPLE"] > 1


def test_repetitions_of_a_question_count_as_one(tmp_path: Path) -> None:
    final = "<|channel|>analysis<|message|>Answer: A <|channel|>final<|message|>**{}**<|return|>"
    rows = [{"dataset": "gpqa_diamond", "ground_truth": "B"}] * 5 + [{"dataset": "aime25", "ground_truth": "7"}] * 8
    told = [final.format("B")] * 4 + [final.format("C")] + [r"\boxed{7}"] * 2 + [r"\boxed{8}"] * 6
    found = values(metrics.score_log("gpt-oss-120b", reasoning(tmp_path, rows, told), tmp_path))
    assert found["exact_match"] == pytest.approx(100 * (4 / 5 + 2 / 8) / 2)


def test_programs_are_left_to_the_official_evaluator(tmp_path: Path) -> None:
    rows = [{"dataset": "livecodebench_v6", "ground_truth": "abc"}, {"dataset": "gpqa_diamond", "ground_truth": "D"}]
    run = reasoning(tmp_path, rows, ["```python\nprint()\n```", "Answer: D"])
    with pytest.raises(BadInput, match=r"eval_accuracy\.py of language/gpt-oss-120b"):
        metrics.score_log("gpt-oss-120b", run, tmp_path)
    (tmp_path / "verdicts.json").write_text('{"0": "yes"}')
    with pytest.raises(BadInput, match="neither true nor false of sample 0"):
        metrics.score_log("gpt-oss-120b", run, tmp_path)
    (tmp_path / "verdicts.json").write_text('{"0": false}')
    assert values(metrics.score_log("gpt-oss-120b", run, tmp_path))["exact_match"] == pytest.approx(
        100 * (1 / 5) / (1 / 3 + 1 / 5)
    )
