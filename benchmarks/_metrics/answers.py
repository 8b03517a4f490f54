"""What a generated text answers to a question with a plain key, as the evaluators of MLPerf's tasks read it."""

from __future__ import annotations

import re
from functools import cache

_BOXED = re.compile(r"\\boxed{\s*(\d+)\s*}")
_STATED = re.compile(r"Answer:\s*(\d+)(?!\.)\b", re.IGNORECASE)
_FINAL = re.compile(r"<\|channel\|>final[^<]*<\|message\|>(.*?)(?:<\|return\|>|$)", re.DOTALL)
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_NUMBERS = re.compile(r"-?[\d,]*\.?\d+")
DELIMITER = "The answer is"
LARGEST_AIME = 999


def letter(text: str, last: str) -> str:
    """The letter A to `last` that a text ends up with, empty for none."""
    plain = _unescaped(_unlisted(text.strip()))
    return _announced(plain, last) or (_standing(plain, last) if last == "J" else "")


def harmony_letter(text: str, last: str) -> str:
    """The same of a text in OpenAI's harmony format, whose final channel alone answers."""
    text = text.strip()
    final = _unescaped(_unlisted(_BOLD.sub(r"\1", _final(text))))
    first = re.match(rf"[^a-zA-Z]*([A-{last}])(?:[^a-zA-Z]|$)", final.strip(), re.IGNORECASE)
    told = first or re.search(rf"\bAnswer\s*[:.]?\s*([A-{last}])\b", final, re.IGNORECASE)
    if told:
        return told[1].upper()
    return _announced(_unescaped(text), last) or (_standing(final, last) if last == "J" else "")


def competition_number(text: str) -> int | None:
    """The whole number up to 999 that a text answers to a question of the AIME; None for none."""
    found = _BOXED.findall(text) or _STATED.findall(text)
    number = int(found[-1]) if found else -1
    return number if 0 <= number <= LARGEST_AIME else None


def school_number(text: str) -> float | None:
    """The number that a text answers to a question of GSM8K; None for none."""
    text = text.split("\nQ:")[0]
    told = _NUMBERS.findall(text.split(DELIMITER)[-1]) if DELIMITER in text else []
    anywhere = _NUMBERS.findall(text)
    chosen = told[0] if told else anywhere[-1] if anywhere else ""
    return number(chosen.replace(",", ""))


def number(text: str) -> float | None:
    """A number as written, None where it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def _final(text: str) -> str:
    found = _FINAL.search(text)
    return found[1].strip() if found else text


def _unlisted(text: str) -> str:
    """Without the signs of a printed list of one string."""
    listed = text.startswith(("['", '["')) and text.endswith(("']", '"]'))
    return text[2:-2].strip() if listed else text


def _unescaped(text: str) -> str:
    return text.replace(r"\n", "\n").replace(r"\'", "'")


def _announced(text: str, last: str) -> str:
    found = _announcement(last).findall(text)
    return found[-1].upper() if found else ""


@cache
def _announcement(last: str) -> re.Pattern[str]:
    """`Answer`, perhaps a sign, the letter, perhaps in brackets, and no further letter."""
    return re.compile(rf"\b(?:FINAL\s*)?ANSWER\b\s*[:=]?\s*\(?\s*([A-{last}])\s*\)?(?:\s*$|[^A-Za-z])", re.IGNORECASE)


def _standing(text: str, last: str) -> str:
    found = re.findall(rf"\b([A-{last}])\b", text, re.IGNORECASE)
    return str(found[-1]).upper() if found else ""
