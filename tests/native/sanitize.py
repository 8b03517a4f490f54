"""Compiles the stress program with LoadGen's unaltered sources, and runs its cases, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadgen_harness.native import build, compiler, presence, sources
from tests.perf.compile import linked

HERE = Path(__file__).parent
WORK = HERE.parents[1] / "build/native"
HUNG, TRIES = 75, 3  # LoadGen's logger hung, see harness.h: that is not the bridge's, so the case is tried again
LIMIT_S = 180.0  # of one case; the longest takes some seconds, ten times as many under a sanitizer on a busy machine
REPORT = re.compile(r"(WARNING|ERROR): \w+Sanitizer|runtime error: ")
OPTIONS = {  # of the sanitizers' run time
    "address": {"ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_init_order=1:check_initialization_order=1"},
    "undefined": {"UBSAN_OPTIONS": "print_stacktrace=1"},
    "thread": {"TSAN_OPTIONS": f"second_deadlock_stack=1:history_size=7:suppressions={HERE / 'loadgen.tsan'}"},
}


@dataclass(frozen=True)
class Outcome:
    """How one case went: its output is empty where it went well."""

    name: str
    seconds: float
    reports: int
    hung: int  # how often LoadGen's logger hung before
    output: str


def program(sanitizer: str, say: Callable[[str], None]) -> Path:
    """The stress program, compiled where something changed; raises NoBridge for what the bridge's build lacks too."""
    variant = build.Variant(sanitizer)
    loadgen = WORK / f"loadgen-{sources.VERSION}"  # where the bridge's build keeps them
    folder = WORK / f"stress-{variant.name}"
    theirs = [file for file in sources.unaltered(loadgen) if file.suffix == ".cc"]
    bridge = [file for file in sorted(presence.SOURCES.glob("*.cc")) if file.name != "module.cc"]
    includes = (f"-isystem{loadgen}", f"-iquote{presence.SOURCES}")  # its signal.h must not hide the system's
    parts = {
        "loadgen": (theirs, (*build.LOADGEN, f"-I{loadgen}")),
        "bridge": (bridge, (*build.OURS, *includes)),
        "cases": (sorted(HERE.glob("*.cc")), (*build.OURS, *includes)),
    }
    units = [
        compiler.Unit(file, folder / part / f"{file.stem}.o", variant.compile_flags(flags), part != "loadgen")
        for part, (files, flags) in parts.items()
        for file in files
    ]
    command = compiler.find()
    objects = compiler.compile_all(command, units, say)
    return linked([*command, *map(str, objects), *variant.link_flags()], folder / "stress", objects)


def cases(program: Path) -> list[str]:
    """Their names."""
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()


def run(program: Path, case: str, sanitizer: str) -> Outcome:
    """One case to its end, or to LIMIT_S."""
    began = time.monotonic()
    hung = 0
    code, said = _ended(program, case, sanitizer)
    while code == HUNG and not REPORT.search(said) and (hung := hung + 1) < TRIES:
        code, said = _ended(program, case, sanitizer)
    reports = len(REPORT.findall(said))
    verdict = {0: "", None: f"not over after {LIMIT_S:.0f} s"}.get(code, f"exit code {code}")
    text = f"{said}\n{verdict}".strip() if verdict or reports else ""
    return Outcome(case, time.monotonic() - began, reports, hung, text)


def _ended(program: Path, case: str, sanitizer: str) -> tuple[int | None, str]:
    """Exit code, None where it took too long, and all that was said."""
    environment = os.environ | OPTIONS.get(sanitizer, {})
    with (
        tempfile.TemporaryDirectory(prefix="lgh-stress-") as folder,
        subprocess.Popen(
            [program, case, folder],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        try:
            said, _ = process.communicate(timeout=LIMIT_S)
            return process.returncode, said
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            return None, said
