"""Accuracy logs shrink to what a submission may hold; the whole logs go to a sealed backup first."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from loadgen_harness.errors import BadInput
from submissions import layout

LIMIT = 10_240  # bytes an accuracy log of a submission may have
MOST_TEXT = 1 << 24  # bytes of accuracy.txt that are read
KEPT = 4096  # bytes kept at either end
GAP = b"\n\n...\n\n"
HASH = re.compile(r"^hash=([\w\d]+)$", re.MULTILINE)
READ_ONLY = 0o444


@dataclass(frozen=True)
class Truncation:
    """One accuracy log: its path inside the tree, the digest of the whole log, and whether it changed now."""

    log: Path
    sha256: str
    changed: bool


def truncate(tree: Path, backup: Path) -> list[Truncation]:
    """Back up, hash and truncate every accuracy log of a tree; a second call changes nothing.

    Raises BadInput where accuracy.txt is missing (it must be written first), where the backup lies inside the tree,
    and where it holds another log in the same place.
    """
    if backup.resolve().is_relative_to(tree.resolve()):
        raise BadInput(f"the backup {backup} lies inside the submission: choose a folder outside {tree}.")
    return [_truncate(logs, tree, backup) for logs in layout.accuracy_folders(tree) if logs.accuracy_log.exists()]


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


def _truncate(logs: layout.Logs, tree: Path, backup: Path) -> Truncation:
    log, name = logs.accuracy_log, logs.accuracy_log.relative_to(tree)
    if not logs.accuracy_text.exists():
        raise BadInput(
            f"{name.parent / layout.ACCURACY_TEXT} is missing: write it before the accuracy log is truncated."
        )
    recorded = recorded_hash(logs)
    if is_truncated(log):
        if not recorded:
            raise BadInput(f"{name} is truncated but has no hash: put the whole log back and truncate again.")
        return Truncation(name, recorded, changed=False)
    digest = _digest(log)
    if recorded and recorded != digest:
        raise BadInput(f"{name} is not the log whose hash accuracy.txt holds: put both back from the run folder.")
    _seal(log, sealed_log(logs, tree, backup), digest)
    if not recorded:
        text = logs.accuracy_text.read_bytes()
        _replace(logs.accuracy_text, text + f"\nhash={digest}\n".encode())
    shortened = _shorten(log)
    return Truncation(name, digest, changed=shortened or not recorded)


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


def _seal(log: Path, sealed: Path, digest: str) -> None:
    """A read-only copy whose digest has been read back; one that is there already must be the same log."""
    if sealed.exists():
        if _digest(sealed) != digest:
            raise BadInput(f"the backup {sealed} holds another log: choose an empty backup folder.")
        return
    sealed.parent.mkdir(parents=True, exist_ok=True)
    partial = sealed.with_name(f"{sealed.name}.partial")
    try:
        shutil.copyfile(log, partial)
        if _digest(partial) != digest:
            raise BadInput(f"the copy of {log} in {sealed.parent} differs from it: check the disk and try again.")
        partial.chmod(READ_ONLY)
        os.replace(partial, sealed)
    finally:
        partial.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
