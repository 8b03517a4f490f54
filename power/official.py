"""MLCommons' own power client and server: an unmodified checkout of power-dev, recognised by its published digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadgen_harness.errors import BadInput

COMMIT = "c4b3ad82"
# SHA-256 of compliance/sources_checksums.json: the list of the official files' digests is itself one that we know
PUBLISHED = "4e25e4874619ba538b3df4c89dd6c0987d63ef9b8f41b288aca5c09f6d5fde72"
# and its one entry: SHA-1 of every Python file below ptd_client_server/
SOURCES: Mapping[str, str] = {
    "__init__.py": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "client.py": "33ca4f26368777ac06e01f9567b714a4b8063886",
    "lib/__init__.py": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "lib/client.py": "ac2aa093c8e8bbc9569b9e2a3471bc64e58a2258",
    "lib/common.py": "611d8b29633d331eb19c9455ea3b5fa3284ed6df",
    "lib/external/__init__.py": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "lib/external/ntplib.py": "4da8f970656505a40483206ef2b5d3dd5e81711d",
    "lib/server.py": "9bc9a3b6b9b716520658ac175913bcbbdb354336",
    "lib/source_hashes.py": "60a2e02193209e8d392803326208d5466342da18",
    "lib/summary.py": "602a9fedfa503e5544d27ab3b0067f235047efc3",
    "lib/time_sync.py": "80894ef2389e540781ff78de94db16aa4203a14e",
    "server.py": "c3f90f2f7eeb4db30727556d0c815ebc89b3d28b",
    "tests/unit/__init__.py": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "tests/unit/test_server.py": "948c1995d4008bc2aa6c4046a34ffa3858d6d671",
    "tests/unit/test_source_hashes.py": "00468a2907583c593e6574a1f6b404e4651c221a",
}
IGNORED = ("__pycache__", ".mypy_cache", ".pytest_cache")  # folders that the official digest leaves out
MOST_NAMED = 5


@dataclass(frozen=True)
class Checkout:
    """A folder with the official programs, whose files were all found as published."""

    path: Path

    @property
    def client(self) -> Path:
        """The program for the system under test."""
        return self.path / "ptd_client_server" / "client.py"

    @property
    def server(self) -> Path:
        """The program for the director."""
        return self.path / "ptd_client_server" / "server.py"


def checkout(path: Path) -> Checkout:
    """The checkout at `path`; raises BadInput naming every file that is not as MLCommons published it."""
    path = path.resolve()
    wanted = _published(path / "compliance" / "sources_checksums.json")
    faults = [*_faults(path / "ptd_client_server", wanted)]
    if faults:
        named = "; ".join(faults[:MOST_NAMED]) + ("; …" if len(faults) > MOST_NAMED else "")
        raise BadInput(f"{path} is no unmodified checkout ({named}): {_again()}")
    return Checkout(path)


def _published(path: Path) -> Mapping[str, str]:
    """The digests as the checkout itself states them: the official check will hold the session to these."""
    try:
        content = path.read_bytes()
    except OSError:
        raise BadInput(f"{path.parents[1]} holds no checkout of mlcommons/power-dev: {_again()}") from None
    if hashlib.sha256(content).hexdigest() != PUBLISHED:
        why = "states CRLF line ends" if b"\r" in content else "states other digests than the known ones"
        raise BadInput(f"{path} {why}: {_again()}")
    entries: list[dict[str, str]] = json.loads(content)
    return next((entry for entry in entries if entry == SOURCES), SOURCES)


def _faults(folder: Path, wanted: Mapping[str, str]) -> Iterator[str]:
    there = {path.relative_to(folder).as_posix(): path for path in _python(folder)}
    for name in sorted(wanted.keys() | there.keys()):
        if name not in there:
            yield f"{name} is missing"
        elif name not in wanted:
            yield f"{name} is not part of it"
        elif (content := there[name].read_bytes()) and b"\r" in content:
            yield f"{name} has CRLF line ends"
        elif hashlib.sha1(content).hexdigest() != wanted[name]:
            yield f"{name} was changed"


def _python(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.py")):
        if not set(path.relative_to(folder).parts[:-1]) & set(IGNORED):
            yield path


def _again() -> str:
    url = "https://github.com/mlcommons/power-dev"
    return f"run `git clone -c core.autocrlf=false {url} && git -C power-dev checkout {COMMIT}` into a new folder."
