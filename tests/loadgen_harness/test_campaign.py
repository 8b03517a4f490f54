"""Campaigns of real short runs: retries, early stops, what a killed one left, and bad places to write to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadgen_harness import campaign, claim, journal, launch, plan
from loadgen_harness.campaign import Outcome, Policy
from loadgen_harness.errors import BadInput, RunFailed
from loadgen_harness.journal import Event
from loadgen_harness.plan import Plan
from loadgen_harness.run import Run
from loadgen_harness.types import TestMode
from tests.fakes import environment, lgh, names, tiny

pytestmark = pytest.mark.usefixtures("plugin")

SHORT = """
round = "tiny"
tax = false
[[benchmark]]
name = "tiny"
backend = "{backend}"
scenarios = ["{scenario}"]
options = {{ {options} }}
"""
LATE = """
round = "tiny"
division = "open"
tax = false
[[benchmark]]
name = "tiny"
scenarios = ["Server"]
options = { latency_us = 4000 }
overrides = { target_qps = 1000, target_latency = 8, min_duration = 20000 }
"""


def planned(folder: Path, text: str) -> Plan:
    folder.mkdir(exist_ok=True)
    (folder / "plan.toml").write_text(text, encoding="utf-8")
    return plan.read(folder / "plan.toml")


def short(folder: Path, backend: str = "null", options: str = "", scenario: str = "SingleStream") -> Plan:
    return planned(folder, SHORT.format(backend=backend, options=options, scenario=scenario))


def carried_out(chosen: Plan, output: Path, only: str = "performance", **policy: object) -> list[Outcome]:
    return list(campaign.execute(chosen, output, only=only, policy=Policy(**policy)))  # type: ignore[arg-type]


def events(output: Path) -> list[str]:
    return [entry["event"] for entry in journal.read(output)]


def test_the_journal_tells_the_story(tmp_path: Path) -> None:
    chosen = short(tmp_path)
    assert [each.ok for each in carried_out(chosen, tmp_path / "out")] == [True]
    assert events(tmp_path / "out") == ["begin", "start", "finish", "end"]
    finish = journal.read(tmp_path / "out")[2]
    assert finish["key"] == "tiny/SingleStream/performance"
    assert finish["valid"] is True
    assert finish["wall_s"] > 0
    assert [each.resumed for each in carried_out(chosen, tmp_path / "out")] == [True]
    assert events(tmp_path / "out")[4:] == ["begin", "end"]


def test_failed_runs_are_tried_again(tmp_path: Path) -> None:
    chosen = short(tmp_path, "broken", "after = 5")
    remarks: list[str] = []
    outcomes = list(
        campaign.execute(
            chosen,
            tmp_path / "out",
            only="performance",
            policy=Policy(retries=2),
            on_step=lambda step: remarks.append(step.remark),
        )
    )
    assert [each.run for each in outcomes] == [None]
    assert "the device caught fire" in outcomes[0].error
    folder = tmp_path / "out" / "runs" / "tiny" / "SingleStream"
    assert names(folder) == {"performance.failed", "performance.failed-1", "performance.failed-2"}
    assert all("the device caught fire" in (each / "child.log").read_text() for each in folder.iterdir())
    attempts = [entry for entry in journal.read(tmp_path / "out") if entry["event"] == Event.START]
    assert [entry["attempt"] for entry in attempts] == [1, 2, 3]
    retries = [entry for entry in journal.read(tmp_path / "out") if entry["event"] == Event.RETRY]
    assert [entry["kept"] for entry in retries] == ["performance.failed-1", "performance.failed-2"]
    assert sum("is tried again" in remark for remark in remarks) == 2
    assert campaign.count(chosen, tmp_path / "out") == campaign.Count(total=2, done=0, valid=0, failed=1)


def test_a_run_that_cannot_become_valid_is_stopped(tmp_path: Path) -> None:
    """20 s at four times the rate that the backend bears: over after a fraction of it."""
    [outcome] = carried_out(planned(tmp_path, LATE), tmp_path / "out")
    assert outcome.run is None
    assert outcome.doomed
    assert "it cannot become valid any more" in outcome.error
    assert "queries took longer than 8 ms" in outcome.error
    assert "lower target_qps" in outcome.error
    assert str(tmp_path / "out/runs/tiny/Server/performance.failed/child.log") in outcome.error
    entries = journal.read(tmp_path / "out")
    assert [entry.get("doomed") for entry in entries if entry["event"] == Event.FAILURE] == [True]
    kept = tmp_path / "out/runs/tiny/Server/performance.failed"
    assert {"child.log", "user.conf", "mlperf_log_detail.txt"} <= names(kept)


def test_invalid_runs_are_tried_again_and_kept(tmp_path: Path) -> None:
    chosen = planned(tmp_path, LATE.replace("20000", "300"))
    folder = tmp_path / "out" / "runs" / "tiny" / "Server"
    [first] = carried_out(chosen, tmp_path / "out", early_stop=False)
    assert first.run is not None
    assert not first.ok
    begun = first.run.meta["started"]
    [again] = carried_out(chosen, tmp_path / "out", early_stop=False)
    assert again.resumed
    [second] = carried_out(chosen, tmp_path / "out", early_stop=False, retry_invalid=1)
    assert second.run is not None
    assert not second.resumed
    assert names(folder) == {"performance", "performance.invalid-1"}
    assert Run(folder / "performance.invalid-1").meta["started"] == begun
    retry = next(entry for entry in journal.read(tmp_path / "out") if entry["event"] == Event.RETRY)
    assert retry["kept"] == "performance.invalid-1"
    assert retry["why"]


def test_nothing_valid_is_ever_tried_again(tmp_path: Path) -> None:
    chosen = short(tmp_path)
    [first] = carried_out(chosen, tmp_path / "out")
    [second] = carried_out(chosen, tmp_path / "out", retries=3, retry_invalid=3)
    assert second.resumed
    assert first.run is not None
    assert second.run is not None
    assert first.run.meta["started"] == second.run.meta["started"]


def test_what_a_killed_campaign_left(tmp_path: Path) -> None:
    """A whole run without its name gets it; half a one goes; one that is being made is left alone."""
    chosen, output = short(tmp_path), tmp_path / "out"
    [made] = carried_out(chosen, output)
    assert made.run is not None
    folder = made.run.path.parent
    made.run.path.rename(folder / ".performance.partial")
    (folder / ".accuracy.partial" / "power").mkdir(parents=True)
    (folder / ".accuracy.partial" / "child.log").write_text("loading\nout of memory\n", encoding="utf-8")
    (folder / ".tax-abc" / ".null.partial").mkdir(parents=True)
    with claim.claimed(folder / ".tax-def" / "null"):
        [found] = carried_out(chosen, output)
        assert names(folder) == {"performance", ".tax-def"}
    assert found.resumed
    assert found.run is not None
    assert found.run.meta["started"] == made.run.meta["started"]
    recovered = [entry for entry in journal.read(output) if entry["event"] == Event.RECOVERY]
    assert [entry["key"] for entry in recovered] == ["tiny/SingleStream/performance", "tiny/SingleStream/accuracy"]
    assert recovered[0]["taken_over"] == "performance"
    assert recovered[1]["said"] == "out of memory"


@pytest.mark.parametrize("damage", ["cut", *(pytest.param(each, marks=pytest.mark.slow) for each in ("lost", "other"))])
def test_half_a_run_is_never_a_result(tmp_path: Path, damage: str) -> None:
    chosen, output = short(tmp_path), tmp_path / "out"
    [made] = carried_out(chosen, output)
    assert made.run is not None
    partial = made.run.path.rename(made.run.path.with_name(".performance.partial"))
    if damage == "cut":
        os.truncate(partial / "samples.npy", 1000)
    elif damage == "lost":
        (partial / "mlperf_log_detail.txt").unlink()
    else:
        chosen = short(tmp_path, options="latency_us = 50")
    [found] = carried_out(chosen, output)
    assert not found.resumed
    assert found.ok
    assert "removed" in next(entry for entry in journal.read(output) if entry["event"] == Event.RECOVERY)


def test_two_campaigns_in_one_folder(tmp_path: Path) -> None:
    short(tmp_path)
    command = lgh("campaign", str(tmp_path / "plan.toml"), "--output", str(tmp_path / "out"))
    with journal.opened(tmp_path / "out", "this test"):
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 2
    assert f"is being run by process {os.getpid()} on" in done.stderr
    assert not (tmp_path / "out" / "runs").exists()


def test_odd_paths_and_the_last_line(tmp_path: Path) -> None:
    folder = tmp_path / "Prüfstand 7 – 量子"
    short(folder, "broken", "after = 70")
    arguments = ("campaign", str(folder / "plan.toml"), "--output", str(folder / "out put"))
    done = subprocess.run(lgh(*arguments), env=environment(), capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 1, done
    last = done.stdout.splitlines()[-1]
    assert last.startswith("1 of 2 runs done: 1 valid, 0 invalid; 1 failed, 1 left; go on with: lgh campaign '")
    assert f"'{folder / 'out put'}'" in last
    assert names(folder / "out put/runs/tiny/SingleStream") == {"performance.failed", "accuracy"}
    whole = subprocess.run(
        lgh(*arguments, "--only", "accuracy"),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert whole.returncode == 0, whole
    assert whole.stdout.splitlines()[-1] == "1 of 1 runs done: 1 valid, 0 invalid; 0 failed, 0 left"


def test_odd_numbers(tmp_path: Path) -> None:
    short(tmp_path)
    command = lgh("campaign", str(tmp_path / "plan.toml"), "--output", str(tmp_path / "out"), "--retries", "-1")
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 2
    assert "--retries must be 0 or more" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="choose another --output"):
        carried_out(short(tmp_path), tmp_path / "file" / "out")


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own, as small as wanted; skips where this user may not mount one."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Not a byte is left on the folder's disk."""
    with (folder.parent / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    yield


def test_a_disk_that_is_too_small(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", 4) as place:
        with pytest.raises(BadInput, match=r"only \d\.\d MB are free in .*: free some space; the same command goes on"):
            carried_out(short(tmp_path), place / "out")
        assert events(place / "out") == ["begin", "stop"]


@pytest.mark.parametrize("driver", ["native", "python"])
@pytest.mark.parametrize("mode", ["PerformanceOnly", pytest.param("AccuracyOnly", marks=pytest.mark.slow)])
def test_a_disk_that_fills_up(tmp_path: Path, driver: str, mode: str) -> None:
    """From the beginning of the run on: LoadGen's own logs break off without a word from LoadGen."""
    with disk(tmp_path / "disk", 2) as place:
        spec = tiny(place / "run", driver=driver, mode=TestMode(mode))
        with pytest.raises(RunFailed, match=r"the disk of .* is full \(0\.0 MB left\): free some space"):
            launch.launch(spec, hooks=[filled])
        assert names(place) == {"run.failed", "filler"}


def test_a_child_whose_parent_is_gone(tmp_path: Path) -> None:
    """It began too late for the signal that its parent's death is: it looks for itself."""
    command = [sys.executable, "-m", "loadgen_harness.child", str(tmp_path), "1"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=30)
    assert done.returncode == 3
    assert names(tmp_path) == set()
