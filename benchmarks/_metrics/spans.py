"""Answers out of a paragraph from the logits of BERT (Devlin et al. 2018): windows of tokens, best span, its text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

LENGTH, QUESTION, STRIDE = 384, 64, 128  # tokens of a window, of a question at most, between windows
CANDIDATES, LONGEST = 20, 30  # starts and ends that are tried, tokens of an answer
BLANKS = " \t\r\n\u202f"
ABSENT = -10000.0  # logit of tokens that a response leaves out
UNKNOWN = "[UNK]"
NOTHING = "empty"  # what a question without any valid span is answered

Split = Callable[[str], list[str]]


@dataclass(frozen=True)
class Window:
    """One stretch of a paragraph as the model sees it behind its question: tokens, their words, who sees them best."""

    question: int  # place of the question in the data set
    begin: int  # position of the first of `tokens`
    tokens: Sequence[str]
    words: Sequence[int]
    central: Sequence[bool]  # no other window has more context on both sides

    @property
    def length(self) -> int:
        """Tokens of the whole window: [CLS] question [SEP] stretch [SEP]."""
        return self.begin + len(self.tokens) + 1


@dataclass(frozen=True)
class Span:
    """A possible answer: the sum of its two logits and its words."""

    score: float
    tokens: Sequence[str]
    first: int
    last: int


def splitter(vocabulary: Mapping[str, int]) -> Split:
    """BERT's uncased tokenizer of single words and texts, remembered by text."""
    tokenizer = Tokenizer(models.WordPiece(dict(vocabulary), unk_token=UNKNOWN, max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    known: dict[str, list[str]] = {}

    def split(text: str) -> list[str]:
        if text not in known:
            known[text] = tokenizer.encode(text, add_special_tokens=False).tokens
        return known[text]

    return split


def words(paragraph: str) -> list[str]:
    """The words between blanks."""
    spaced = "".join(" " if character in BLANKS else character for character in paragraph)
    return [word for word in spaced.split(" ") if word]


def windows(number: int, question: str, paragraph: Sequence[str], split: Split) -> Iterator[Window]:
    """The windows of one question in the order in which they are samples; `paragraph` are its words."""
    asked = split(question)[:QUESTION]
    pairs = [(token, index) for index, word in enumerate(paragraph) for token in split(word)]
    room = LENGTH - len(asked) - 3
    starts = _starts(len(pairs), room)
    for place, start in enumerate(starts):
        part = pairs[start : start + room]
        alone = len(starts) == 1
        central = [alone or _best(starts, len(pairs), room, start + index) == place for index in range(len(part))]
        yield Window(number, len(asked) + 2, [token for token, _ in part], [word for _, word in part], central)


def best_span(window: Window, logits: np.ndarray) -> Span | None:
    """The span with the highest sum of logits [tokens, 2]; None where no candidate is valid."""
    padded = np.full((LENGTH, 2), ABSENT)
    padded[: len(logits)] = logits
    begins, ends = (np.argsort(-padded[:, column], kind="stable")[:CANDIDATES] for column in (0, 1))
    best: Span | None = None
    for begin in begins - window.begin:
        for end in ends - window.begin:
            if _valid(window, int(begin), int(end)):
                score = float(padded[begin + window.begin, 0] + padded[end + window.begin, 1])
                if best is None or score > best.score:
                    tokens = window.tokens[begin : end + 1]
                    best = Span(score, tokens, window.words[begin], window.words[end])
    return best


def answer(span: Span | None, paragraph: Sequence[str]) -> str:
    """The text of the paragraph behind a span, without what the tokenizer splits off its words."""
    if span is None:
        return NOTHING
    pieces = " ".join(span.tokens).replace(" ##", "").replace("##", "")
    return _projected(" ".join(pieces.split()), " ".join(paragraph[span.first : span.last + 1]))


def _starts(count: int, room: int) -> list[int]:
    starts = [0] if count else []
    while starts and starts[-1] + room < count:
        starts.append(starts[-1] + min(room, STRIDE))
    return starts


def _best(starts: Sequence[int], count: int, room: int, position: int) -> int:
    """The window in which a token has most context on its poorer side; long windows win, then early ones."""
    scores = {}
    for number, start in enumerate(starts):
        length = min(room, count - start)
        if start <= position < start + length:
            scores[number] = min(position - start, start + length - 1 - position) + 0.01 * length
    return max(scores, key=lambda number: (scores[number], -number))


def _valid(window: Window, begin: int, end: int) -> bool:
    return 0 <= begin <= end < len(window.tokens) and end - begin < LONGEST and window.central[begin]


def _projected(pieces: str, original: str) -> str:
    """The part of `original` whose letters, as the tokenizer writes them, are `pieces`; all of it where they differ."""
    written = basic(original)
    start = written.find(pieces)
    ours = [place for place, character in enumerate(original) if character != " "]
    theirs = [place for place, character in enumerate(written) if character != " "]
    if start < 0 or len(ours) != len(theirs):
        return original
    end = start + len(pieces) - 1
    if start not in theirs or end not in theirs:
        return original
    return original[ours[theirs.index(start)] : ours[theirs.index(end)] + 1]


def basic(text: str) -> str:
    """Lower case without accents, punctuation and ideographs standing alone, one blank between words."""
    normal = normalizers.BertNormalizer(lowercase=True).normalize_str(text)
    parts = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normal)
    return " ".join(part for part, _ in parts)
