"""Names that survive a power cut: what is renamed is on the disk first, and so is the new name."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadgen_harness import claim
from loadgen_harness.errors import BadInput, refused

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


def put(path: Path, text: str) -> None:
    """A whole text under its name, on the disk when this returns; raises BadInput, leaving nothing new, where not.

    What is no file, as /dev/stdout, is written to, and so is what a link leads to.
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
    targets = {place(path): content for path, content in files.items()}
    here = next(iter(targets))
    if len(targets) < len(files):
        raise BadInput(f"{here} has two names here: remove the link, or name another file.")
    with ExitStack() as stack:
        made = {target: stack.enter_context(scratch(target)) / target.name for target in targets}
        try:
            for here, content in targets.items():
                made[here].write_bytes(content)
                flush(made[here])
            for here, new in made.items():
                move(new, here)
        except OSError as error:
            raise refused(error, here) from error


def place(path: Path) -> Path:
    """Where a file of this name is written: a link stays, what it leads to is written; raises BadInput for nowhere."""
    target = path
    if path.is_symlink():
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise refused(OSError(errno.ELOOP, os.strerror(errno.ELOOP)), path)
    if not target.parent.is_dir():
        lacking = errno.ENOTDIR if target.parent.exists() else errno.ENOENT
        raise refused(OSError(lacking, os.strerror(lacking)), path if target is path else f"{path}, a link to {target}")
    return target


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """A folder beside a place, in which what comes there is made; nobody else's while this is open, then gone."""
    with claim.building(target) as folder:  # emptied of what a call that was killed had left
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def put_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """A folder of new files under a name that is free, whole or not at all; raises BadInput where not."""
    with scratch(folder) as partial:
        try:
            for name, content in files.items():
                (partial / name).write_bytes(content)
            settle(partial)
            move(partial, folder)
        except OSError as error:
            raise refused(error, folder) from error


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
