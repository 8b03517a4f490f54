"""Fixtures of the tests about submission trees."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def tree(shared: Path, tmp_path: Path) -> Path:
    """A copy of the golden tree that may be changed."""
    copy = tmp_path / "tree"
    shutil.copytree(shared / "golden-v6.1", copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy
