"""Power beside one run: `record(["rapl"])` is the hook that `launch()` opens with the run folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import power
from loadgen_harness.errors import BadInput
from power import meter, spl
from power.meter import MeterFailed
from power.sampler import COMPLAINTS

STOP_S = 5.0


def record(
    meters: Sequence[str], *, idle_s: float = 0.5, timeout_s: float = 20.0
) -> Callable[[Path], AbstractContextManager[None]]:
    """A hook that writes `power/` into a run folder; raises for a meter that does not exist or work here.

    Idle power is measured for `idle_s` before the block begins, for longer where a meter needs longer for one reading;
    `timeout_s` bounds the wait for the first samples.
    """
    names = tuple(dict.fromkeys(meters))
    if not names:
        raise BadInput("no power meter was named: name one, such as estimate.")
    for name in names:
        meter.load(name)

    @contextmanager
    def hook(folder: Path) -> Iterator[None]:
        target = Path(folder) / "power"
        if target.exists():
            raise BadInput(f"{target} exists: measure into a new folder.")
        target.mkdir()
        process = _start(target, names, idle_s)
        try:
            _await_first(process, target, timeout_s)
            time.sleep(_idle_s(target))
            yield
        finally:
            _stop(process, target)

    return hook


def _start(target: Path, names: Sequence[str], idle_s: float) -> subprocess.Popen[bytes]:
    """The sampler ends when its standard input does, so also when this process is killed."""
    command = [sys.executable, "-m", "power.sampler", "--idle-s", str(idle_s), str(target), *names]
    root = str(Path(power.__file__).parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    with (target / COMPLAINTS).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is the parent's to handle: the last samples are still wanted
        )


def _await_first(process: subprocess.Popen[bytes], target: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not (target / "meters.json").exists():
        if process.poll() is not None:
            raise MeterFailed(f"the power sampler did not start: {_complaint(target)}")
        if time.monotonic() > deadline:
            raise MeterFailed(f"no power meter answered within {timeout_s:g} s: run without power or use another one.")
        time.sleep(0.01)


def _idle_s(target: Path) -> float:
    """The idle phase that the sampler settled on."""
    return float(json.loads((target / "meters.json").read_text(encoding="utf-8"))["idle_s"])


def _stop(process: subprocess.Popen[bytes], target: Path) -> None:
    """Ask it to take the last samples and end; kill it where it does not. What it complained about stays."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    log = target / COMPLAINTS
    if process.returncode:
        _account(process.returncode, target, log)
    elif log.exists() and not log.stat().st_size:
        log.unlink()


def _account(code: int, target: Path, log: Path) -> None:
    """What became of a sampler that could not say so itself; its samples stay, also as spl.txt."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else "could not write: is the disk full?"
    try:
        if not log.exists() or not log.stat().st_size:
            log.write_text(f"the power sampler {how}\n", encoding="utf-8")
        spl.write(target)
    except OSError:
        return  # the same full disk: that samples are missing shows in those that are there


def _complaint(target: Path) -> str:
    text = (target / COMPLAINTS).read_text(encoding="utf-8", errors="replace").strip()
    return text.splitlines()[-1] if text else "it ended without a word."
