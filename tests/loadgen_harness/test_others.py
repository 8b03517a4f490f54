"""What others take of the processors is told from what this process and its children take."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from loadgen_harness import others
from loadgen_harness.others import Others

SPIN = "import time; end = time.monotonic() + {}\nwhile time.monotonic() < end: pass"
BUSY_S = 1.2


def seen(during: Callable[[], object]) -> dict[str, float]:
    watch = Others()
    watch.timed(False)
    watch.timed(True)
    during()
    watch.timed(False)
    found = watch.found()
    assert found is not None
    return found


def test_own_children_are_not_others() -> None:
    begun, before = others._mark(), psutil.Process().cpu_times()
    subprocess.run([sys.executable, "-c", SPIN.format(BUSY_S)], check=True)
    ended, after = others._mark(), psutil.Process().cpu_times()
    taken = sum(after[:4]) - sum(before[:4])
    assert taken > 0.1
    assert ended.own_s - begun.own_s == pytest.approx(taken, abs=0.05)
    assert ended.busy_s - begun.busy_s > 0.9 * taken - 0.05


def test_others_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same child, taken for somebody else's."""
    monkeypatch.setattr(others, "_family", list)
    found = seen(lambda: subprocess.run([sys.executable, "-c", SPIN.format(BUSY_S)], check=True))
    assert found["other_cores"] > 0.5


def test_what_is_not_timed_or_too_short_tells_nothing() -> None:
    watch = Others()
    watch.timed(False)
    assert watch.found() is None
    watch.timed(True)
    assert watch.found() is None
    watch.timed(False)
    assert watch.found() is None


def test_it_counts_once() -> None:
    watch = Others()
    watch.timed(True)
    time.sleep(others.SHORTEST_S)
    watch.timed(False)
    first = watch.found()
    watch.timed(True)
    watch.timed(False)
    assert watch.found() == first


def test_a_process_that_has_ended_counts_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    process = psutil.Process(child.pid)
    child.wait()
    assert others._taken(process) == 0
