"""Small files laid out like the kernel's, and a clock that a test turns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def write(root: Path, files: Mapping[str, object]) -> Path:
    """Make or overwrite each file below `root`, ending in a newline as the kernel's do."""
    for path, value in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return root


class HandClock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        """Begin somewhere."""
        self.now = 100.0

    def __call__(self) -> float:
        """The time; what asks twice sees it pass a little, as real code does."""
        self.now += 1e-3
        return self.now


@contextmanager
def nobody() -> Iterator[None]:
    """Without root's right to read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
