"""`lgh maxq` on a device whose speed and power follow known laws, so that the true Pareto front is known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from power.watchdog import STATE
from tests.fakes import PLUGIN, ROOT, lgh
from tests.power.machines import STAND_INS, Machine, install
from tests.power.test_watchdog import await_unlocked

DEVICE = ROOT / "tests" / "power" / "device"
SHORT = ("tiny", "--round", "tiny", "--backend", "device", "--duration", "0.8", "--meters", "device")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with settings; child processes also find the device, its meter and the benchmark `tiny`."""
    machine = install(tmp_path / "machine", monkeypatch)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (DEVICE, PLUGIN, STAND_INS, ROOT))))
    monkeypatch.setenv("COLUMNS", "200")
    return machine


def maxq(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(lgh("maxq", *arguments), capture_output=True, text=True, check=False)


def law(mhz: int, governor: str = "schedutil") -> tuple[float, float]:
    """Samples/s and joules per sample of the device."""
    clock = mhz / 2000
    seconds = 0.002 / clock * (1.4 if governor == "powersave" else 1.0)
    return 1 / seconds, (20 + 30 * clock**3) * seconds


def written(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "maxq.json").read_text())
    return content


def by_label(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in written(folder)["settings"]}


@pytest.mark.alone
def test_the_front_is_found_and_settings_are_back(machine: Machine, tmp_path: Path) -> None:
    before = machine.settings()
    arguments = (*SHORT, "--output", str(tmp_path / "q"), "--frequencies", "800,1400,2800", "--repeats", "1")
    done = maxq(*arguments)
    assert done.returncode == 0, done.stderr
    assert machine.settings() == before
    assert written(tmp_path / "q")["front"] == ["1400 MHz", "2800 MHz"]
    for mhz in (800, 1400, 2800):
        row, (speed, cost) = by_label(tmp_path / "q")[f"{mhz} MHz"], law(mhz)
        assert row["speed"]["mean"] == pytest.approx(speed, rel=0.25)  # sleep() oversleeps, more so on a busy machine
        assert row["cost"]["mean"] * row["speed"]["mean"] == pytest.approx(cost * speed, rel=0.02)
    assert "The most frugal is 1400 MHz" in done.stdout
    assert "not an official MLPerf power result" in done.stdout
    picture = ElementTree.fromstring((tmp_path / "q" / "maxq.svg").read_text())
    assert picture.tag.endswith("svg")
    runs = sorted((tmp_path / "q" / "runs").glob("*/*/run.json"))
    stamps = [path.stat().st_mtime_ns for path in runs]
    assert len(runs) == 3
    again = maxq(*arguments)
    assert again.returncode == 0
    assert [path.stat().st_mtime_ns for path in runs] == stamps
    assert machine.settings() == before


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_front_over_two_knobs(machine: Machine, tmp_path: Path) -> None:
    clocks, governors = (800, 1400, 2000, 2800), ("performance", "powersave")
    knobs = ("--frequencies", ",".join(map(str, clocks)), "--governors", ",".join(governors))
    done = maxq(*SHORT, "--output", str(tmp_path / "q"), *knobs, "--repeats", "2")
    assert done.returncode == 0, done.stderr
    laws = {f"{mhz} MHz, {governor}": law(mhz, governor) for mhz in clocks for governor in governors}
    front = {
        label
        for label, (speed, cost) in laws.items()
        if not any(s >= speed and c <= cost and (s, c) != (speed, cost) for s, c in laws.values())
    }
    assert len(front) == 3
    assert set(written(tmp_path / "q")["front"]) == front
    assert all(row["cost"]["n"] == 2 for row in by_label(tmp_path / "q").values())


@contextmanager
def sweeping(output: Path) -> Iterator[subprocess.Popen[str]]:
    """A sweep that is in its first run."""
    command = lgh(
        "maxq", *SHORT, "--duration", "100", "--output", str(output), "--frequencies", "900", "--repeats", "9"
    )
    with subprocess.Popen(
        command, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            end = time.monotonic() + 40
            while not list(output.glob("runs/*/.*partial/user.conf")) and time.monotonic() < end:
                time.sleep(0.02)
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_ended_in_the_middle_of_a_run(machine: Machine, tmp_path: Path, number: int, code: int) -> None:
    before = machine.settings()
    with sweeping(tmp_path / "q") as process:
        assert (machine.cpufreq / "policy0/scaling_max_freq").read_text() == "900000\n"
        if number == signal.SIGINT:
            second = maxq(*SHORT, "--output", str(tmp_path / "other"), "--frequencies", "900")
            assert (second.returncode, "another sweep" in second.stderr) == (2, True)
        process.send_signal(number)
        process.communicate(timeout=40)
        assert process.returncode == code
    await_unlocked(machine)
    assert machine.settings() == before
    assert not (machine.state / STATE).exists()


def test_an_estimate_is_never_used(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (PLUGIN, ROOT))))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LGH_FAKE_NVML")
    for meters, word in (("auto", "never uses an estimate"), ("estimate", "does not measure this machine")):
        done = maxq("tiny", "--round", "tiny", "--output", str(tmp_path / "q"), "--meters", meters)
        assert done.returncode == 2
        if meters == "auto" and "never uses" not in done.stderr:
            pytest.skip("this machine has a power meter of its own")
        assert word in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "q").exists()


def refused(*arguments: str) -> str:
    done = maxq(*arguments)
    assert done.returncode == 2, done.stderr
    return done.stderr.splitlines()[-1]


def test_no_permission_is_said_before_any_run(machine: Machine, tmp_path: Path) -> None:
    before = machine.settings()
    (machine.gpus / "denied").touch()
    said = refused(*SHORT, "--output", str(tmp_path / "q"), "--power-limits", "150,200")
    assert "sudo nvidia-smi -pl WATTS" in said
    (machine.gpus / "denied").unlink()
    assert machine.settings() == before
    assert not (tmp_path / "q" / "runs").exists()


def test_what_cannot_be_swept_is_said(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine.settings()
    output = ("--output", str(tmp_path / "q"))
    assert "100 to 350 W" in refused(*SHORT, *output, "--power-limits", "20")
    assert "--output" in refused(*SHORT)
    shown = maxq(*SHORT, *output, "--dry-run", "--repeats", "2")
    assert shown.returncode == 0
    assert "350 W" in shown.stdout  # the GPUs' limit comes first
    assert "measured by device; nothing was changed" in shown.stdout
    unmeasured = maxq(*SHORT, *output, "--dry-run", "--meters", "estimate")
    assert (unmeasured.returncode, "350 W" in unmeasured.stdout) == (0, True)
    assert "measured by" not in unmeasured.stdout and "nothing was changed" in unmeasured.stdout
    assert "would be refused here: meter estimate does not measure" in " ".join(unmeasured.stderr.split())
    monkeypatch.delenv("LGH_FAKE_NVML")
    monkeypatch.setenv("LGH_SYSFS", str(tmp_path))
    assert "nothing that maxq could set" in refused(*SHORT, *output)
    assert machine.settings() == before
    assert not (tmp_path / "q").exists()


def test_restore_by_hand(machine: Machine) -> None:
    done = maxq("--restore")
    assert (done.returncode, "nothing is to be restored" in done.stdout) == (0, True)
    machine.state.mkdir(exist_ok=True)
    state = {"host": os.uname().nodename, "knobs": {"cpu_governor": {"policy0/scaling_governor": "powersave"}}}
    (machine.state / STATE).write_text(json.dumps(state))
    done = maxq("--restore")
    assert "restored cpu_governor: policy0/scaling_governor = powersave" in done.stdout
    assert (machine.cpufreq / "policy0/scaling_governor").read_text() == "powersave\n"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_server_runs_at_the_highest_valid_rate(machine: Machine, tmp_path: Path) -> None:
    """A sample takes 2 ms at 2000 MHz: 500 queries/s is the end, with the latency limit a little below or above."""
    arguments = (*SHORT, "--duration", "1", "--scenario", "Server", "--output", str(tmp_path / "q"), "--repeats", "1")
    done = maxq(*arguments, "--frequencies", "1000,2000")
    assert done.returncode in (0, 1), done.stderr
    rows = by_label(tmp_path / "q")
    rates = [rows[label]["rate"] for label in ("1000 MHz", "2000 MHz")]
    assert rates[1] / rates[0] == pytest.approx(2, rel=0.4)
    fixed = maxq(*arguments[:-4], "--output", str(tmp_path / "f"), "--target-qps", "100", "--frequencies", "1000,2000")
    assert fixed.returncode == 0, fixed.stderr
    assert not list((tmp_path / "f").rglob("search"))
    assert all(row["speed"]["mean"] == pytest.approx(100, rel=0.3) for row in by_label(tmp_path / "f").values())


def test_the_module_needs_no_gpu_library() -> None:
    """`pynvml` is imported where a GPU's knob is used only."""
    source = "import sys; import loadgen_harness.maxq; sys.exit('pynvml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], cwd=ROOT, check=False).returncode == 0
