"""`launch(RunSpec) -> Run`: every LoadGen run is a child process that is watched and can be killed.

LoadGen's state is global and its Python binding cannot abort a test, so a hang must become a failed run here. The
run's folder is built beside its final name and renamed when it is whole; a failed one is kept as `<name>.failed`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from loadgen_harness import durable, errors, system
from loadgen_harness.claim import claimed
from loadgen_harness.errors import BadInput, RunFailed
from loadgen_harness.others import Others
from loadgen_harness.progress import Counters, Phase, State
from loadgen_harness.run import RESPONSES, Run
from loadgen_harness.types import RunSpec

FORMAT = 2  # of run.json; 1: first, 2: samples.npy says when samples were scheduled and computed
POLL_S = 0.05
TAIL_BYTES = 1 << 16  # of a log, to look for last words in
SCRATCH = ("spec.json", "progress.bin", "child.json", "error.json", "mlperf_log_trace.json")

Hook = Callable[[Path], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Status:
    """What a run is doing: for progress displays."""

    phase: Phase
    issued: int
    completed: int
    expected: int
    elapsed_s: float
    late: int = 0  # as in progress.State
    slow: int = 0


class _Seen(NamedTuple):
    """What was seen of a run from outside: peaks of memory, and what others took of the processors."""

    memory: dict[str, int | None]
    load: dict[str, float] | None


def launch(
    spec: RunSpec,
    *,
    audit_config: str = "",
    hooks: Sequence[Hook] = (),
    on_progress: Callable[[Status], None] = lambda status: None,
) -> Run:
    """Run `spec` in a child process and return its finished Run.

    `audit_config` is a compliance test's text for LoadGen; hooks are context managers opened with the run's folder
    around the child. Raises BadInput for what can be mended before a run (nothing is left behind), RunFailed for a
    run that failed, hung or was killed.
    """
    with claimed(spec.output) as folder:
        try:
            _write_json(folder / "spec.json", {**asdict(spec), "output": str(folder)})
            if audit_config:
                (folder / "audit.config").write_text(audit_config, encoding="utf-8")
            started = datetime.now(UTC)
            with ExitStack() as stack:
                for hook in hooks:
                    stack.enter_context(hook(folder))
                seen = _watch(folder, spec, on_progress)
            _finish(folder, spec, started, seen)
            durable.settle(folder)
        except BadInput:
            shutil.rmtree(folder)
            raise
        except BaseException as error:
            raise _failed(folder, spec, error) from error
        durable.move(folder, spec.output)
    return Run(spec.output)


def _watch(folder: Path, spec: RunSpec, on_progress: Callable[[Status], None]) -> _Seen:
    """Start the child, follow it to its end, kill it where it hangs; returns what was seen of it from outside."""
    counters = Counters(folder / "progress.bin", create=True)
    command = [sys.executable, "-m", "loadgen_harness.child", str(folder), str(os.getpid())]
    with (folder / "child.log").open("wb") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    others = Others()
    try:
        device = _follow(child, counters, spec, _both(on_progress, others))
    finally:
        _kill(child)
        counters.close()
    if child.returncode != 0:
        raise _cause(folder, child.returncode)
    own = json.loads((folder / "child.json").read_text(encoding="utf-8"))
    others.timed(False)
    return _Seen({"host_peak_bytes": own["host_peak_bytes"], "device_peak_bytes": device}, others.found())


def _both(on_progress: Callable[[Status], None], others: Others) -> Callable[[Status], None]:
    """Tells the caller, and whoever looks at the machine while the run is timed."""

    def report(status: Status) -> None:
        others.timed(status.phase is Phase.TESTING)
        on_progress(status)

    return report


def _follow(
    child: subprocess.Popen[bytes], counters: Counters, spec: RunSpec, on_progress: Callable[[Status], None]
) -> int | None:
    begun = changed = time.monotonic()
    seen: State | None = None
    memory = system.DeviceMemory(child.pid)
    while child.poll() is None:
        now, state = time.monotonic(), counters.read()
        if state != seen:
            seen, changed = state, now
        if now - changed > spec.hang_timeout_s:
            raise RunFailed(
                f"nothing happened for {spec.hang_timeout_s:g} s while {state.phase.name.lower()} "
                f"({state.completed} of {state.issued} issued samples completed): the run was stopped; "
                "raise --hang-timeout where one batch may take so long, else look for a deadlock in the backend."
            )
        on_progress(Status(**state._asdict(), elapsed_s=now - begun))
        memory.sample()
        time.sleep(POLL_S)
    return memory.peak_bytes


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _cause(folder: Path, code: int) -> errors.SuiteError:
    """The child's own account of its end, or the signal that ended it."""
    try:
        account = json.loads((folder / "error.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        what = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        said = _last_words(folder / "child.log") if code == -signal.SIGABRT else ""
        return RunFailed(f"the LoadGen process {what}{said and f': {said}'}")
    if account["kind"] == "input":
        return BadInput(account["message"])
    return RunFailed(account["message"])


def _last_words(log: Path) -> str:
    """What C++ said of the exception that aborted the process, empty where it said nothing."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    said = [line.strip() for line in lines if line.lstrip().startswith(("terminate called", "what():"))]
    return said[-1] if said else ""


def _failed(folder: Path, spec: RunSpec, error: BaseException) -> BaseException:
    """Keep the folder of a failed run for inspection and say where it is."""
    lacking = durable.full(folder, error) if isinstance(error, RunFailed | OSError) else ""
    kept = spec.output.with_name(f"{spec.output.name}.failed")
    if kept.exists():
        shutil.rmtree(kept)
    os.replace(folder, kept)
    where = f"(log kept in {kept / 'child.log'})"
    if isinstance(error, RunFailed):
        return type(error)(f"{error}{lacking and f'; {lacking}'} {where}")
    if isinstance(error, OSError):
        said = str(errors.refused(error)).rstrip(".")
        return RunFailed(f"the run failed: {lacking or said} {where}")
    return error


def _finish(folder: Path, spec: RunSpec, started: datetime, seen: _Seen) -> None:
    """Check that LoadGen finished without errors, drop scratch files, write run.json last."""
    run = Run(folder)
    if not run.finished:
        raise RunFailed("LoadGen ended without a result in its log")
    if run.log_errors:
        raise RunFailed(f"LoadGen recorded an error: {' '.join(run.log_errors[0].split())}")
    if not _closed(folder / RESPONSES):
        raise RunFailed(f"{RESPONSES} breaks off, so LoadGen could not write it to its end")
    child = json.loads((folder / "child.json").read_text(encoding="utf-8"))
    for name in SCRATCH:
        (folder / name).unlink(missing_ok=True)
    record = {
        "format": FORMAT,
        **{key: child[key] for key in sorted(child) if key != "host_peak_bytes"},
        "spec": {**asdict(spec), "output": spec.output.name},
        "round": spec.round,
        "memory": seen.memory,
        **({"load": seen.load} if seen.load else {}),
        "system": system.describe(),
        "command": sys.argv,
        "started": started.isoformat(timespec="milliseconds"),
        "wall_s": round((datetime.now(UTC) - started).total_seconds(), 3),
        "digests": digests(folder),
    }
    _write_json(folder / "run.json", record)


def _closed(log: Path) -> bool:
    """Whether LoadGen's list of responses has its end, where there is one: LoadGen does not notice a full disk."""
    if not log.exists() or not log.stat().st_size:
        return True
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16))
        return file.read().rstrip().endswith(b"]")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder` but run.json, by relative name."""
    found: dict[str, str] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "run.json"):
        with path.open("rb") as file:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(json.dumps(data, indent=1, default=str) + "\n", encoding="utf-8")
    os.replace(temporary, path)
