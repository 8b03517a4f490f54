"""Compiles C++ files side by side, only those that changed, and links them."""

from __future__ import annotations

import functools
import hashlib
import os
import shlex
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from loadgen_harness.native.presence import NoBridge

Say = Callable[[str], None]


@dataclass(frozen=True)
class Unit:
    """One file to compile: where it goes, with which flags, whether its warnings are ours to show."""

    source: Path
    target: Path
    flags: tuple[str, ...]
    ours: bool = False


def find() -> list[str]:
    """The C++ compiler as a command: CXX, the one Python was built with, or a usual name; raises NoBridge."""
    if os.environ.get("CXX"):
        candidates = [os.environ["CXX"]]
    else:
        candidates = [sysconfig.get_config_var("CXX") or "", "c++", "g++", "clang++"]
    for candidate in candidates:
        command = shlex.split(candidate)
        if command and shutil.which(command[0]):
            return command
    names = os.environ.get("CXX") or "c++, g++ or clang++"
    raise NoBridge(f"there is no C++ compiler ({names}; Debian and Ubuntu: apt install g++)")


def jobs() -> int:
    """How many compilers run side by side: MAX_JOBS, or one for each core that this process may use."""
    chosen = os.environ.get("MAX_JOBS", "")
    return max(int(chosen), 1) if chosen.isdecimal() else len(os.sched_getaffinity(0))


def compile_all(command: Sequence[str], units: Sequence[Unit], say: Say) -> list[Path]:
    """Objects in the order of `units`; the first failure in that order is raised as NoBridge, the rest is not begun."""
    stale = [unit for unit in units if _read(_key_file(unit.target)) != _key(command, unit)]
    say(f"compiling {len(stale)} of {len(units)} files, {jobs()} at a time")
    pool = ThreadPoolExecutor(jobs())
    try:
        for _ in pool.map(lambda unit: _compile(command, unit, say), stale):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
    return [unit.target for unit in units]


def link(command: Sequence[str], objects: Sequence[Path], target: Path, *, flags: Sequence[str]) -> None:
    """One shared library of all objects, unless the one that is there was linked from the same; raises NoBridge."""
    whole = [*command, "-shared", *map(str, objects), *flags]
    key = _digest("\0".join(whole), *map(_sha256, objects))
    if target.is_file() and _read(_key_file(target)) == key:
        return
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    _call([*whole, "-o", str(partial)], "link the bridge")
    partial.replace(target)
    _key_file(target).write_text(key, encoding="ascii")


def _compile(command: Sequence[str], unit: Unit, say: Say) -> None:
    unit.target.parent.mkdir(parents=True, exist_ok=True)
    partial = unit.target.with_name(f"{unit.target.name}.{os.getpid()}")
    depends = _depends_file(unit.target)
    whole = [*command, *unit.flags, "-c", str(unit.source), "-MD", "-MF", str(depends), "-o", str(partial)]
    began_ns = time.time_ns()
    output = _call(whole, f"compile {unit.source.name}")
    say(f"  {unit.source.name}" + (f"\n{output}" if unit.ours and output else ""))
    partial.replace(unit.target)
    edited = any(file.stat().st_mtime_ns > began_ns for file in _dependencies(unit.target))  # meanwhile
    _key_file(unit.target).write_text("" if edited else _key(command, unit), encoding="ascii")


def _call(command: Sequence[str], deed: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, env=os.environ | {"LC_ALL": "C"}
        )
    except OSError as error:
        raise NoBridge(f"{command[0]} could not {deed} ({error})") from error
    output = done.stderr.strip()
    if done.returncode:
        lines = [line for line in output.splitlines() if "error" in line] or [f"exit code {done.returncode}"]
        failure = NoBridge(f"{Path(command[0]).name} could not {deed} ({lines[0].strip()})")
        failure.add_note(output)
        raise failure
    return output


def _key(command: Sequence[str], unit: Unit) -> str:
    """Digest of the command and of every file that the object depends on, the compiler's own headers among them."""
    if not unit.target.is_file() or not _depends_file(unit.target).is_file():
        return "never compiled"
    return _digest("\0".join([*command, *unit.flags]), *map(_file_digest, _dependencies(unit.target)))


def _dependencies(target: Path) -> list[Path]:
    rule = _depends_file(target).read_text(encoding="utf-8").replace("\\\n", " ").partition(":")[2]
    return [Path(name) for name in shlex.split(rule)]


def _file_digest(file: Path) -> str:
    try:
        status = file.stat()
    except OSError:
        return "gone"
    return _known_digest(file, status.st_mtime_ns, status.st_size)


@functools.cache
def _known_digest(file: Path, mtime_ns: int, size: int) -> str:
    return _sha256(file)


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _key_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.key")


def _depends_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.d")


def _read(file: Path) -> str:
    return file.read_text(encoding="ascii") if file.is_file() else ""
