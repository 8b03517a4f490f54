"""Whisper: letters as numbers in the reference's alphabet, compared with the transcripts of the manifest by words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from audit.metrics import labels
from audit.metrics.log import responses, within
from benchmarks._metrics.errors_in_words import word_errors
from benchmarks._metrics.integers import LETTERS, integers
from benchmarks._metrics.means import ratio
from benchmarks._metrics.speech_text import normalizer
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Score

ALPHABET = " abcdefghijklmnopqrstuvwxyz'0123456789$%+-"
LONGEST_S = 30.0
MANIFESTS = ("dev-all-repack.json", "*/dev-all-repack.json", "*repack*.json")


def score(run: Run, data: Path | None) -> list[Score]:
    """100 less the word error rate in percent; every response counts. `data` is the manifest dev-all-repack.json."""
    path = labels.find(data, *MANIFESTS)
    wanted = _transcripts(path)
    found = [(within(response, len(wanted), str(path)), response.data) for response in responses(run)]
    letters = integers([part for _, part in found], LETTERS, largest=len(ALPHABET) - 1)
    normal = normalizer()
    rows = np.array(
        [
            _errors(normal("".join(ALPHABET[letter] for letter in part)).split(), normal(wanted[index]).split())
            for (index, _), part in zip(found, letters, strict=True)
        ]
    )
    return [_accuracy(ratio("ACCURACY", rows[:, 0], rows[:, 1], scale=100))]


def _errors(ours: list[str], theirs: list[str]) -> tuple[int, int]:
    return word_errors(ours, theirs), len(theirs)


def _accuracy(wrong: Score) -> Score:
    """What is left of 100 %."""
    return Score(wrong.metric, 100 - wrong.value, 100 - wrong.high, 100 - wrong.low, wrong.n, wrong.method)


def _transcripts(path: Path) -> list[str]:
    """The transcripts of clips up to 30 s in the manifest's order, in the reference's alphabet."""
    rows = labels.records(path, ("transcript", "original_duration"))
    return [_spelled(row["transcript"]) for row in rows if _short(row["original_duration"], path)]


def _short(duration: Any, path: Path) -> bool:
    if not isinstance(duration, int | float):
        raise BadInput(f"{path} states the duration {duration!r}: give the manifest that the reference's tools make.")
    return duration <= LONGEST_S


def _spelled(transcript: Iterable[str]) -> str:
    return "".join(letter for letter in transcript if letter in ALPHABET)
