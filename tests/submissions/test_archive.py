"""The archive of a tree: the same bytes every time, read back, nothing overwritten."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from submissions.archive import pack, read


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A small tree."""
    for name, text in (("closed/Acme/src/a b.md", "code\n"), ("closed/Acme/systems/x.json", "{}"), ("open/é.txt", "")):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "tree"


def test_the_same_tree_gives_the_same_bytes(plain: Path, tmp_path: Path) -> None:
    manifest = pack(plain, tmp_path / "one.tar.gz")
    os.utime(plain / "closed" / "Acme" / "systems" / "x.json", (1, 1))
    (plain / "open" / "é.txt").chmod(0o600)
    pack(plain, tmp_path / "two.tgz")
    one, two = (tmp_path / name for name in ("one.tar.gz", "two.tgz"))
    assert one.read_bytes() == two.read_bytes()
    assert pack(plain, one) == manifest  # once more, on itself
    assert not list(tmp_path.glob("*.partial"))


def test_the_manifest_has_the_form_of_sha256sum(plain: Path, tmp_path: Path) -> None:
    manifest = pack(plain, tmp_path / "one.tar.gz")
    first, *others = manifest.read_text().splitlines()
    assert first == f"{hashlib.sha256((tmp_path / 'one.tar.gz').read_bytes()).hexdigest()}  one.tar.gz"
    assert [line.partition("  ")[2] for line in others] == [
        "closed/Acme/src/a b.md",
        "closed/Acme/systems/x.json",
        "open/é.txt",
    ]
    assert dict(line.split("  ")[::-1] for line in others) == read(tmp_path / "one.tar.gz")
    (tmp_path / "one.tar.gz").rename(plain / "one.tar.gz")
    command = ["sha256sum", "--check", "--strict", manifest]
    assert subprocess.run(command, cwd=plain, capture_output=True, check=False).returncode == 0
    (plain / "open" / "é.txt").write_text("x")
    done = subprocess.run(command, cwd=plain, capture_output=True, check=False)
    assert done.returncode == 1 and b"FAILED" in done.stdout


def test_what_a_killed_call_left_is_cleared_away(plain: Path, tmp_path: Path) -> None:
    left = tmp_path / ".one.tar.gz.partial"
    left.mkdir()
    (left / "one.tar.gz").write_text("half")
    pack(plain, tmp_path / "one.tar.gz")
    assert {path.name for path in tmp_path.iterdir()} == {"tree", "one.tar.gz", "one.tar.gz.sha256"}


def test_what_cannot_be_packed_is_refused(plain: Path, tmp_path: Path) -> None:
    for target, sentence in (
        (tmp_path / "one.zip", "no name of an archive"),
        (plain / "one.tar.gz", "inside the submission"),
        (tmp_path / "none" / "one.tar.gz", "is no folder"),
    ):
        with pytest.raises(BadInput, match=sentence):
            pack(plain, target)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no file"):
        pack(tmp_path / "empty", tmp_path / "one.tar.gz")
    (tmp_path / "one.tar.gz").write_text("something else")
    with pytest.raises(BadInput, match="holds something else"):
        pack(plain, tmp_path / "one.tar.gz")
    assert (tmp_path / "one.tar.gz").read_text() == "something else"
    (plain / "link").symlink_to(plain / "open")
    with pytest.raises(BadInput, match="link is no plain file"):
        pack(plain, tmp_path / "two.tar.gz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "one.tar.gz", "tree"]


def test_an_archive_with_more_than_files_does_not_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "odd.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("folder")
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    with pytest.raises(BadInput, match="no plain file"):
        read(tmp_path / "odd.tar.gz")
