"""Whether the power files of a finished run still are what the run wrote: run.json has a digest of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from power.events import FILE as EVENTS
from power.fault import Fault

FOLDER = "power/"
SHARED = (f"{FOLDER}meters.json", f"{FOLDER}{EVENTS}")  # what tells of every meter
FIX = "restore the file or repeat the run: what was measured may not be edited"


def check(folder: Path, file: str, digests: Any) -> Iterator[Fault]:
    """A Fault for each file behind the samples in `file` that is not what run.json says; none without digests."""
    told: Mapping[str, Any] = digests if isinstance(digests, dict) else {}
    complete = any(name.startswith(FOLDER) for name in told)  # else the run had no meter, or somebody else wrote it
    own = file.startswith(FOLDER)
    for name in (file, *SHARED) if own else (file,):
        found = _found(folder / name, told.get(name), strict=complete and own)
        if found:
            yield Fault(name, "sha256", found, "the file as the run wrote it", FIX)


def _found(path: Path, digest: Any, *, strict: bool) -> str:
    """What sets a file apart from its digest, empty where nothing does; a strict list names every file that exists."""
    if digest is None:
        return "is not among the digests in run.json" if strict and path.exists() else ""
    try:
        with path.open("rb") as opened:
            same = hashlib.file_digest(opened, "sha256").hexdigest() == digest
    except OSError as error:
        return f"has a digest in run.json but cannot be read: {error.strerror or error}"
    return "" if same else "differs from the digest in run.json"
