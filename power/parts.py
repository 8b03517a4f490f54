"""Which part of a machine lies inside which: slash paths, so that a sum of meters counts no watt twice."""

from __future__ import annotations

from collections.abc import Iterable

WALL, NODE, PLATFORM = "wall", "node", "platform"
INSIDE_PLATFORM = ("cpu", "memory")
SCOPES = ("wall", "node", "platform", "board", "package", "memory", "core")  # the widest first
OF_SCOPE = {  # what a meter of meters.json's format 1 covered: it named a scope alone
    "wall": "wall",
    "node": "node",
    "platform": "platform",
    "board": "gpu",
    "package": "cpu",
    "memory": "memory",
    "core": "cpu",
}


def covers(part: str, other: str) -> bool:
    """Whether the watts of `other` are inside those of `part`."""
    if part in (WALL, other) or other.startswith(f"{part}/"):
        return True
    if part == NODE:
        return other != WALL
    return part == PLATFORM and other.split("/")[0] in INSIDE_PLATFORM


def overlap(parts: Iterable[str], others: Iterable[str]) -> bool:
    """Whether any part of the one lies inside, or around, any of the other."""
    theirs = tuple(others)
    return any(covers(mine, other) or covers(other, mine) for mine in parts for other in theirs)


def width(scope: str) -> int:
    """0 for the widest scope; a scope that nobody knows is the narrowest."""
    return SCOPES.index(scope) if scope in SCOPES else len(SCOPES)
