"""Two launches never make the same run; what a dead one left behind stops nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadgen_harness.claim import claimed
from loadgen_harness.errors import BadInput
from tests.fakes import environment, names

HOLD = """
import sys, time
from pathlib import Path
from loadgen_harness.claim import claimed
with claimed(Path(sys.argv[1])) as folder:
    (folder / "half.txt").write_text("half")
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_at_a_time(tmp_path: Path) -> None:
    output = tmp_path / "sub" / "run"
    with claimed(output) as folder:
        (folder / "file.txt").write_text("mine")
        with pytest.raises(BadInput, match="is being made by another run"), claimed(output):
            pass
        assert names(folder) == {"file.txt"}
        with claimed(output.with_name("other")) as other:
            assert other != folder
    with claimed(output) as again:
        assert names(again) == set()


def test_a_run_finished_meanwhile_is_left_alone(tmp_path: Path) -> None:
    output = tmp_path / "run"
    with claimed(output) as folder:
        folder.rename(output)
    with pytest.raises(BadInput, match="exists: choose another --output"), claimed(output):
        pass
    assert names(tmp_path) == {"run"}


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    output = tmp_path / "run"
    command = [sys.executable, "-c", HOLD, str(output)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BadInput, match="another run"), claimed(output):
            pass
        process.send_signal(signal.SIGKILL)
    assert names(tmp_path / ".run.partial") == {"half.txt"}
    (tmp_path / ".run.partial" / "power").mkdir()
    with claimed(output) as folder:
        assert names(folder) == set()
