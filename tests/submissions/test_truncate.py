"""Accuracy logs shrink once, after a sealed backup; a second call and an interrupted first one do no harm."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen_harness import durable
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Division
from submissions import layout, sealed, truncate
from submissions.truncate import GAP, KEPT, LIMIT
from tests.loadgen_harness.misused import seen, small_files

ENTRIES = (f'{{ "seq_id" : {n}, "qsl_idx" : {n}, "data" : "{n:064X}", "token_count" : 0 }}' for n in range(100))
LONG = ("[\n" + ",\n".join(ENTRIES) + "\n]\n").encode()


def place(tree: Path, content: bytes = LONG) -> layout.Logs:
    logs = layout.submitter(tree, Division.CLOSED, "Acme").result("box", "digits", "Offline").accuracy
    logs.path.mkdir(parents=True)
    logs.accuracy_log.write_bytes(content)
    logs.accuracy_text.write_text("accuracy=98.000%, good=98, total=100\n")
    return logs


def test_keeps_both_ends_the_hash_and_a_sealed_copy(tmp_path: Path) -> None:
    logs = place(tmp_path / "tree")
    (done,) = truncate.truncate(tmp_path / "tree", tmp_path / "backup")
    assert done.changed and done.sha256 == hashlib.sha256(LONG).hexdigest()
    assert logs.accuracy_log.read_bytes() == LONG[:KEPT] + GAP + LONG[-KEPT:]
    assert logs.accuracy_text.read_text().endswith(f"total=100\n\nhash={done.sha256}\n")
    sealed = tmp_path / "backup" / done.log
    assert sealed.read_bytes() == LONG and not sealed.stat().st_mode & 0o222
    assert truncate.is_truncated(logs.accuracy_log)


def test_a_second_call_changes_nothing(tmp_path: Path) -> None:
    logs = place(tmp_path / "tree")
    truncate.truncate(tmp_path / "tree", tmp_path / "backup")
    before = logs.accuracy_log.read_bytes(), logs.accuracy_text.read_bytes()
    (again,) = truncate.truncate(tmp_path / "tree", tmp_path / "backup")
    assert not again.changed
    assert before == (logs.accuracy_log.read_bytes(), logs.accuracy_text.read_bytes())


def test_goes_on_after_an_interruption(tmp_path: Path) -> None:
    logs = place(tmp_path / "tree")
    truncate.truncate(tmp_path / "tree", tmp_path / "backup")
    logs.accuracy_log.write_bytes(LONG)  # as if killed between the hash line and the truncation
    (done,) = truncate.truncate(tmp_path / "tree", tmp_path / "backup")
    assert done.changed and logs.accuracy_text.read_text().count("hash=") == 1
    assert not list(sealed.verify(tmp_path / "tree", tmp_path / "backup"))


def test_verify_sees_a_wrong_hash_and_a_lost_backup(tmp_path: Path) -> None:
    logs = place(tmp_path / "tree")
    truncate.truncate(tmp_path / "tree", tmp_path / "backup")
    (lost,) = sealed.verify(tmp_path / "tree", tmp_path / "elsewhere")
    assert "no such log" in lost.wanted
    logs.accuracy_text.write_text(f"hash={'0' * 64}\n")
    (wrong,) = sealed.verify(tmp_path / "tree", tmp_path / "backup")
    assert wrong.found == "0" * 64 and wrong.file.endswith("accuracy.txt")


def test_refuses_what_would_lose_the_log(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    logs = place(tree)
    with pytest.raises(BadInput, match="inside the submission"):
        truncate.truncate(tree, tree / "backup")
    logs.accuracy_text.unlink()
    with pytest.raises(BadInput, match="is missing: write it"):
        truncate.truncate(tree, tmp_path / "backup")
    logs.accuracy_text.write_text(f"hash={'1' * 64}\n")
    with pytest.raises(BadInput, match="not the log whose hash"):
        truncate.truncate(tree, tmp_path / "backup")
    logs.accuracy_text.write_text("accuracy=1%\n")
    logs.accuracy_log.write_bytes(LONG[:KEPT] + GAP + LONG[-KEPT:])
    with pytest.raises(BadInput, match="truncated but has no hash"):
        truncate.truncate(tree, tmp_path / "backup")
    assert logs.accuracy_text.read_text() == "accuracy=1%\n"


def test_refuses_a_backup_of_another_run(tmp_path: Path) -> None:
    place(tmp_path / "one")
    truncate.truncate(tmp_path / "one", tmp_path / "backup")
    logs = place(tmp_path / "two", LONG[::-1])
    with pytest.raises(BadInput, match="holds another log"):
        truncate.truncate(tmp_path / "two", tmp_path / "backup")
    assert logs.accuracy_log.read_bytes() == LONG[::-1]


@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, 30_000))
def test_no_log_is_longer_than_allowed_or_than_before(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    folder = tmp_path_factory.mktemp("log")
    logs = place(folder / "tree", b"x" * size)
    truncate.truncate(folder / "tree", folder / "backup")
    assert logs.accuracy_log.stat().st_size <= min(size, LIMIT)


def place_another(tree: Path) -> layout.Logs:
    """A log of twice the length, after the first in the order of names."""
    logs = layout.submitter(tree, Division.CLOSED, "Acme").result("box", "digits", "Server").accuracy
    logs.path.mkdir(parents=True)
    logs.accuracy_log.write_bytes(2 * LONG)
    logs.accuracy_text.write_text("accuracy=98.000%, good=98, total=100\n")
    return logs


def test_a_backup_without_room_is_refused_before_the_first_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = place(tmp_path / "tree")
    place_another(tmp_path / "tree")
    before = seen(tmp_path)
    monkeypatch.setattr(durable, "room", lambda folder: 1000)
    needed = -(-(3 * len(LONG) + 8192) // 100_000) / 10
    with pytest.raises(BadInput, match=rf"no room for 2 whole accuracy logs \({needed:.1f} MB\): free .* MB more"):
        truncate.truncate(tmp_path / "tree", tmp_path / "backup")
    assert seen(tmp_path) == before
    monkeypatch.undo()
    truncate.truncate(tmp_path / "tree", tmp_path / "backup")
    assert truncate.is_truncated(logs.accuracy_log)


def test_a_backup_that_fills_while_it_is_written_holds_nothing_new(tmp_path: Path) -> None:
    """The first log went in, the second did not: both are whole where they were."""
    place(tmp_path / "tree")
    place_another(tmp_path / "tree")
    (tmp_path / "backup" / "theirs").mkdir(parents=True)
    before = seen(tmp_path)
    with small_files(len(LONG) + 10), pytest.raises(BadInput, match="no room for 2 whole accuracy logs"):
        truncate.truncate(tmp_path / "tree", tmp_path / "backup")
    assert seen(tmp_path) == before


def test_what_goes_wrong_later_takes_new_seals_back(tmp_path: Path) -> None:
    """But not those of before, nor any once the tree has its final name."""
    place(tmp_path / "tree")
    truncate.truncate(tmp_path / "tree", tmp_path / "backup")
    sealed_before = seen(tmp_path / "backup")
    (tmp_path / "tree").rename(tmp_path / "finished")
    place(tmp_path / "tree")
    place_another(tmp_path / "tree")
    with pytest.raises(KeyboardInterrupt), truncate.truncated(tmp_path / "tree", tmp_path / "backup"):
        assert len(seen(tmp_path / "backup")) > len(sealed_before)
        raise KeyboardInterrupt
    assert seen(tmp_path / "backup") == sealed_before
    shutil.rmtree(tmp_path / "tree")
    place_another(tmp_path / "tree")
    with pytest.raises(KeyboardInterrupt), truncate.truncated(tmp_path / "tree", tmp_path / "backup"):
        (tmp_path / "tree").rename(tmp_path / "moved")
        raise KeyboardInterrupt
    assert 2 * LONG in seen(tmp_path / "backup").values()
