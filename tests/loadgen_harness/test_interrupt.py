"""Runs that are interrupted from outside: no orphan, no traceback, nothing half-written under the final name."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.launch import launch
from tests.fakes import environment, lgh, names, tiny

pytestmark = [
    pytest.mark.usefixtures("plugin"),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes"),
]


def children(pid: int) -> list[int]:
    """Live processes whose parent is `pid`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Any, limit_s: float = 40.0) -> Any:
    end = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


@contextmanager
def slow_run(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """An `lgh run` that would take minutes, in a process group of its own, and the pid of its LoadGen child."""
    settings = ("--backend", "broken", "--option", "fault=slow", "--min-duration-ms", "200000", "--hang-timeout", "50")
    command = lgh("run", "tiny", "--round", "tiny", *settings, "--output", str(folder / "run"))
    with subprocess.Popen(
        command, env=environment(), start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            child = wait_for(lambda: children(process.pid))[0]
            wait_for(lambda: (folder / ".run.partial" / "user.conf").exists())
            yield process, child
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def test_ctrl_c(tmp_path: Path) -> None:
    with slow_run(tmp_path) as (process, child):
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=40)
        assert process.returncode == 130
        assert errors.count("\n") == 1
        assert "interrupted" in errors
        assert not alive(child)
    assert names(tmp_path) <= {"run.failed"}


def test_a_killed_parent_leaves_no_orphan(tmp_path: Path) -> None:
    with slow_run(tmp_path) as (process, child):
        process.kill()
        process.communicate(timeout=40)
        wait_for(lambda: not alive(child))
    assert names(tmp_path) == {".run.partial"}
    assert launch(tiny(tmp_path / "run")).valid
    assert names(tmp_path) == {"run"}


LOST = """
import os, signal
class Left:
    def __del__(self):  # what is raised in here is printed and forgotten
        os.kill(os.getpid(), signal.SIGINT)
Left()
raise ImportError("went on")
"""


@pytest.mark.parametrize("ignored", [False, True])
def test_ctrl_c_amid_imports_is_neither_lost_nor_explained(ignored: bool, tmp_path: Path) -> None:
    """Where it is ignored, as in the background of a script, it stays so."""
    (tmp_path / "absl.py").write_text(LOST)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        env = {**environment(), "PYTHONPATH": f"{tmp_path}:{environment()['PYTHONPATH']}"}
        done = subprocess.run(lgh("list"), env=env, capture_output=True, text=True, check=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == (1 if ignored else 130)
    assert ("went on" in done.stderr) == ignored and (ignored or done.stderr == "")


def test_little_is_imported_before_ctrl_c_is_looked_after() -> None:
    """Only what Python itself has imported by then, but for one empty module."""
    code = "import sys; before = set(sys.modules); import loadgen_harness.__main__; print(set(sys.modules) - before)"
    env = environment()
    done = subprocess.run([sys.executable, "-S", "-c", f"import os; {code}"], env=env, capture_output=True, check=True)
    assert ast.literal_eval(done.stdout.decode()) == {"__future__", "loadgen_harness", "loadgen_harness.__main__"}


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_imports_no_numbers_and_no_tables(flag: str) -> None:
    """Answers that take a third of a second would take a whole one."""
    command = [sys.executable, "-X", "importtime", *lgh(flag)[1:]]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "absl" in imported and not imported & {"numpy", "rich", "jinja2", "mlperf_loadgen", "onnxruntime"}
    assert "lgh" in done.stdout
