"""Exact matches in percent of long-context tasks, as MLPerf's Llama 3.1 405B takes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

UUID = re.compile(r"\w{8}-\w{4}-\w{4}-\w{4}-\w{12}")
PREFIX = "Answer: "


def needles(wanted: str, found: str) -> float:
    """Identifiers hidden in a text: the mean share of characters of each wanted one that the found one holds."""
    theirs, ours = UUID.findall(wanted), UUID.findall(found)
    if not ours:
        return 0.0
    pairs = zip(ours, theirs, strict=False)
    shares = [sum(letter.lower() in one.lower() for letter in other) / len(other) for one, other in pairs]
    return round(100 * sum(shares) / len(ours), 2)


def answer(wanted: str, found: str) -> float:
    """100 where the last stated answer stands in the key, or one of the key's alternatives stands in the answer."""
    told = found[found.rfind(PREFIX) + len(PREFIX) :] if PREFIX in found else found
    plain = _plain(told)
    return 100.0 if told in wanted or any(_plain(each) in plain for each in wanted.split("|")) else 0.0


def _plain(text: str) -> str:
    return "".join(text.split()).lower()


WAYS: Mapping[str, Callable[[str, str], float]] = {"niah_em": needles, "qa_em": answer}
