"""One launch at a time makes a run: its unfinished folder is locked for as long as the launching process lives."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadgen_harness.errors import BadInput

LOCKLESS = (errno.ENOLCK, errno.ENOTSUP)  # file systems without locks guard nothing


@contextmanager
def claimed(output: Path) -> Iterator[Path]:
    """The empty folder in which the run `output` is built, nobody else's while this is open.

    Raises BadInput where the output exists, cannot be written, or is being made by another launch. What a dead one left
    is cleared away: its lock died with it.
    """
    _refuse(output)
    with building(output) as folder:
        try:
            _refuse(output)  # another launch ended meanwhile
        except BadInput:
            shutil.rmtree(folder)
            raise
        yield folder


@contextmanager
def building(output: Path) -> Iterator[Path]:
    """The empty folder beside `output` in which it is built, nobody else's while this is open, claimed or not.

    Raises BadInput where it cannot be written, or is being made by another process.
    """
    try:
        folder = unfinished(output)
        output.parent.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder, output)
        _clear(folder)
    except OSError as error:
        raise BadInput(f"cannot write {output}: {error.strerror}; choose another --output.") from error
    try:
        yield folder
    finally:
        os.close(lock)


@contextmanager
def abandoned(output: Path) -> Iterator[Path | None]:
    """What a dead launch left of the run `output`, nobody else's while this is open; None: nothing, or it lives."""
    folder = unfinished(output)
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield None
        return
    try:
        yield folder if _free(handle) and _same(handle, folder) else None
    finally:
        os.close(handle)


def unfinished(output: Path) -> Path:
    """Where the run `output` is built."""
    return output.with_name(f".{output.name}.partial")


def _free(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in LOCKLESS:
            raise
    return True


def _refuse(output: Path) -> None:
    if os.path.lexists(output):
        raise BadInput(f"{output} exists: choose another --output; a finished run is never overwritten.")
    nameable(output)


def nameable(output: Path) -> None:
    """Raise BadInput where LoadGen, whose paths are UTF-8, could not write."""
    try:
        os.path.abspath(output).encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{output} is no name in UTF-8, which LoadGen wants: choose another --output.") from error


def _locked(folder: Path, output: Path) -> int:
    """An open lock on `folder`, made where it is not there."""
    while True:
        folder.mkdir(exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        if not _free(handle):
            os.close(handle)
            raise BadInput(f"{output} is being made by another run: wait for it, or choose another --output.")
        if _same(handle, folder):
            return handle
        os.close(handle)  # another launch ended in between and gave the folder its final name


def _same(handle: int, folder: Path) -> bool:
    """Whether the open folder still has this name."""
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
