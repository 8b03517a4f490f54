"""Builds the native bridge: our C++, LoadGen's unaltered sources and nanobind become one extension module.

By hand it builds in place; setup.py calls install(), which never stops an installation but records why there is none.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from loadgen_harness.native import compiler, presence, sources
from loadgen_harness.native.compiler import Say, Unit
from loadgen_harness.native.presence import HERE, NoBridge

CLONE = HERE.parents[1]
SKIP = "LGH_NATIVE"
SANITIZERS = {"address": "libasan.so", "thread": "libtsan.so", "undefined": ""}  # what Python must load before all else

# Hidden, lest two LoadGens in one process, its wheel and this bridge, share their state.
SHARED = ("-fPIC", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections", "-pthread")
LOADGEN = (*SHARED, "-std=c++14", "-O3", "-fwrapv", "-DNDEBUG", "-w")  # as in its own wheels
BINDING = (*SHARED, "-std=c++17", "-O2", "-fno-strict-aliasing", "-DNDEBUG", "-DNB_COMPACT_ASSERTIONS")
NANOBIND = (*BINDING, "-w")
OURS = (*BINDING, "-Wall", "-Wextra")
SMALL = ("-Wl,-s", "-Wl,--gc-sections")  # LoadGen and nanobind hold more than the bridge uses


@dataclass(frozen=True)
class Variant:
    """How the bridge is built: as it is used, or to find faults in it."""

    sanitize: str = ""
    debug: bool = False

    @property
    def name(self) -> str:
        """The beginning of its folder's name."""
        return "-".join([self.sanitize] * bool(self.sanitize) + ["debug"] * self.debug) or "release"

    def compile_flags(self, flags: tuple[str, ...]) -> tuple[str, ...]:
        """The flags of a part, turned into this variant's."""
        if self == Variant():
            return flags
        kept = [flag for flag in flags if not (self.debug and flag in ("-DNDEBUG", "-DNB_COMPACT_ASSERTIONS"))]
        return (*kept, *self._sanitizer(), "-O0" if self.debug else "-O1", "-g", "-fno-omit-frame-pointer")

    def link_flags(self) -> tuple[str, ...]:
        """What the linker is told."""
        return ("-pthread", *(SMALL if self == Variant() else self._sanitizer()))

    def environment(self, module: Path) -> str:
        """What stands before a Python command that is to use it.

        Python does not link libstdc++, and a sanitizer looks for its part in exceptions when the process begins.
        """
        library = SANITIZERS.get(self.sanitize, "")
        preloaded = " ".join(f"$(g++ -print-file-name={name})" for name in (library, "libstdc++.so"))
        preload = f'LD_PRELOAD="{preloaded}" ' if library else ""
        return f"{preload}{presence.VARIANT}={module}"

    def _sanitizer(self) -> tuple[str, ...]:
        return (f"-fsanitize={self.sanitize}",) if self.sanitize else ()


def install(folder: Path, say: Say) -> str:
    """Build the bridge into the package at `folder`; where it cannot be, record why there and return the reason."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        before = presence.fingerprint()  # a file that is edited meanwhile makes the result stale
        with workshop(Variant()) as work:
            module = _place(build(work, Variant(), say), folder)
        presence.record_built(module, before)
        say(f"built {module}")
        return ""
    except NoBridge as error:
        for output in getattr(error, "__notes__", []):
            say(output)
        reason = str(error)
    except Exception as error:  # the suite works without a bridge, so nothing here may stop an installation
        reason = f"its build failed ({type(error).__name__}: {error})"
    presence.record_absent(folder, reason)
    return reason


@contextlib.contextmanager
def workshop(variant: Variant) -> Iterator[Path]:
    """Where objects stay between builds; outside a clone a release is built from nothing. Raises NoBridge."""
    if os.environ.get(SKIP) == "0":
        raise NoBridge(f"{SKIP}=0 was set")
    if sys.platform != "linux":
        raise NoBridge("it runs on Linux only")
    if (CLONE / "setup.py").is_file():
        work = CLONE / "build/native"
        work.mkdir(parents=True, exist_ok=True)
        yield work
    elif variant != Variant():
        raise NoBridge("variants for finding faults are built in a clone of the repository only")
    else:
        with tempfile.TemporaryDirectory(prefix="lgh-native-") as folder:
            yield Path(folder)


def build(work: Path, variant: Variant, say: Say) -> Path:
    """The extension module, in the folder of `work` for this Python and variant; raises NoBridge."""
    command = compiler.find()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    folder = work / f"{variant.name}{suffix.removesuffix('.so')}"
    objects = compiler.compile_all(command, _units(work, folder, variant), say)
    module = folder / f"_bridge{suffix}"
    compiler.link(command, objects, module, flags=variant.link_flags())
    return module


def _units(work: Path, folder: Path, variant: Variant) -> list[Unit]:
    python, nanobind, loadgen = _python_headers(), _nanobind(work), work / f"loadgen-{sources.VERSION}"
    theirs = [file for file in sources.unaltered(loadgen) if file.suffix == ".cc"]
    ours = sorted(presence.SOURCES.glob("*.cc"))
    headers = (nanobind / "include", nanobind / "ext/robin_map/include", loadgen, python)
    includes = [f"-isystem{path}" for path in headers]
    parts = {  # the slowest first
        "nanobind": ([nanobind / "src/nb_combined.cpp"], (*NANOBIND, *includes)),
        "loadgen": (theirs, (*LOADGEN, f"-I{loadgen}")),
        "ours": (ours, (*OURS, *includes)),
    }
    return [
        Unit(file, folder / part / f"{file.stem}.o", variant.compile_flags(flags), part == "ours")
        for part, (files, flags) in parts.items()
        for file in files
    ]


def _python_headers() -> Path:
    folder = Path(sysconfig.get_path("include"))
    if not (folder / "Python.h").is_file():
        raise NoBridge(f"Python's headers are not in {folder} (Debian and Ubuntu: apt install python3-dev)")
    return folder


def _nanobind(work: Path) -> Path:
    """nanobind's sources, copied: pip removes what it installed for a build, and objects remember where theirs were."""
    spec = importlib.util.find_spec("nanobind")
    if spec is None or not spec.submodule_search_locations:
        copies = sorted(work.glob("nanobind-*"), key=lambda path: path.stat().st_mtime)
        if copies:
            return copies[-1]
        raise NoBridge("it needs a package that is not installed (`pip install nanobind`)")
    folder = work / f"nanobind-{metadata.version('nanobind')}"
    if not folder.exists():
        partial = folder.with_name(f"partial-{folder.name}-{os.getpid()}")
        origin = Path(spec.submodule_search_locations[0])
        for part in ("src", "include", "ext"):
            shutil.copytree(origin / part, partial / part)
        partial.rename(folder)
    return folder


def _place(module: Path, folder: Path) -> Path:
    target = folder / module.name
    if not target.is_file() or target.read_bytes() != module.read_bytes():
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copyfile(module, partial)
        partial.replace(target)  # a process that has loaded the old file keeps it
    return target


def main(argv: list[str] | None = None) -> int:
    """Build by hand: in place, or a variant into a folder of its own."""
    from loadgen_harness import console

    parser = argparse.ArgumentParser(prog=presence.COMMAND, description=__doc__)
    parser.add_argument("--sanitize", choices=SANITIZERS, default="", help="a bridge that watches for such faults")
    parser.add_argument("--debug", action="store_true", help="not optimized, with assertions")
    args = parser.parse_args(argv)
    variant = Variant(args.sanitize, args.debug)
    if variant == Variant():
        reason = install(HERE, console.say)
        if reason:
            console.fail(f"the native bridge was not built since {reason}.")
        return 2 if reason else 0
    try:
        with workshop(variant) as work:
            module = build(work, variant, console.say)
    except NoBridge as error:
        for output in getattr(error, "__notes__", []):
            console.say(output)
        console.fail(f"the {variant.name} variant was not built since {error}.")
        return 2
    console.say(f"built {module}\nto use it: {variant.environment(module)} python ...")
    return 0


if __name__ == "__main__":
    sys.exit(main())
