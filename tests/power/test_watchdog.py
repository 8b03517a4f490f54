"""Settings are back whatever ends the program that changed them."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from power.knob import KnobFailed
from power.watchdog import COMPLAINTS, LOCK, STATE, guarded, restore_saved
from tests.fakes import ROOT
from tests.power.machines import Machine, install
from tests.power.restless import VALUES

LIMIT_S = 30.0
START_S = 0.9  # the program and its watchdog start in about half of this
TURNING_S = 0.1
AGAIN_S = 10.0


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr("power.watchdog.PAUSE_S", 0.01)
    return install(tmp_path, monkeypatch)


@contextmanager
def restless(machine: Machine, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    path = os.pathsep.join((machine.environment["PYTHONPATH"], str(ROOT)))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.power.restless", *arguments],
        cwd=ROOT,
        env={**os.environ, **machine.environment, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def await_unlocked(machine: Machine) -> None:
    """The watchdog holds the lock until it has restored."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        try:
            handle = os.open(machine.state / LOCK, os.O_RDWR)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.01)
        finally:
            os.close(handle)
    raise AssertionError("the watchdog does not end")


def is_forgotten(machine: Machine) -> bool:
    return not (machine.state / STATE).exists()


def killed(folder: Path, after_s: float, number: int) -> tuple[bool, set[tuple[str, str]]]:
    """Kill the program so long after its start, below 0 after its first change.

    Returns whether settings had changed by then, and those that were not restored.
    """
    machine = Machine(folder)
    before = machine.settings()
    with restless(machine) as process:
        if after_s < 0:
            assert process.stdout and process.stdout.readline() == b"turning\n"
        time.sleep(abs(after_s))
        os.kill(process.pid, signal.SIGSTOP)  # so that what is read is what the kill leaves
        changed = machine.settings() != before
        os.kill(process.pid, number)
        os.kill(process.pid, signal.SIGCONT)
        try:
            process.communicate(timeout=AGAIN_S)
        except subprocess.TimeoutExpired:  # Python drops a Ctrl-C that meets certain callbacks of its imports
            process.kill()
            process.communicate(timeout=LIMIT_S)
    await_unlocked(machine)
    return changed, set(machine.settings().items()) ^ set(before.items())


def kill_often(folder: Path, count: int, seed: int) -> int:
    """Kill at random moments by random signals; returns in how many cases settings had been changed."""
    draw = random.Random(seed)
    signals = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSEGV]
    moments = [draw.uniform(0.05, START_S) if n % 3 == 0 else -draw.uniform(0, TURNING_S) for n in range(count)]
    plans = [(folder / str(n), moment, draw.choice(signals)) for n, moment in enumerate(moments)]
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(lambda plan: killed(*plan), plans))
    wrong = [(plan, left) for plan, (_, left) in zip(plans, ends, strict=True) if left]
    assert not wrong, wrong
    return sum(changed for changed, _ in ends)


def test_after_20_kills_at_random_moments(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    assert kill_often(tmp_path, 20, seed) > 6, f"hardly a kill met a changed setting, seed {seed}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_200_kills_at_random_moments(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    assert kill_often(tmp_path, 200, seed) > 40, f"seed {seed}"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -2), (signal.SIGKILL, -9)])
def test_a_kill_while_turning(machine: Machine, number: int, code: int) -> None:
    before = machine.settings()
    with restless(machine) as process:
        assert process.stdout and process.stdout.readline() == b"turning\n"
        assert machine.settings() != before
        os.killpg(process.pid, number)
        process.communicate(timeout=LIMIT_S)
        assert process.returncode == code
    await_unlocked(machine)
    assert machine.settings() == before
    assert is_forgotten(machine)


def test_a_bug_in_the_sweep(machine: Machine) -> None:
    before = machine.settings()
    with restless(machine, "raise") as process:
        _, errors = process.communicate(timeout=LIMIT_S)
    assert b"the sweep has a bug" in errors
    assert machine.settings() == before
    assert is_forgotten(machine)


def test_the_normal_end(machine: Machine) -> None:
    before = machine.settings()
    with guarded(list(VALUES)) as guard:
        for name, values in VALUES.items():
            guard.set(name, values[0])
            assert guard.drifted(name, values[0]) == ""
        assert machine.settings() != before
        written = json.loads((machine.state / STATE).read_text())
        assert written["knobs"]["gpu_power"] == {"GPU-0": "300000", "GPU-1": "293000"}
        (machine.cpufreq / "policy1/scaling_governor").write_text("ondemand\n")
        assert "policy1" in guard.drifted("cpu_governor", "powersave")
    assert machine.settings() == before
    assert is_forgotten(machine)


def test_a_watchdog_that_died(machine: Machine) -> None:
    before = machine.settings()
    with pytest.raises(KnobFailed, match="watchdog that restores settings has ended"), guarded(["gpu_power"]) as guard:
        guard.set("gpu_power", "150")
        guard.process.kill()
        guard.process.wait()
        assert machine.settings() != before
        guard.set("gpu_power", "200")
    assert machine.settings() == before
    assert is_forgotten(machine)


def test_the_death_of_both(machine: Machine) -> None:
    before = machine.settings()
    with restless(machine) as process:
        assert process.stdout and process.stdout.readline() == b"turning\n"
        os.kill(process.pid, signal.SIGSTOP)
        dogs = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        assert len(dogs) == 1
        os.kill(dogs[0], signal.SIGKILL)
        process.kill()
        process.communicate(timeout=LIMIT_S)
    await_unlocked(machine)
    left = machine.settings()
    assert left != before
    with pytest.raises(BadInput, match="run `lgh maxq --restore` first"), guarded(["gpu_power"]):
        raise AssertionError("what is left must not be taken for the original settings")
    assert machine.settings() == left
    lines = restore_saved()
    assert "gpu_power: GPU-1 = 293000" in lines
    assert machine.settings() == before
    assert restore_saved() == []


def test_two_at_once(machine: Machine) -> None:
    with guarded(["gpu_power"]):
        with pytest.raises(BadInput, match="another sweep"), guarded(["gpu_power"]):
            raise AssertionError("the lock holds nobody off")
        with pytest.raises(BadInput, match="another sweep"):
            restore_saved()
    with guarded(["gpu_power"]):
        pass


def test_what_cannot_be_restored_is_complained_about(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    before = machine.settings()
    with (
        pytest.raises(KnobFailed, match=r"NOT restored.*root only.*--restore"),
        guarded(["gpu_power", "cpu_governor"]) as g,
    ):
        g.set("gpu_power", "150")
        g.set("cpu_governor", "powersave")
        (machine.gpus / "denied").touch()
    assert "settings are NOT restored" in capfd.readouterr().err
    assert "root only" in (machine.state / COMPLAINTS).read_text()
    assert (machine.cpufreq / "policy0/scaling_governor").read_text() == "schedutil\n"  # the others are back
    with pytest.raises(BadInput, match=r"root only.*--restore"), guarded(["cpu_governor"]):
        raise AssertionError("not before it is mended")
    (machine.gpus / "denied").unlink()
    restore_saved()
    assert machine.settings() == before
    assert {path.name for path in machine.state.iterdir()} == {LOCK}


def test_a_device_that_is_gone_keeps_no_other(machine: Machine) -> None:
    with pytest.raises(KnobFailed, match="GPU-0 is gone"), guarded(["gpu_power"]) as guard:
        guard.set("gpu_power", "150")
        (machine.gpus / "GPU-0").rename(machine.gpus / "absent")
    assert (machine.gpus / "GPU-1").read_text() == "293000 0"


def test_a_setting_that_does_not_come_back(machine: Machine) -> None:
    """Writing succeeds and changes nothing: reading back sees it."""
    with pytest.raises(KnobFailed, match="policy0/scaling_governor is  instead of schedutil"):  # noqa: SIM117
        with guarded(["cpu_governor"]) as guard:
            guard.set("cpu_governor", "powersave")
            path = machine.cpufreq / "policy0/scaling_governor"
            path.unlink()
            path.symlink_to("/dev/null")
    assert not is_forgotten(machine)


def test_a_knob_that_this_machine_lacks_changes_nothing(machine: Machine) -> None:
    before = machine.settings()
    for path in machine.gpus.glob("GPU-*"):
        path.unlink()
    with pytest.raises(BadInput, match="there is none"), guarded(["cpu_governor", "gpu_power"]):
        raise AssertionError("it began without a GPU")
    assert is_forgotten(machine)
    assert {k: v for k, v in before.items() if "nvml" not in k} == machine.settings()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"knobs": {"gpu_power": 1}}', '{"host": "elsewhere", "knobs": {}}'])
def test_a_state_that_is_damaged_or_anothers(machine: Machine, text: str) -> None:
    before = machine.settings()
    machine.state.mkdir()
    (machine.state / STATE).write_text(text)
    with pytest.raises(BadInput, match=r"cannot be read|another machine"):
        restore_saved()
    assert machine.settings() == before


def test_a_state_that_was_tampered_with_writes_no_other_file(machine: Machine) -> None:
    """Root restores it: only settings of this machine are ever written."""
    with restless(machine) as process:
        assert process.stdout and process.stdout.readline()
        target = machine.folder / "target"
        target.write_text("mine")
        state = json.loads((machine.state / STATE).read_text())
    await_unlocked(machine)
    state["knobs"] = {"cpu_governor": {"../../../../target": "theirs"}, "no_such_knob": {"a": "b"}}
    (machine.state / STATE).write_text(json.dumps(state))
    with pytest.raises(KnobFailed, match="no setting of this machine"):
        restore_saved()
    assert target.read_text() == "mine"


def test_a_folder_that_cannot_be_written(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGH_STATE", str(machine.gpus / "GPU-0" / "below"))
    with pytest.raises(BadInput, match="LGH_STATE"), guarded(["gpu_power"]):
        raise AssertionError("it began without a place for the originals")
