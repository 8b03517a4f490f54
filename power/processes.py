"""Programs of a power session as child processes: their output kept and followed, their end sure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

GRACE_S = 20  # the server waits up to ten for its PTDaemon, and sets the analyzer's ranges before
GUARD = f"""
cat
kill -INT "$1"
n=0
while [ $n -lt {GRACE_S} ] && kill -0 "$1"; do sleep 1; n=$((n + 1)); done
kill -s TERM -- "-$1"
sleep 1
kill -s KILL -- "-$1"
"""  # `end` for a process that was killed itself: `cat` waits for its end of the pipe
DEBUG = "MLPP_DEBUG"  # makes the official server skip its waits, which the power check refuses


def environment(root: Path) -> Mapping[str, str]:
    """The environment with this suite importable, Python's caches off and the server's debug mode off."""
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH", "")]))
    kept = {name: value for name, value in os.environ.items() if name != DEBUG}
    return {**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}


@contextmanager
def started(
    command: Sequence[str], *, log: Path, env: Mapping[str, str], piped: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a process group of its own, writing into `log` (or a pipe); it is ended with all it started.

    Ctrl-C reaches this process alone: the official programs would take it as an order to stop at once. Where this
    process is killed, a guard ends the program.
    """
    with log.open("ab") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else written,
            stderr=subprocess.STDOUT,
            env=dict(env),
            start_new_session=True,
        )
    try:
        with _guarded(process):
            try:
                yield process
            finally:
                end(process)
    finally:
        end(process)  # where no guard could be started
        if process.stdout:
            process.stdout.close()


@contextmanager
def _guarded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A shell that ends the program once this process is no more."""
    quiet = subprocess.DEVNULL
    command = ["sh", "-c", GUARD, "guard", str(process.pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True) as guard:
        try:
            yield
        finally:
            _group(guard.pid, signal.SIGKILL)  # before its pipe is closed


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, wait for its own tidying up, then end the rest of its group; nothing of it is left."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # to it alone: it ends its own children in its own order
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    for order in (signal.SIGTERM, signal.SIGKILL):
        if not _group(process.pid, order):
            break
    process.wait()


def _group(leader: int, order: signal.Signals) -> bool:
    """Send a signal to all that is left of a process group; whether anything was."""
    try:
        os.killpg(leader, order)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS answers so for a group of zombies
        return sys.platform != "darwin"
    return True


def tail(log: Path, lines: int = 3) -> str:
    """The last words of a program, for a sentence."""
    try:
        said = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "it wrote nothing"
    kept = [line.strip() for line in said if line.strip()]
    return " | ".join(kept[-lines:]) or "it wrote nothing"
