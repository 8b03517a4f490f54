"""Compiles null_sut.cc with LoadGen's unaltered sources, into build/perf/ and only where something changed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from loadgen_harness.errors import RunFailed
from loadgen_harness.native import build, compiler, sources

SOURCE = Path(__file__).with_name("null_sut.cc")
WORK = SOURCE.parents[2] / "build"
OURS = ("-std=c++17", "-O2", "-DNDEBUG", "-Wall", "-Wextra", "-pthread")


def null_sut(say: Callable[[str], None]) -> Path:
    """The program; raises NoBridge without a compiler or LoadGen's sources, which the bridge needs as well."""
    loadgen = WORK / "native" / f"loadgen-{sources.VERSION}"  # where the bridge's build keeps them
    theirs = [file for file in sources.unaltered(loadgen) if file.suffix == ".cc"]
    command, folder = compiler.find(), WORK / "perf"
    flags = (*build.LOADGEN, "-pthread", f"-I{loadgen}")  # the bridge's own flags: a comparison of like with like
    units = [compiler.Unit(file, folder / f"{file.stem}.o", flags) for file in theirs]
    ours = (*OURS, f"-isystem{loadgen}")
    units.append(compiler.Unit(SOURCE, folder / "null_sut.o", ours, ours=True))
    objects = compiler.compile_all(command, units, say)
    return linked([*command, *map(str, objects), "-pthread"], folder / "null_sut", objects)


def linked(command: list[str], target: Path, objects: list[Path]) -> Path:
    """The program that `command` links from `objects`, made anew only where one of them is newer."""
    newest = max(file.stat().st_mtime_ns for file in objects)
    if target.is_file() and target.stat().st_mtime_ns > newest:
        return target
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    done = subprocess.run([*command, "-o", str(partial)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(f"{target.name} does not link: {done.stderr.strip()}")
    partial.replace(target)
    return target
