"""The sampler process is real: it starts, samples, stops with its parent and leaves nothing behind."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.run import Run
from power.energy import findings, summarize
from power.log import read
from power.meter import MeterFailed
from power.recorder import record
from tests.power.folders import stamp, write_log

ROOT = Path(__file__).parents[2]
PARENT = """
import sys, time, pathlib
from power.recorder import record
with record(["estimate"], idle_s=0.0)(pathlib.Path(sys.argv[1])):
    pathlib.Path(sys.argv[1], "inside").touch()
    time.sleep(60)
"""


def samplers(folder: Path) -> list[psutil.Process]:
    """Sampler processes that write into `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if str(folder / "power") in (process.info["cmdline"] or []):
            found.append(process)
    return found


def wait_until(true) -> bool:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 8
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(true())


def test_a_recorded_run_has_an_estimate_and_idle_power(tmp_path: Path) -> None:
    with record(["estimate"], idle_s=0.4)(tmp_path):
        assert len(samplers(tmp_path)) == 1
        begin = time.time()
        time.sleep(0.8)
        end = time.time()
    assert not samplers(tmp_path)
    assert sorted(p.name for p in (tmp_path / "power").iterdir()) == ["estimate.csv", "meters.json", "spl.txt"]
    about = json.loads((tmp_path / "power" / "meters.json").read_text())
    assert about["format"] == 2
    assert about["meters"]["estimate"]["estimated"] is True
    assert {"parts", "resolution", "clock_s"} <= about["meters"]["estimate"].keys()
    assert "TDP" in about["meters"]["estimate"]["details"]["source"]
    run = Run(write_log(tmp_path, end=0, power_begin=stamp(begin), power_end=stamp(end)))
    assert list(findings(run)) == []
    energy = summarize(run)
    assert energy is not None
    assert energy.samples >= 6
    assert energy.idle_w is not None
    assert 0.2 <= energy.idle_s <= 1.5
    assert energy.text().startswith("estimated: ")


def test_a_block_that_raises_ends_the_sampler(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), record(["estimate", "estimate"], idle_s=0.0)(tmp_path):
        _ = 1 / 0
    assert not samplers(tmp_path)
    assert len(read(tmp_path / "power" / "estimate.csv").samples) >= 2


def test_a_killed_parent_takes_the_sampler_along(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], env=environment)
    try:
        assert wait_until((tmp_path / "inside").exists)
        assert len(samplers(tmp_path)) == 1
    finally:
        parent.kill()
        parent.wait()
    assert wait_until(lambda: not samplers(tmp_path))
    assert not read(tmp_path / "power" / "estimate.csv").damage
    assert read(tmp_path / "power" / "spl.txt").samples


def test_a_meter_that_does_not_work_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'estimate'"):
        record(["estimat"])
    with pytest.raises(BadInput, match="name one"):
        record([])
    hook = record(["estimate"])
    monkeypatch.setenv("LGH_TDP_W", "much")
    with pytest.raises(BadInput, match="TDP"):
        record(["estimate"])
    with pytest.raises(MeterFailed, match="did not start: LGH_TDP_W must be"), hook(tmp_path):
        pytest.fail("the block must not begin")
    with pytest.raises(BadInput, match="exists"), hook(tmp_path):
        pytest.fail("the block must not begin")


def test_no_first_sample_in_time_is_one_sentence(tmp_path: Path) -> None:
    hook = record(["estimate"], timeout_s=0.0)
    with pytest.raises(MeterFailed, match="no power meter answered within 0 s"), hook(tmp_path):
        pytest.fail("the block must not begin")
    assert not samplers(tmp_path)


def test_a_killed_sampler_leaves_its_samples_and_the_run_says_so(tmp_path: Path) -> None:
    with record(["estimate"], idle_s=0.0)(tmp_path):
        begin = time.time()
        time.sleep(0.5)
        samplers(tmp_path)[0].kill()
        end = time.time()
    run = Run(write_log(tmp_path, end=0, power_begin=stamp(begin), power_end=stamp(end + 1)))
    assert "the power sampler was killed by SIGKILL" in [fault.found for fault in findings(run)]
    assert summarize(run) is None
    assert len(read(tmp_path / "power" / "estimate.csv").samples) >= 3
    assert read(tmp_path / "power" / "spl.txt").mark == "lgh-estimated-estimate"


def test_a_full_disk_ends_the_sampler_and_not_the_run(tmp_path: Path) -> None:
    """A limit on the size of files fails a write as a full disk does."""
    with record(["estimate"], idle_s=0.0)(tmp_path):
        log = tmp_path / "power" / "sampler.log"
        sampler = samplers(tmp_path)[0]
        assert wait_until(lambda: len(read(tmp_path / "power" / "estimate.csv").samples) > 2)
        resource.prlimit(sampler.pid, resource.RLIMIT_FSIZE, (100, 100))
        begin = time.time()
        assert wait_until(lambda: not samplers(tmp_path))
        end = time.time()
    assert log.read_text() != ""
    run = Run(write_log(tmp_path, end=0, power_begin=stamp(begin), power_end=stamp(end)))
    assert summarize(run) is None
    assert {fault.key for fault in findings(run)} == {"meter", "utc_s"}  # it gave up before the window began
    assert len(read(tmp_path / "power" / "estimate.csv").samples) > 2
