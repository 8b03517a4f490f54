"""A campaign's journal: one line of JSON for everything that happened to a run, on the disk before it goes on.

The run folders are the truth; the journal says how they came about. It may be cut off anywhere: a torn line is skipped.
It is also the campaign's lock: whoever holds it open runs the campaign.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from loadgen_harness import durable
from loadgen_harness.claim import LOCKLESS, nameable
from loadgen_harness.errors import BadInput

NAME = "journal.jsonl"


class Event(StrEnum):
    """What a line is about."""

    BEGIN = "begin"  # of a campaign: pid, host, command
    START = "start"  # of an attempt at a run
    FINISH = "finish"  # of a run, valid or not
    FAILURE = "failure"  # of an attempt: crashed, hung, or stopped since it could not become valid
    RETRY = "retry"
    RECOVERY = "recovery"  # what a killed campaign had left was taken over or put aside
    WARNING = "warning"
    STOP = "stop"  # a campaign ended before its last run, and why
    END = "end"  # of a campaign


class Journal:
    """An open journal."""

    def __init__(self, handle: int, path: Path) -> None:
        """Write to an open file."""
        self._handle, self.path = handle, path
        self.entries = read(path)

    def note(self, event: Event, key: str = "", **facts: Any) -> None:
        """Add a line, on the disk when this returns; raises BadInput where that fails."""
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"utc": stamp, "event": str(event), **({"key": key} if key else {}), **facts}
        line = f"{json.dumps(entry, ensure_ascii=False)}\n".encode()
        try:
            if self._torn():
                line = b"\n" + line
            if os.write(self._handle, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._handle)
        except OSError as error:
            raise unwritable(self.path, error) from error
        self.entries.append(entry)

    def attempts(self, key: str) -> int:
        """How many attempts at a run were begun so far."""
        return sum(entry["event"] == Event.START and entry.get("key") == key for entry in self.entries)

    def _torn(self) -> bool:
        size = os.fstat(self._handle).st_size
        return size > 0 and os.pread(self._handle, 1, size - 1) != b"\n"


def read(folder: Path) -> list[dict[str, Any]]:
    """All whole lines of a journal (or that of a campaign's folder), in order; nothing where there is none."""
    path = folder / NAME if folder.is_dir() else folder
    if not path.exists():
        return []
    return [entry for line in path.read_bytes().splitlines() if (entry := _entry(line)) is not None]


def _entry(line: bytes) -> dict[str, Any] | None:
    """A line's content; None where a kill or a power cut left only a part of it."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None


@contextmanager
def opened(folder: Path, command: str) -> Iterator[Journal]:
    """The journal of the campaign in `folder`, nobody else's while this is open.

    Raises BadInput where another process runs that campaign, or nothing can be written.
    """
    path = folder / NAME
    nameable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        durable.flush(folder)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        _lock(handle, path)
        journal = Journal(handle, path)
        journal.note(Event.BEGIN, pid=os.getpid(), host=platform.node(), command=command)
        yield journal
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder: Mapping[str, Any] = next((e for e in reversed(read(path)) if e["event"] == Event.BEGIN), {})
        who = f"process {holder.get('pid', 'unknown')} on {holder.get('host', 'this machine')}"
        raise BadInput(
            f"the campaign in {path.parent} is being run by {who}: wait for it, stop it, or choose another --output."
        ) from None
    except OSError as error:
        if error.errno not in LOCKLESS:
            raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> BadInput:
    """What to say of a file of the campaign that cannot be written."""
    full = error.errno in durable.FULL
    remedy = "free some space and run this again" if full else "choose another --output"
    return BadInput(f"cannot write {path}: {error.strerror}; {remedy}.")
