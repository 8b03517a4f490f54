"""Runs that the suite did not make become a tree: the golden runs become the golden tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput, SuiteError
from submissions import imported
from submissions.build import Places, build
from submissions.check import check
from tests.submissions import manifests

# What the official scripts print differs from what ours write in these lines alone.
WORDING = {
    "verify_performance.txt": (
        re.compile(r"^\[.* log_parser\.py:\d+ INFO\] Sucessfully loaded MLPerf log from .*\n", re.MULTILINE),
    )
}


def worded(name: str, text: str) -> str:
    """A verification text without what may differ: the log parser's lines, and the case of "reference score"."""
    for pattern in WORDING.get(name, ()):
        text = pattern.sub("", text)
    return text


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_golden_tree_comes_back_byte_for_byte(shared: Path, tmp_path: Path) -> None:
    found = imported.read(manifests.closed(shared, tmp_path / "in"))
    assert build(found.entries, found.meta, Places(tmp_path / "tree", tmp_path / "sealed"))
    ours, theirs = files(tmp_path / "tree" / "closed"), files(shared / "golden-v6.1" / "closed")
    assert ours.keys() == theirs.keys() and len(theirs) == 57
    unequal = {name for name in ours if ours[name] != theirs[name]}
    print(sorted(unequal))
    for name in unequal:
        short = name.rpartition("/")[2]
        print(name, ours[name].decode(), theirs[name].decode())
    assert {name.rpartition("/")[2] for name in unequal} <= {"verify_performance.txt"}
