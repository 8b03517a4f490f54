"""Findings as text for people and for programs: pure functions from what was audited to the text of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from audit.audited import Audited
from audit.formats import junit, listing, sarif, text

Writer = Callable[[Sequence[Audited], Path], str]

WRITERS: Mapping[str, Writer] = {
    "text": lambda audits, base: text.plain(audits),
    "json": lambda audits, base: listing.write(audits),
    "sarif": sarif.write,
    "junit": lambda audits, base: junit.write(audits),
}


def write(name: str, audits: Sequence[Audited], base: Path) -> str:
    """The findings in the format called `name`; `base` is the folder that SARIF's relative locations start from."""
    return WRITERS[name](audits, base)
