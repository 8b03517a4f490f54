"""BERT: start and end logits per token, answers cut out of SQuAD's paragraphs, F1 and exact match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.metrics import labels
from audit.metrics.log import responses, within
from benchmarks._metrics import spans, squad
from benchmarks._metrics.means import mean
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Score

TYPES = ("<f4", "<f2")
# The reference reads [tokens, 2], with --output_transposed [2, tokens]. Read the other way, the likeliest start and end
# are those of no span: the layout of a log is the one by which far more of them are.
PROBED, MARGIN, LONGEST = 500, 0.2, 30


def score(run: Run, data: Path | None) -> list[Score]:
    """F1 and exact match in percent over all questions; `data` holds vocab.txt and dev-v1.1.json."""
    root = labels.folder(data)
    questions = _questions(labels.find(root, "dev-v1.1.json", "*/dev-v1.1.json"))
    split = spans.splitter(_vocabulary(labels.find(root, "vocab.txt", "*/vocab.txt")))
    windows = [
        window
        for place, (question, paragraph, _) in enumerate(questions)
        for window in spans.windows(place, question, paragraph, split)
    ]
    best = _best(run, windows)
    rows = np.array(
        [
            _row(spans.answer(best.get(place), paragraph), answers)
            for place, (_, paragraph, answers) in enumerate(questions)
        ]
    )
    return [mean("exact_match", rows[:, 0], scale=100), mean("F1", rows[:, 1], scale=100)]


def _row(found: str, answers: Sequence[str]) -> tuple[float, float]:
    return squad.best(squad.exact, found, answers), squad.best(squad.f1, found, answers)


def _best(run: Run, windows: Sequence[spans.Window]) -> dict[int, spans.Span]:
    """The best span of each question over its windows; the last response of a window counts, an early window wins."""
    logits = {within(response, len(windows), "the data set"): response.data for response in responses(run)}
    kind = _type(logits, windows)
    transposed = _transposed(logits, kind)
    best: dict[int, spans.Span] = {}
    for index in sorted(logits):
        window = windows[index]
        found = spans.best_span(window, _laid(logits[index], kind, transposed=transposed))
        if found and (window.question not in best or found.score > best[window.question].score):
            best[window.question] = found
    return best


def _laid(data: bytes, kind: str, *, transposed: bool) -> np.ndarray:
    """Start and end logits of each token."""
    numbers = np.frombuffer(data, kind)
    return numbers.reshape(2, -1).T if transposed else numbers.reshape(-1, 2)


def _transposed(logits: Mapping[int, bytes], kind: str) -> bool:
    """Whether all start logits stand before all end logits."""
    some = [data for _, data in sorted(logits.items())[:PROBED]]
    straight, turned = (np.mean([_spans(_laid(data, kind, transposed=way)) for data in some]) for way in (False, True))
    return bool(turned > straight + MARGIN)


def _spans(rows: np.ndarray) -> bool:
    start, end = np.argmax(rows, axis=0)
    return bool(0 <= end - start < LONGEST)


def _type(logits: Mapping[int, bytes], windows: Sequence[spans.Window]) -> str:
    """The type with which every response has two numbers for each token of its window, and no more than 384 rows."""
    for kind in TYPES:
        row = 2 * np.dtype(kind).itemsize
        sizes = ((len(data), windows[index].length) for index, data in logits.items())
        if all(size % row == 0 and length <= size // row <= spans.LENGTH for size, length in sizes):
            return kind
    raise BadInput("the responses are no float32 start and end logits per token: is this BERT's log and data set?")


def _questions(path: Path) -> list[tuple[str, list[str], list[str]]]:
    """Question, words of its paragraph and right answers, in the order of the data set."""
    content = labels.document(path)
    try:
        return [
            (qa["question"], words, [answer["text"] for answer in qa["answers"]])
            for article in content["data"]
            for paragraph, words in _paragraphs(article)
            for qa in paragraph["qas"]
        ]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{path} is not SQuAD 1.1 ({error!r}): give dev-v1.1.json.") from error


def _paragraphs(article: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], list[str]]]:
    return [(paragraph, spans.words(paragraph["context"])) for paragraph in article["paragraphs"]]


def _vocabulary(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is no readable list of tokens ({error}): give BERT's vocab.txt.") from error
    tokens = {line.strip(): number for number, line in enumerate(lines) if line.strip()}
    if spans.UNKNOWN not in tokens:
        raise BadInput(f"{path} has no {spans.UNKNOWN}: give BERT's vocab.txt.")
    return tokens
