"""A tree packed into one file, the same bytes for the same tree, and the SHA-256 of everything in it beside it."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import tarfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from loadgen_harness import durable
from loadgen_harness.errors import BadInput, refused
from submissions import layout

ENDS = (".tar.gz", ".tgz")
MANIFEST = ".sha256"
MODE = 0o644
LEVEL = 6


def pack(tree: Path, archive: Path) -> Path:
    """Pack every file of `tree`, read the archive back, write the manifest; returns the manifest's path.

    The manifest has the form of sha256sum: the archive, then each file of the tree. An archive with the same bytes may
    be there already. Raises BadInput for another one, for a place inside the tree, and for anything but plain files.
    """
    manifest = refuse(tree, archive)
    try:
        with ExitStack() as stack:
            targets = {durable.place(named): named.name for named in (archive, manifest)}
            made = {each: stack.enter_context(durable.scratch(each)) / name for each, name in targets.items()}
            _packed(tree, made)
    except OSError as error:
        raise refused(error, archive) from error
    return manifest


def _packed(tree: Path, files: Mapping[Path, Path]) -> None:
    """Write archive and manifest where they are built, and give them their places."""
    partial, waiting = files.values()
    _write(tree, partial)
    digests = {name: _digest(tree / name) for name in _names(tree)}
    if read(partial) != digests:
        raise BadInput(f"{partial} does not hold what {tree} does: check the disk, then pack it again.")
    waiting.write_bytes(os.fsencode(_lines({partial.name: _digest(partial), **digests})))
    for there, new in files.items():
        if there.exists() and _digest(there) != _digest(new):
            raise BadInput(f"{there} exists and holds something else: choose another name, it is never overwritten.")
        durable.flush(new)
    for there, new in files.items():
        durable.move(new, there)


def read(archive: Path) -> Mapping[str, str]:
    """The SHA-256 of every file in an archive by its name."""
    found = {}
    with tarfile.open(archive, "r:gz") as packed:
        for member in packed:
            file = packed.extractfile(member)
            if file is None:
                raise BadInput(f"{archive} holds {member.name}, which is no plain file: pack the tree again.")
            with file:
                found[member.name] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return found


def refuse(tree: Path, archive: Path) -> Path:
    """Where the manifest goes; raises BadInput for places that cannot be."""
    if not archive.name.endswith(ENDS):
        raise BadInput(f"{archive} is no name of an archive: let it end in {' or '.join(ENDS)}.")
    if archive.resolve().is_relative_to(tree.resolve()):
        raise BadInput(f"{archive} lies inside the submission: choose a place outside {tree}.")
    if not archive.parent.is_dir():
        raise BadInput(f"{archive.parent} is no folder: make it, or choose another place for the archive.")
    folder = durable.place(archive).parent
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise refused(PermissionError(errno.EACCES, os.strerror(errno.EACCES)), archive)
    return archive.with_name(f"{archive.name}{MANIFEST}")


def _names(tree: Path) -> list[str]:
    """Every file below a tree in one order; raises BadInput for what is neither file nor folder."""
    names = []
    for path in tree.rglob("*"):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise BadInput(f"{layout.shown(path, tree)} is no plain file: a submission holds files and folders alone.")
        if path.is_file():
            names.append(path.relative_to(tree).as_posix())
    if not names:
        raise BadInput(f"{tree} holds no file: build the submission first.")
    return sorted(names, key=os.fsencode)


def _write(tree: Path, target: Path) -> None:
    """Without times, owners and the archive's own name, which would differ every time."""
    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in _names(tree):
            member = tarfile.TarInfo(name)
            member.size, member.mode = (tree / name).stat().st_size, MODE
            with (tree / name).open("rb") as content:
                archive.addfile(member, content)


def _lines(digests: Mapping[str, str]) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
