"""The simulator as one executable file, which is how the official power server starts a PTDaemon."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import power


@contextmanager
def program(options: Sequence[str] = ()) -> Iterator[Path]:
    """A program with these options of the simulator's own before those of PTDaemon; it is gone afterwards."""
    root = Path(power.__file__).parents[1]
    command = shlex.join([sys.executable, "-m", "power.simulator", *options])
    with tempfile.TemporaryDirectory(prefix="lgh-") as folder:
        path = Path(folder) / "ptd-simulator"
        path.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(root))} exec {command} "$@"\n', encoding="utf-8")
        path.chmod(0o700)
        yield path
