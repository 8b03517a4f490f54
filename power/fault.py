"""One thing wrong with a power measurement."""

from __future__ import annotations

from dataclasses import dataclass

AGAIN = "repeat the run with power measurement"


@dataclass(frozen=True)
class Fault:
    """Where, what was found, what was wanted, what to do; `forbids` is False where the figure stands nevertheless."""

    file: str
    key: str
    found: str
    wanted: str
    fix: str
    forbids: bool = True
