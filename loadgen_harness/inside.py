"""Files of a folder that somebody else filled: only regular ones are opened, and only where they lie inside a root."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

SENTENCE = 500  # characters of one remark on damage
TEXT_BYTES = 4 << 20  # of a file that is read whole


class Damaged(Exception):
    """A file that cannot be read, or must not be; the message says why in a few words."""


class Absent(Damaged):
    """There is no such file."""


class Inside:
    """Opens files below a root; symbolic links count where they lead."""

    def __init__(self, root: Path | str) -> None:
        """Let nothing outside `root` be read."""
        self._root = os.path.realpath(root) if "\0" not in str(root) else ""

    def path(self, path: Path | str) -> str:
        """Where a regular file really lies; raises Absent or Damaged, without having opened anything."""
        try:
            real = os.path.realpath(path, strict=True)
            if not self._root or not (real == self._root or real.startswith(os.path.join(self._root, ""))):
                raise Damaged("lies outside the folder that may be read")
            mode = os.stat(real).st_mode
        except FileNotFoundError:
            raise _absent(path) from None
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise Damaged(_reason(error)) from None
        if not stat.S_ISREG(mode):
            raise Damaged("Is a directory" if stat.S_ISDIR(mode) else "is no regular file")
        return real

    def open(self, path: Path | str) -> BinaryIO:
        """The file for reading; raises Absent or Damaged. It is looked at again once open, since it may be swapped."""
        real = self.path(path)
        try:
            file = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise Damaged(_reason(error)) from None
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise Damaged("is no regular file")
        return os.fdopen(file, "rb", buffering=0)

    def read(self, path: Path | str, limit: int = TEXT_BYTES) -> bytes:
        """The whole of a small file; raises Absent or Damaged, also where it is larger than `limit` bytes."""
        with self.open(path) as file:
            try:
                content = b"".join(iter(lambda: file.read(1 << 20), b"")) if _size(file) <= limit else None
            except OSError as error:
                raise Damaged(_reason(error)) from None
        if content is None or len(content) > limit:
            raise Damaged(f"more than {limit} bytes")
        return content


class Folder:
    """One folder's files, read as `Inside` permits; `damage` collects what was wrong with them, each fault once."""

    def __init__(self, path: Path, root: Path | str | None = None) -> None:
        """The folder at `path`; without a root nothing outside the folder is read."""
        self.path = path
        self.damage: dict[str, None] = {}  # an ordered set
        self._inside = Inside(root if root is not None else path)

    def real(self, name: str) -> str:
        """Where a file really lies; raises Absent or Damaged."""
        return self._inside.path(self.path / name)

    def open(self, name: str) -> BinaryIO:
        """A file for reading; raises Absent or Damaged."""
        return self._inside.open(self.path / name)

    def size(self, name: str) -> int:
        """Bytes of a file; 0, with damage noted, where it cannot be read."""
        try:
            return os.stat(self.real(name)).st_size
        except (Absent, FileNotFoundError):
            return 0
        except (Damaged, OSError) as error:
            self.note(f"{name}: {error}")
            return 0

    def read(self, name: str, limit: int = TEXT_BYTES) -> bytes:
        """The whole of a small file; raises Absent or Damaged."""
        return self._inside.read(self.path / name, limit)

    def content(self, name: str) -> bytes:
        """The whole of a small file; b"", with damage noted, where it cannot be read."""
        try:
            return self.read(name)
        except Absent:
            return b""
        except Damaged as error:
            self.note(f"{name}: {error}")
            return b""

    def json(self, name: str) -> Any:
        """The content of a JSON file; None, with damage noted, where there is none."""
        try:
            content = self.content(name)
            return parsed(content.decode("utf-8")) if content.strip() else None
        except (ValueError, RecursionError) as error:
            self.note(f"{name}: {error}")
            return None

    def note(self, sentence: str) -> None:
        """Note damage, in one line that can be printed anywhere."""
        self.damage["".join(each if each.isprintable() else "?" for each in sentence[:SENTENCE])] = None


def parsed(text: str, *, strictly: bool = False) -> Any:
    """JSON, in which halves of surrogate pairs become question marks: nobody could print them.

    `strictly` refuses what Python alone reads, and readers differently: NaN and Infinity, a key twice. Raises
    ValueError, or RecursionError for what is nested too deep.
    """
    strict: dict[str, Any] = {"object_pairs_hook": _unique, "parse_constant": _refused, "parse_float": _finite}
    content = json.loads(text, **(strict if strictly else {}))
    if "\\ud" in text or "\\uD" in text:
        content = json.loads(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"))
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each of whose keys stands there once."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key twice")
    return content


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    """A number that a float can hold."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value


def _absent(path: Path | str) -> Damaged:
    return Damaged("a link to nothing") if os.path.islink(path) else Absent("No such file or directory")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size
