"""Runs that end badly at a random moment: each must become a failed run, soon, with its cause named.

`python -m tests.ends --runs 200` makes as many and prints what it saw; it exits with 1 where one did not end well.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from loadgen_harness.errors import RunFailed, SuiteError
from loadgen_harness.launch import Status, launch
from loadgen_harness.progress import Phase
from loadgen_harness.types import Division, Scenario
from tests.fakes import PLUGIN, ROOT, tiny

LIMIT_S = 2.0
MOMENT_S = 0.6  # a fault comes at a random moment of this span after the test began
LONG = {"min_duration": 60_000.0}  # a run that nothing but the fault ends


@dataclass(frozen=True)
class End:
    """One run's end: what was done to it, how long it lived on, what it said."""

    kind: str
    seconds: float
    message: str
    well: bool


@dataclass(frozen=True)
class Kind:
    """One way to end: the worker it wants, what is done, what the message must name."""

    name: str
    worker: str
    cause: str
    strike: Callable[[psutil.Process], None] | None = None  # done to LoadGen's process from outside
    fault: str = "slow"  # of the backend, after a random number of batches
    overrides: tuple[tuple[str, float], ...] = ()


def _replica(child: psutil.Process) -> psutil.Process:
    return random.choice(child.children())


def _interrupt(child: psutil.Process) -> None:
    os.kill(os.getpid(), signal.SIGINT)


KINDS = (
    Kind("worker killed", "process", "worker process 0 was killed by SIGKILL", lambda c: _replica(c).kill()),
    Kind("worker crashed", "process", "SIGSEGV", lambda c: _replica(c).send_signal(signal.SIGSEGV)),
    Kind("worker ended", "process", "killed by SIGTERM", lambda c: _replica(c).terminate()),
    Kind("LoadGen killed", "thread", "SIGKILL", lambda c: c.kill()),
    Kind("LoadGen killed", "process", "SIGKILL", lambda c: c.kill()),
    Kind("Ctrl-C", "thread", "KeyboardInterrupt", _interrupt),
    Kind("Ctrl-C", "process", "KeyboardInterrupt", _interrupt),
    Kind("callback raised", "inline", "the device caught fire", fault="raise"),
    Kind("callback raised", "thread", "the device caught fire", fault="raise"),
    Kind("callback raised", "process", "the device caught fire", fault="raise"),
    Kind("too few answers", "thread", "responses", fault="few"),
    Kind("too few answers", "process", "responses", fault="few"),
    Kind("worker aborted", "process", "SIGABRT", fault="crash"),
    Kind("LoadGen error", "thread", "Too many outstanding queries", overrides=(("max_async_queries", 4.0),)),
    Kind("LoadGen error", "process", "Too many outstanding queries", overrides=(("max_async_queries", 4.0),)),
)


def end(kind: Kind, folder: Path, chance: random.Random) -> End:
    """One run that ends as `kind` says; `well`: in time, as a failed run, its cause named, no process left."""
    struck: list[float] = []
    before = set(psutil.Process().children(recursive=True))
    moment = chance.uniform(0, MOMENT_S)
    begun: list[float] = []

    def watch(status: Status) -> None:
        if status.phase >= Phase.TESTING and not begun:
            begun.append(time.time())
        if kind.strike and begun and not struck and time.time() - begun[0] >= moment:
            kind.strike(_child(folder))
            struck.append(time.time())

    after = 0 if kind.strike or kind.overrides else int(moment * 300)
    faults = {"fault": kind.fault, "after": str(0 if kind.fault == "slow" else after)}
    changed: dict[str, Any] = {"scenario": Scenario.SERVER, "division": Division.OPEN, "backend": "broken"}
    rates = {"target_qps": 300.0, **LONG, **dict(kind.overrides)}
    spec = tiny(folder / "run", driver="native", worker=kind.worker, options=faults, overrides=rates, **changed)
    message = "nothing: the run went on to its end"
    failed = False
    try:
        launch(spec, on_progress=watch)
    except RunFailed as error:
        message, failed = str(error), True
    except (SuiteError, KeyboardInterrupt) as error:
        message, failed = f"{type(error).__name__}: {error}", isinstance(error, KeyboardInterrupt)
    over = time.time()
    since = struck or _faults(folder) or begun or [0.0]
    seconds = over - since[0]
    kept = (folder / "run.failed").is_dir() and not (folder / "run").exists()
    well = failed and kept and kind.cause in message and seconds <= LIMIT_S and not _left(before)
    return End(f"{kind.name}, {kind.worker}", seconds, message, well)


def _child(folder: Path) -> psutil.Process:
    """LoadGen's process of the run in `folder`."""
    return next(p for p in psutil.Process().children() if any(str(folder) in word for word in p.cmdline()))


def _left(before: set[psutil.Process]) -> bool:
    """Whether processes of a run, beside those that were there `before`, outlive it by a second."""
    _, alive = psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, timeout=1)
    return bool(alive)


def _faults(folder: Path) -> list[float]:
    """When the backend failed, as it wrote itself."""
    log = folder / "run.failed" / "child.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return [float(stamp) for stamp in re.findall(r"^fault at ([\d.]+)$", text, re.M)]


def main() -> int:
    """As many runs as wanted, of all kinds in turn."""
    parser = argparse.ArgumentParser(prog="python -m tests.ends", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join((str(PLUGIN), str(ROOT)))
    sys.path.insert(0, str(PLUGIN))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without
    chance, seen = random.Random(args.seed), []
    random.seed(args.seed)
    for number in range(args.runs):
        with tempfile.TemporaryDirectory() as scratch:
            seen.append(end(KINDS[number % len(KINDS)], Path(scratch), chance))
        mark = "well " if seen[-1].well else "BADLY"
        sys.stdout.write(
            f"{number + 1:4d} {mark} {seen[-1].seconds:6.3f} s  {seen[-1].kind}: {seen[-1].message[:110]}\n"
        )
        sys.stdout.flush()
    counts = Counter(each.well for each in seen)
    slowest = max(seen, key=lambda each: each.seconds)
    sys.stdout.write(
        f"{counts[True]} of {len(seen)} ended well; the slowest took {slowest.seconds:.3f} s ({slowest.kind})\n"
    )
    return 0 if not counts[False] else 1


if __name__ == "__main__":
    sys.exit(main())
