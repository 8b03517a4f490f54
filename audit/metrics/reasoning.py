"""Reasoning benchmarks: questions with a plain key are judged here, programs and formulas by the official evaluator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.metrics import labels
from audit.metrics.log import first_responses, responses
from audit.metrics.texts import tokens_per_sample
from audit.metrics.tokens import Answer, answers
from benchmarks._metrics.answers import competition_number, harmony_letter, letter
from benchmarks._metrics.means import proportion, ratio
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Score

Judge = Callable[[str, str], bool]

ROWS = ("*.jsonl", "*.json")
REPEATS = {"aime25": 8, "gpqa_diamond": 5, "livecodebench_v6": 3}  # samples per question of gpt-oss-120b
OTHERS = "need a program run or a formula compared, which eval_accuracy.py of language/{} in mlcommons/inference does"


def _choice(read: Callable[[str, str], str], last: str) -> Judge:
    def judge(text: str, wanted: str) -> bool:
        return bool(wanted) and read(text, last) == wanted.upper()

    return judge


def _competition(text: str, wanted: str) -> bool:
    told = competition_number(text)
    return told is not None and wanted.strip().lstrip("+-").isdecimal() and told == int(wanted)


# parts of a data set's name -> how it is judged; None: not here
DEEPSEEK: Mapping[str, Judge | None] = {
    "gpqa": _choice(letter, "D"),
    "mmlu_pro": _choice(letter, "J"),
    "math500": None,
    "aime": _competition,
    "livecodebench": None,
}
GPT_OSS: Mapping[str, Judge | None] = {
    **DEEPSEEK,
    "gpqa": _choice(harmony_letter, "D"),
    "mmlu_pro": _choice(harmony_letter, "J"),
}


def deepseek(run: Run, data: Path | None) -> list[Score]:
    """Exact match in percent over all questions and mean tokens of deepseek-r1."""
    found, rows = _answers(run, data, repeated=False)
    right = _right(found, rows, DEEPSEEK, (data, "deepseek-r1"))
    return [proportion("exact_match", int(right.sum()), len(right), scale=100), tokens_per_sample(found)]


def gpt_oss(run: Run, data: Path | None) -> list[Score]:
    """Exact match in percent of gpt-oss-120b, each question's repetitions counting as one, and mean tokens."""
    found, rows = _answers(run, data, repeated=True)
    right = _right(found, rows, GPT_OSS, (data, "gpt-oss-120b"))
    weights = np.array([1 / REPEATS.get(_set(rows[answer.index]), 1) for answer in found])
    return [ratio("exact_match", right * weights, weights, scale=100), tokens_per_sample(found)]


def _answers(run: Run, data: Path | None, *, repeated: bool) -> tuple[list[Answer], list[Mapping[str, Any]]]:
    """Answers and rows; gpt-oss counts every response and reads its channels from the special tokens."""
    root = labels.folder(data)
    rows = labels.records(data if data and data.is_file() else _rows_file(root), ("dataset",))
    found = responses(run) if repeated else first_responses(run)
    return answers(found, rows, root, special=repeated), rows


def _rows_file(root: Path) -> Path:
    """The data set among the JSON files of a folder: JSON lines first, never the tokenizer's or the verdicts."""
    taken = ("tokenizer", "special_tokens", "config", "generation_config", labels.VERDICTS)
    named = [path for pattern in ROWS for path in sorted(root.glob(pattern)) if not path.name.startswith(taken)]
    if not named:
        raise BadInput(f"{root} holds no data set as JSON lines: give it there, see docs/audit.md.")
    return named[0]


def _right(
    found: Sequence[Answer],
    rows: Sequence[Mapping[str, Any]],
    judges: Mapping[str, Judge | None],
    source: tuple[Path | None, str],
) -> np.ndarray:
    """1 for every right answer; `source` is the data and the folder of the official evaluator."""
    chosen = [_judge(_set(rows[answer.index]), judges) for answer in found]
    data, task = source
    foreign = [answer.index for answer, judge in zip(found, chosen, strict=True) if judge is None]
    verdicts = labels.verdicts(data, foreign, OTHERS.format(task))
    values = [
        judge(answer.text, _key(rows[answer.index])) if judge else verdicts[answer.index]
        for answer, judge in zip(found, chosen, strict=True)
    ]
    return np.array(values, float)


def _judge(name: str, judges: Mapping[str, Judge | None]) -> Judge | None:
    for part, judge in judges.items():
        if part in name:
            return judge
    raise BadInput(f"the data set {name!r} is not one of {', '.join(judges)}: give the benchmark's own data.")


def _set(row: Mapping[str, Any]) -> str:
    return str(row["dataset"]).lower()


def _key(row: Mapping[str, Any]) -> str:
    found = row.get("ground_truth", row.get("gt_output"))
    return "" if found is None else str(found)
