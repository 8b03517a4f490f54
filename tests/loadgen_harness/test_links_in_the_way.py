"""Links at the place of an output: they stay, what they lead to is written or the verb refuses; nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from loadgen_harness import durable
from loadgen_harness.errors import BadInput
from power import server_conf
from submissions import archive
from tests.loadgen_harness.misused import seen


def linked(folder: Path, content: str | None = None) -> Path:
    """A link to a file of another folder, which is there only with a content."""
    (folder / "store").mkdir()
    if content is not None:
        (folder / "store" / "target").write_text(content)
    (folder / "out").symlink_to("store/target")
    return folder / "out"


@pytest.mark.parametrize("there", [None, "before"])
def test_a_link_stays_and_what_it_leads_to_is_written(there: str | None, tmp_path: Path) -> None:
    out = linked(tmp_path, there)
    durable.put(out, "new")
    assert out.is_symlink() and (tmp_path / "store" / "target").read_text() == "new"
    assert seen(tmp_path).keys() == {str(tmp_path / each) for each in ("out", "store", "store/target")}


@pytest.mark.parametrize(("target", "why"), [("out", "symbolic links"), ("gone/target", "No such file")])
def test_a_link_to_nowhere_is_refused_and_stays(target: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(target)
    with pytest.raises(BadInput, match=why):
        durable.put(tmp_path / "out", "new")
    with pytest.raises(BadInput, match=why):
        durable.put_all({tmp_path / "other": b"", tmp_path / "out": b"new"})
    assert seen(tmp_path) == {str(tmp_path / "out"): f"-> {target}"}


def test_two_names_of_one_file_are_refused(tmp_path: Path) -> None:
    """The second would be written over the first."""
    out = linked(tmp_path, "before")
    with pytest.raises(BadInput, match="two names"):
        durable.put_all({out: b"one", tmp_path / "store" / "target": b"two"})
    assert out.read_text() == "before"


def test_files_of_a_tree_of_links_go_each_to_their_own_folder(tmp_path: Path) -> None:
    """As `lgh system --output LINK` and a report whose page is served from elsewhere."""
    out = linked(tmp_path, "before")
    files: Mapping[Path, bytes] = {tmp_path / "note": b"1", out: b"2"}
    durable.put_all(files)
    assert out.is_symlink() and [path.read_bytes() for path in files] == [b"1", b"2"]


def test_an_archive_goes_where_its_link_leads(tmp_path: Path) -> None:
    """And its manifest, beside the link, is of the name that was given."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("x")
    (tmp_path / "store").mkdir()
    (tmp_path / "a.tar.gz").symlink_to("store/b.tar.gz")
    for _ in range(2):  # the second finds the same bytes
        manifest = archive.pack(tmp_path / "tree", tmp_path / "a.tar.gz")
        assert (tmp_path / "a.tar.gz").is_symlink() and (tmp_path / "store" / "b.tar.gz").is_file()
    assert manifest == tmp_path / "a.tar.gz.sha256"
    command = ["sha256sum", "--check", "--ignore-missing", manifest.name]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_a_server_conf_is_not_written_over_a_link(tmp_path: Path) -> None:
    out = linked(tmp_path)
    with pytest.raises(BadInput, match="exists"):
        server_conf.write(out, "x")
    assert out.is_symlink() and not out.exists()
