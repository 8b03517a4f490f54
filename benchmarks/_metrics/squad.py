"""F1 and exact match of short answers, as the Stanford Question Answering Dataset defines them (Rajpurkar 2016)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(answer: str) -> list[str]:
    """Lower-case words without punctuation and articles."""
    return _ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split()


def exact(found: str, wanted: str) -> float:
    """1 where both answers have the same words in the same order."""
    return float(words(found) == words(wanted))


def f1(found: str, wanted: str) -> float:
    """The harmonic mean of precision and recall of words, their order not counted."""
    ours, theirs = words(found), words(wanted)
    same = sum((Counter(ours) & Counter(theirs)).values())
    if not same:
        return 0.0
    precision, recall = same / len(ours), same / len(theirs)
    return 2 * precision * recall / (precision + recall)


def best(metric: Callable[[str, str], float], found: str, answers: Sequence[str]) -> float:
    """The metric against the answer that suits best."""
    return max((metric(found, answer) for answer in answers), default=0.0)
