"""Names that survive a power cut: what is renamed is on the disk first, and so is the new name."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
LEAST = 1 << 20  # bytes; with less, what a program did not complain about may be cut short all the same
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
