"""The command line where it is ended, cut off or cannot be read: real processes, their exit codes and words."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.fakes import environment, lgh, names
from tests.loadgen_harness.test_interrupt import alive, slow_run

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes")
ASCII = {"PYTHONIOENCODING": "ascii"}
BARE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def shell(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A line of bash in a folder, where `lgh` is the command line."""
    text = line.replace("lgh ", f"{shlex.join(lgh())} ")
    return subprocess.run(
        ["bash", "-c", text], cwd=folder, env={**environment(), **more}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_ended_from_outside(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """As Ctrl-C does: no orphan, one sentence, the run kept as failed."""
    with slow_run(tmp_path) as (process, child):
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=40)
        assert process.returncode == code
        assert errors.count("\n") == 1 and errors.startswith("error: ended: ") and "NAME.failed" in errors
        assert not alive(child)
    assert names(tmp_path) <= {"run.failed"}


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As nohup has it."""
    done = shell(
        "trap '' HUP; lgh run tiny --round tiny --backend null --output x & sleep 1; kill -HUP $!; wait $!", tmp_path
    )
    assert done.returncode == 0, done
    assert names(tmp_path) == {"x"}


def test_a_reader_that_is_gone(tmp_path: Path) -> None:
    for line in ("lgh list", "lgh list --json", "lgh run tiny --round tiny --backend null --output x"):
        done = shell(f"({line}; echo $? > code) | true", tmp_path)
        assert done.stderr == ""
        assert (tmp_path / "code").read_text().strip() in ("141", "0")  # 0 where it was faster
    assert names(tmp_path) <= {"code", "x", "x.failed"}


def test_output_that_is_closed(tmp_path: Path) -> None:
    done = shell("lgh run tiny --round tiny --backend null --output x >&-", tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert shell("lgh run tyni --output y >&- 2>&-", tmp_path).returncode == 2
    assert names(tmp_path) == {"x"}


@pytest.mark.parametrize(("bare", "line"), [(ASCII, "lgh plan --benchmark résnet50"), (BARE, r"lgh check $'ö\xff'")])
def test_letters_that_the_terminal_lacks(bare: dict[str, str], line: str, tmp_path: Path) -> None:
    done = shell("lgh plan --round v6.1 --benchmark resnet50 --expect 2ms", tmp_path, **bare)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    done = shell(line, tmp_path, **bare)
    assert done.returncode == 2, done
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    done = shell("mkdir gone; cd gone; rmdir ../gone; lgh run tiny --round tiny --backend null --output x", tmp_path)
    assert done.returncode == 2, done
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert names(tmp_path) == set()


def test_without_a_home(tmp_path: Path) -> None:
    done = shell("unset HOME; lgh run tiny --round tiny --backend null --output x", tmp_path)
    assert done.returncode == 0, done


def test_two_at_once(tmp_path: Path) -> None:
    """One makes the run, the other says so."""
    line = "lgh run tiny --round tiny --backend null --output x"
    done = shell(f"({line}; echo $? >> codes) & ({line}; echo $? >> codes); wait", tmp_path)
    assert sorted((tmp_path / "codes").read_text().split()) == ["0", "2"], done
    assert "Traceback" not in done.stderr and names(tmp_path) == {"codes", "x"}
