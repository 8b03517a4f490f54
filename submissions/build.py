"""A tree is built whole beside its place and then renamed: generated, accuracy logs sealed, hashed and truncated.

A kill at any moment leaves no tree, or the whole one; the same call again finishes, or finds nothing left to do.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loadgen_harness import claim, durable
from loadgen_harness.errors import BadInput
from submissions import layout
from submissions.generate import Entry, Submission, refuse, write
from submissions.truncate import truncated

PRIVATE_ID = "privateid.json"


@dataclass(frozen=True)
class Places:
    """Where the tree goes, and the sealed backup of its whole accuracy logs, which lies outside it."""

    tree: Path
    backup: Path


def build(entries: Sequence[Entry], meta: Submission, places: Places, *, private_ids: bool = False) -> bool:
    """Write the truncated tree; False where it is there already, byte for byte.

    With `private_ids` every system gets the file in which the official checker keeps its private identifier. Raises
    BadInput, having written no tree, for what cannot become one and for a tree of other content in its place.
    """
    refuse(entries, meta)
    tree = places.tree.resolve()
    if not tree.name or (tree.exists() and not tree.is_dir()):
        raise BadInput(f"{places.tree} cannot be the folder of a submission: choose a new one.")
    if places.backup.resolve().is_relative_to(tree):
        raise BadInput(f"the backup {places.backup} lies inside the submission: choose a folder outside {places.tree}.")
    with claim.building(tree) as partial:  # emptied of what a call that was killed had left
        return _built(entries, meta, replace(places, tree=tree), partial, private_ids=private_ids)


def _built(entries: Sequence[Entry], meta: Submission, places: Places, partial: Path, *, private_ids: bool) -> bool:
    """Write into `partial`, and give it the tree's name; False where that is there already."""
    try:
        home = write(entries, meta, partial)
        with truncated(partial, places.backup):
            if private_ids:
                _private(home)
            if not places.tree.exists():
                durable.settle(partial)
                durable.move(partial, places.tree)
                return True
            if other := difference(partial, places.tree):
                raise BadInput(
                    f"{places.tree} exists and differs from what would be written, first in {other}: choose another "
                    "folder, a finished submission is never overwritten."
                )
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(
            f"cannot write {places.tree} ({why}): free some space there, or choose another folder."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return False


def private_id(submitter: str, system: str) -> str:
    """A name for a system that does not tell it; the same for the same submitter and system."""
    return f"system-{hashlib.sha256(f'{submitter}/{system}'.encode()).hexdigest()[:16]}"


def difference(one: Path, other: Path) -> str:
    """The first file by name that two trees do not both have with the same bytes; empty where they are equal."""
    here, there = set(_files(one)), set(_files(other))
    unequal = (name for name in here & there if not filecmp.cmp(one / name, other / name, shallow=False))
    return min([*(here ^ there), *unequal], default="")


def _files(root: Path) -> Iterator[str]:
    yield from (path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir() or path.is_symlink())


def _private(home: layout.SubmitterFolder) -> None:
    """The file that the official checker's --private-ids reads, and writes for a system that has none."""
    for folder in layout.folders(home.results):
        text = json.dumps({folder.name: private_id(home.submitter, folder.name)}, indent=4)
        (folder / PRIVATE_ID).write_text(text, encoding="utf-8")
