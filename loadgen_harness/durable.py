"""Names that survive a power cut: what is renamed is on the disk first, and so is the new name."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from loadgen_harness.errors import refused

FULL = (errno.ENOSPC, errno.EDQUOT)
LEAST = 1 << 20  # bytes; with less, what a program did not complain about may be cut short all the same
NOWHERE = (errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EROFS)
MEANINGLESS = (errno.EINVAL, errno.ENOTSUP)  # file systems that cannot flush a folder


def settle(folder: Path) -> None:
    """Everything below a folder is on the disk when this returns."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_file() or path.is_dir():
            flush(path)


def move(source: Path, target: Path) -> None:
    """A rename that is on the disk when this returns."""
    os.replace(source, target)
    flush(target.parent)


def put(path: Path, text: str) -> None:
    """A whole text under its name, on the disk when this returns; raises BadInput, leaving nothing new, where not.

    What is no file, as /dev/stdout, is written to.
    """
    content = text.encode("utf-8", "backslashreplace")  # half a surrogate pair: from a name that is not UTF-8
    if not path.is_relative_to("/dev") and (path.is_file() or not path.exists()):
        put_all({path: content})
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        raise refused(error, path) from error


def put_all(files: Mapping[Path, bytes]) -> None:
    """Some files, as put() does, in their order: none gets its name before all have their content on the disk."""
    partials = {path: path.with_name(f".{path.name}.{os.getpid()}.partial") for path in files}  # others may do the same
    here = next(iter(files))
    try:
        for here, content in files.items():
            partials[here].write_bytes(content)
            flush(partials[here])
        for here, partial in partials.items():
            move(partial, here)
    except OSError as error:
        raise refused(error, here) from error
    finally:
        for partial in partials.values():
            _gone(partial)


def put_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """A folder of new files under a name that is free, whole or not at all; raises BadInput where not."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        for name, content in files.items():
            (partial / name).write_bytes(content)
        settle(partial)
        move(partial, folder)
    except OSError as error:
        raise refused(error, folder) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _gone(partial: Path) -> None:
    """Remove what a failure left, where anything is left."""
    try:
        partial.unlink(missing_ok=True)
    except OSError as error:  # its folder is none, so that it was never made
        if error.errno not in NOWHERE:
            raise


def flush(path: Path) -> None:
    """One file's content, or a folder's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in MEANINGLESS:
            raise
    finally:
        os.close(handle)


def aside(path: Path, kind: str) -> Path | None:
    """Give `path` the first free of the names NAME.KIND-1, NAME.KIND-2, …; None where it is not there."""
    if not path.exists():
        return None
    stem = path.name.removesuffix(f".{kind}")
    number = 1
    while (target := path.with_name(f"{stem}.{kind}-{number}")).exists():
        number += 1
    move(path, target)
    return target


def room(folder: Path) -> int:
    """Bytes free for what is written into a folder that exists."""
    return shutil.disk_usage(folder).free


def full(folder: Path, error: BaseException | None = None) -> str:
    """One clause on a disk that has no room left, empty where that is not what is wrong."""
    left = room(folder.parent)
    if (isinstance(error, OSError) and error.errno in FULL) or left < LEAST:
        return f"the disk of {folder.parent} is full ({left / 1e6:.1f} MB left): free some space and run this again"
    return ""
