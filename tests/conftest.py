"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from absl.testing import flagsaver

from tests import fakes

ROOT = Path(__file__).resolve().parents[1]
LAST = ROOT / "tests" / "backends"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Backends come last: frameworks leave threads, processes and signal handlers in the process of the tests."""
    items.sort(key=lambda item: item.path.is_relative_to(LAST))


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """What a command line sets for the whole process does not outlive its test, and Ctrl-C is heard again."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # some frameworks take it, or a shell's `&` ignores it
    with flagsaver.flagsaver():
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material beside the checkout; the test skips where there is none."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared folder with reference material beside this checkout")
    return folder


@pytest.fixture
def tree(shared: Path, tmp_path: Path) -> Path:
    """A copy of the golden tree that may be changed; the official checker accepts it."""
    copy = tmp_path / "tree"
    shutil.copytree(shared / "golden-v6.1", copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third-party distribution of tests/plugin is installed, for this process and for child processes."""
    monkeypatch.syspath_prepend(str(fakes.PLUGIN))
    monkeypatch.setenv("PYTHONPATH", fakes.environment()["PYTHONPATH"])
