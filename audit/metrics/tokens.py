"""Responses of token ids as text, through the tokenizer files of the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from audit.metrics import labels
from audit.metrics.log import within
from benchmarks._metrics.integers import TOKENS, integers
from loadgen_harness.accuracy_log import Response
from loadgen_harness.errors import BadInput

TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"
# What transformers takes out of decoded text where tokenizer_config.json says clean_up_tokenization_spaces.
SPACES = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


@dataclass(frozen=True)
class Answer:
    """A response: its sample, its text without special tokens, how many tokens it had."""

    index: int
    text: str
    tokens: int


def answers(found: Iterable[Response], rows: Sequence[Any], root: Path, *, special: bool = False) -> list[Answer]:
    """The texts of responses in the log's order; `root` holds tokenizer.json. Special tokens stay where `special`."""
    entries = [(within(response, len(rows), str(root)), response.data) for response in found]
    ids = integers([data for _, data in entries], TOKENS)
    tokenizer = _tokenizer(labels.find(root, TOKENIZER, f"*/{TOKENIZER}"))
    texts = tokenizer.decode_batch([each.tolist() for each in ids], skip_special_tokens=not special)
    if _cleans(root):
        texts = [_cleaned(text) for text in texts]
    return [Answer(index, text, len(each)) for (index, _), text, each in zip(entries, texts, ids, strict=True)]


def _tokenizer(path: Path) -> Any:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises nothing more special than Exception
        raise BadInput(f"{path} is no tokenizer file ({error}): fetch the model's own.") from error


def _cleans(root: Path) -> bool:
    places = [place for place in (root / CONFIG, *root.glob(f"*/{CONFIG}")) if place.is_file()]
    config = labels.document(places[0]) if places else {}
    return isinstance(config, dict) and bool(config.get("clean_up_tokenization_spaces"))


def _cleaned(text: str) -> str:
    for written in SPACES:
        text = text.replace(written, written.strip())
    return text
