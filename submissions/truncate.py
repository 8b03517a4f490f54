"""Accuracy logs shrink to what a submission may hold; the whole logs go to a sealed backup first."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadgen_harness.errors import BadInput
from submissions import layout, seals
from submissions.seals import Whole, digest

LIMIT = 10_240  # bytes an accuracy log of a submission may have
MOST_TEXT = 1 << 24  # bytes of accuracy.txt that are read
KEPT = 4096  # bytes kept at either end
GAP = b"\n\n...\n\n"
HASH = re.compile(r"^hash=([\w\d]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Truncation:
    """One accuracy log: its path inside the tree, the digest of the whole log, and whether it changed now."""

    log: Path
    sha256: str
    changed: bool


@dataclass(frozen=True)
class _Found:
    """One accuracy log as it was found: the digest of the whole log, whether it is whole, and whether it is hashed."""

    logs: layout.Logs
    sha256: str
    whole: bool
    hashed: bool


def truncate(tree: Path, backup: Path) -> list[Truncation]:
    """Back up, hash and truncate every accuracy log of a tree; a second call changes nothing.

    Raises BadInput where accuracy.txt is missing (it must be written first), where the backup lies inside the tree or
    has no room, and where it holds another log in the same place; then nothing was truncated, and nothing is new there.
    """
    found = _found(tree, backup)
    with _sealed(found, tree, backup):
        pass
    return [_truncate(each, tree) for each in found]


@contextmanager
def truncated(tree: Path, backup: Path) -> Iterator[list[Truncation]]:
    """As truncate(), for a tree of copies: what goes wrong before this closes takes what was sealed now back."""
    found = _found(tree, backup)
    with _sealed(found, tree, backup):
        yield [_truncate(each, tree) for each in found]


def _found(tree: Path, backup: Path) -> list[_Found]:
    if backup.resolve().is_relative_to(tree.resolve()):
        raise BadInput(f"the backup {backup} lies inside the submission: choose a folder outside {tree}.")
    return [_find(logs, tree) for logs in layout.accuracy_folders(tree) if logs.accuracy_log.exists()]


def _sealed(found: Sequence[_Found], tree: Path, backup: Path) -> AbstractContextManager[None]:
    wanted = (each for each in found if each.whole)
    copies = {sealed_log(each.logs, tree, backup): Whole(each.logs.accuracy_log, each.sha256) for each in wanted}
    return seals.sealed(copies, backup, tree)


def recorded_hash(logs: layout.Logs) -> str:
    """The hash line of accuracy.txt, empty without one, or where the file may not be read."""
    if not logs.accuracy_text.exists() or not os.access(logs.accuracy_text, os.R_OK):
        return ""
    with logs.accuracy_text.open("rb") as file:
        text = file.read(MOST_TEXT).decode("utf-8", errors="replace")
        match = HASH.search(io.StringIO(text, newline=None).read())  # with any line ends, as the official tools read
    return match.group(1) if match else ""


def is_truncated(log: Path) -> bool:
    """Whether a log carries the mark of truncation."""
    return log.stat().st_size <= LIMIT and GAP in log.read_bytes()


def _find(logs: layout.Logs, tree: Path) -> _Found:
    log, name = logs.accuracy_log, logs.accuracy_log.relative_to(tree)
    if not logs.accuracy_text.exists():
        raise BadInput(
            f"{name.parent / layout.ACCURACY_TEXT} is missing: write it before the accuracy log is truncated."
        )
    recorded = recorded_hash(logs)
    if is_truncated(log):
        if not recorded:
            raise BadInput(f"{name} is truncated but has no hash: put the whole log back and truncate again.")
        return _Found(logs, recorded, whole=False, hashed=True)
    whole = digest(log)
    if recorded and recorded != whole:
        raise BadInput(f"{name} is not the log whose hash accuracy.txt holds: put both back from the run folder.")
    return _Found(logs, whole, whole=True, hashed=bool(recorded))


def _truncate(found: _Found, tree: Path) -> Truncation:
    text, log = found.logs.accuracy_text, found.logs.accuracy_log
    if not found.hashed:
        _replace(text, text.read_bytes() + f"\nhash={found.sha256}\n".encode())
    shortened = found.whole and _shorten(log)
    return Truncation(log.relative_to(tree), found.sha256, changed=shortened or not found.hashed)


def _shorten(log: Path) -> bool:
    """Keep both ends; a log that is no longer than that stays whole, which shows more in fewer bytes."""
    content = log.read_bytes()
    if len(content) <= 2 * KEPT + len(GAP):
        return False
    _replace(log, content[:KEPT] + GAP + content[-KEPT:])
    return True


def sealed_log(logs: layout.Logs, tree: Path, backup: Path) -> Path:
    """Where the whole log of an accuracy folder lies in the backup."""
    return backup / logs.accuracy_log.relative_to(tree)


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)
