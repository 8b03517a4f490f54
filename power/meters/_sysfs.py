"""Whole numbers and names out of the kernel's small files, with one sentence for each way in which that fails."""

from __future__ import annotations

from pathlib import Path

from loadgen_harness.errors import BadInput
from power.meter import MeterFailed


def text(path: Path, remedy: str = "run as root, or let your group read it") -> str:
    """What a file says; raises BadInput with `remedy` where this user may not read it, else MeterFailed."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except PermissionError as error:
        raise BadInput(f"{path} may be read by root only: {remedy}.") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise MeterFailed(f"{path} cannot be read ({reason}): use another meter.") from error


def number(path: Path, remedy: str = "run as root, or let your group read it") -> int:
    """The whole number in a file: the kernel writes no other kind, so whatever is none is refused."""
    found = text(path, remedy)
    try:
        return int(found)
    except ValueError as error:
        raise MeterFailed(f"{path} holds {found[:30]!r}, which is no whole number: use another meter.") from error


def optional(path: Path) -> str:
    """What a file says, empty where it is not there."""
    return text(path) if path.is_file() else ""
