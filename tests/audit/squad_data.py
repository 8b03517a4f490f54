"""A small SQuAD: made-up paragraphs, questions whose answers stand in them, logits that mostly find them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks._metrics import spans
from loadgen_harness.run import Run
from tests.audit import logs

TEXT = """the a an river Rhône flows (north) from Zürich's old town, U.S. states 1,234 people; café naïve
re-elected co-operate mountain valley king queen bishop castle market winter summer 1895-1943 London Paris Rome won
lost began ended near far"""
WORDS = TEXT.split()
PIECES = ("##s", "##ing", "##ed", "##er", "##ly", "##e", "##n")


def vocabulary() -> list[str]:
    """Special tokens, letters and their continuations, some whole words."""
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    whole = sorted({part for word in WORDS for part in spans.basic(word).split()})
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), *PIECES]
    return list(dict.fromkeys([*tokens, *whole[::2]]))


def make(folder: Path, paragraphs: int = 4, seed: int = 11) -> tuple[Run, int]:
    """The data set, its vocabulary and a log in `folder`; the run and its number of samples."""
    random = np.random.default_rng(seed)
    names = vocabulary()
    (folder / "vocab.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    articles = [_paragraph(random, number) for number in range(paragraphs)]
    content = {"version": "1.1", "data": [{"title": "made up", "paragraphs": articles}]}
    (folder / "dev-v1.1.json").write_text(json.dumps(content), encoding="utf-8")
    split = spans.splitter({name: number for number, name in enumerate(names)})
    responses: list[tuple[int, bytes]] = []
    for article in articles:
        words = spans.words(article["context"])
        for question in article["qas"]:
            wanted = question["answers"][0]["text"].split()
            for window in spans.windows(0, question["question"], words, split):
                responses.append((len(responses), _logits(random, window, words, wanted)))
    order = random.permutation(len(responses)).tolist()
    return logs.write(folder / "run", [responses[place] for place in order]), len(responses)


def turned(run: Run, folder: Path) -> Run:
    """The same logits with all starts before all ends, as a log in another folder."""
    rows = ((each.qsl_idx, np.frombuffer(each.data, "<f4").reshape(-1, 2)) for each in run.response_entries)
    return logs.write(folder, [(index, each.T.tobytes()) for index, each in rows])


def _paragraph(random: np.random.Generator, number: int) -> dict[str, object]:
    words = random.choice(WORDS, 60 + 200 * (number % 3)).tolist()
    questions = []
    for place in range(4):
        start = int(random.integers(0, len(words) - 5))
        text = " ".join(words[start : start + int(random.integers(1, 5))])
        asked = " ".join(random.choice(WORDS, 30 if place else 90))
        questions.append(
            {"id": f"{number}-{place}", "question": asked + "?", "answers": [{"text": text, "answer_start": 0}]}
        )
    return {"context": "  ".join(words) + "\n", "qas": questions}


def _logits(random: np.random.Generator, window: spans.Window, words: list[str], wanted: list[str]) -> bytes:
    """Noise, with peaks at the first and last token of the answer where the window holds it, mostly."""
    logits = random.normal(0, 1, (spans.LENGTH, 2))
    first = next((n for n in range(len(words)) if words[n : n + len(wanted)] == wanted), 0)
    places = [n for n, word in enumerate(window.words) if first <= word < first + len(wanted)]
    if places and random.random() < 0.8:
        logits[window.begin + places[0], 0] += 6
        logits[window.begin + places[-1], 1] += 6
    return logits.astype("<f4").tobytes()
