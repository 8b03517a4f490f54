"""The journal of a campaign: whole lines survive whatever cuts it off, and it is one process's at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadgen_harness import journal
from loadgen_harness.errors import BadInput
from loadgen_harness.journal import Event
from tests.fakes import environment

HOLD = """
import sys, time
from pathlib import Path
from loadgen_harness import journal
with journal.opened(Path(sys.argv[1]), "held"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_lines_in_order(tmp_path: Path) -> None:
    with journal.opened(tmp_path / "new" / "folder", "lgh campaign x") as log:
        log.note(Event.START, "größe/Offline/performance", attempt=1)
        assert log.attempts("größe/Offline/performance") == 1
        assert log.attempts("other") == 0
        log.note(Event.FINISH, "größe/Offline/performance", attempt=1, valid=True)
    found = journal.read(tmp_path / "new" / "folder")
    assert [entry["event"] for entry in found] == ["begin", "start", "finish"]
    assert found[0]["pid"] == os.getpid()
    assert found[0]["command"] == "lgh campaign x"
    assert found[2].items() >= {"key": "größe/Offline/performance", "attempt": 1, "valid": True}.items()
    with journal.opened(tmp_path / "new" / "folder", "again") as log:
        assert log.attempts("größe/Offline/performance") == 1


def test_cut_off_anywhere(tmp_path: Path) -> None:
    """Every prefix of a journal can be read, gives its whole lines, and is added to without harm."""
    with journal.opened(tmp_path, "first") as log:
        log.note(Event.START, "a/ü", attempt=1)
        log.note(Event.FINISH, "a/ü", attempt=1)
    path = tmp_path / journal.NAME
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole = content[:length].count(b"\n")
        rest = content[:length].rpartition(b"\n")[2]
        if rest and content[length : length + 1] == b"\n":
            whole += 1  # the line is there, only its end is not
        assert len(journal.read(tmp_path)) == whole
        if length % 37 == 0:
            with journal.opened(tmp_path, "second"):
                pass
            found = journal.read(tmp_path)
            assert len(found) == whole + 1
            assert found[-1]["command"] == "second"


def test_odd_lines_are_skipped(tmp_path: Path) -> None:
    lines = [b"\xff\xfe", b"[]", b"3", b"{}", json.dumps({"event": "end"}).encode(), b'{"event": "sta']
    (tmp_path / journal.NAME).write_bytes(b"\n".join(lines))
    assert [entry["event"] for entry in journal.read(tmp_path)] == ["end"]


def test_nothing_there(tmp_path: Path) -> None:
    assert journal.read(tmp_path) == []
    assert journal.read(tmp_path / "absent") == []


def test_one_campaign_at_a_time(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BadInput, match=f"is being run by process {process.pid} on "), journal.opened(tmp_path, ""):
            pass
        process.send_signal(signal.SIGKILL)
    with journal.opened(tmp_path, "after") as log:
        assert [entry["event"] for entry in log.entries] == ["begin", "begin"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = r"cannot write .*: Not a directory; choose another --output"
    with pytest.raises(BadInput, match=said), journal.opened(tmp_path / "file" / "out", ""):
        pass


def test_a_full_disk_is_a_sentence() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    handle = os.open(full, os.O_RDWR)
    try:
        log = journal.Journal(handle, Path("absent"))
        with pytest.raises(BadInput, match="No space left on device; free some space and run this again"):
            log.note(Event.START, "a")
    finally:
        os.close(handle)
    assert log.entries == []
