"""Agreement of paths in a tree of categories, counted from the root (Kiritchenko 2005)."""

from __future__ import annotations

from itertools import takewhile

SEPARATOR = " > "


def levels(path: str) -> list[str]:
    """The names along a path."""
    return [level.strip() for level in path.split(SEPARATOR)]


def shared(found: list[str], wanted: list[str]) -> int:
    """How many levels from the root on are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(found, wanted, strict=False)))


def f1(common: float, found: float, wanted: float) -> float:
    """The harmonic mean of common levels over found ones and over wanted ones."""
    if not common:
        return 0.0
    precision, recall = common / found, common / wanted
    return 2 * precision * recall / (precision + recall)
