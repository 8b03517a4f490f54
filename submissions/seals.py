"""Whole logs are copied into the sealed backup all together or not at all, and only where there is room for them."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadgen_harness import durable
from loadgen_harness.errors import FULL, BadInput, refused

READ_ONLY = 0o444
BLOCK = 1 << 12  # bytes that a file may take beyond its own


@dataclass(frozen=True)
class Whole:
    """A log that is to be sealed, and its digest."""

    log: Path
    sha256: str


@contextmanager
def sealed(wanted: Mapping[Path, Whole], backup: Path, tree: Path) -> Iterator[None]:
    """Read-only copies by their place in the backup, their digests read back; one that is there must be the same log.

    What goes wrong before this closes takes the new copies back, as long as `tree`, whose logs they are, is there.
    Raises BadInput where there is no room, and where the backup holds another log.
    """
    new = {place: whole for place, whole in wanted.items() if not _there(place, whole)}
    _refuse_full(new, backup)
    made: list[Path] = []
    try:
        for place, whole in new.items():
            try:
                _copy(place, whole, made)
            except OSError as error:
                if error.errno in FULL:
                    raise _full(new, backup) from error
                raise refused(error, backup) from error
        yield
    except BaseException:
        if tree.exists():
            _undo(made)
        raise


def _there(place: Path, whole: Whole) -> bool:
    """Whether a copy is there already."""
    if not place.exists():
        return False
    if digest(place) != whole.sha256:
        raise BadInput(f"the backup {place} holds another log: choose an empty backup folder.")
    return True


def _copy(place: Path, whole: Whole, made: list[Path]) -> None:
    """Add one copy; folders and file are noted in the order in which they are made."""
    for folder in reversed(place.parents):
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            made.append(folder)
    partial = place.with_name(f"{place.name}.partial")
    try:
        shutil.copyfile(whole.log, partial)
        if digest(partial) != whole.sha256:
            raise BadInput(f"the copy of {whole.log} in {place.parent} differs from it: check the disk and try again.")
        partial.chmod(READ_ONLY)
        durable.flush(partial)
        durable.move(partial, place)
        made.append(place)
    finally:
        partial.unlink(missing_ok=True)


def _undo(made: list[Path]) -> None:
    """Take back what was made, the last first; a folder stays where somebody else has put something into it."""
    for path in reversed(made):
        if not path.is_dir():
            path.unlink(missing_ok=True)
        elif not any(path.iterdir()):
            path.rmdir()


def _refuse_full(new: Mapping[Path, Whole], backup: Path) -> None:
    """Raise BadInput where the copies have no room, before the first is made."""
    if new and _needed(new) > durable.room(_ground(backup)):
        raise _full(new, backup)


def _full(new: Mapping[Path, Whole], backup: Path) -> BadInput:
    """How much the copies need, and how much of it is lacking; where a quota says no, nobody knows that."""
    needed, free = _needed(new), durable.room(_ground(backup))
    logs = "1 whole accuracy log" if len(new) == 1 else f"{len(new)} whole accuracy logs"
    lacking = f"free {_mb(needed - free)} more" if needed > free else "free as much, or raise the limit that forbids it"
    return BadInput(
        f"the backup {backup} has no room for {logs} ({_mb(needed)}): {lacking}, or choose another --backup; "
        "nothing is sealed."
    )


def _needed(new: Mapping[Path, Whole]) -> int:
    return sum(BLOCK + whole.log.stat().st_size for whole in new.values())


def _ground(path: Path) -> Path:
    """The nearest folder above that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def _mb(size: int) -> str:
    """Megabytes, rounded up to a tenth."""
    return f"{math.ceil(size / 1e5) / 10:.1f} MB"


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
