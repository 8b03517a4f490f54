"""Whether the native bridge is here, from which sources it was built, and why it is missing where it is."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

from loadgen_harness.errors import SuiteError

HERE = Path(__file__).parent
SOURCES = HERE / "src"
NAME = "loadgen_harness.native._bridge"
ABSENT = "_absent.txt"  # where the bridge would be: why it was not built
VARIANT = "LGH_BRIDGE"  # environment: the file of a bridge to load instead, such as one built with a sanitizer
COMMAND = "python -m loadgen_harness.native.build"


class NoBridge(SuiteError):
    """Why no bridge can be built or used here."""


def missing(folder: Path = HERE) -> str:
    """One sentence on why there is no bridge and how to get it; empty where one is ready."""
    chosen = os.environ.get(VARIANT)
    if chosen:
        return "" if Path(chosen).is_file() else f"{VARIANT} names {chosen}, which is no file: unset it or build it."
    module = built(folder)
    if module is None:
        return _never_built(folder)
    if _read(_stamp(module)) != fingerprint():
        return f"the native bridge here was built from other sources than these: run `{COMMAND}`."
    return ""


def load() -> ModuleType:
    """The bridge as a module, loaded once; raises NoBridge with missing()'s sentence or why it does not load."""
    if NAME in sys.modules:
        return sys.modules[NAME]
    lacking = missing()
    file = os.environ.get(VARIANT) or built(HERE)
    if lacking or not file:
        raise NoBridge(lacking)
    spec = importlib.util.spec_from_file_location(NAME, file)
    if spec is None or spec.loader is None:
        raise NoBridge(f"{file} is no extension module of this Python: run `{COMMAND}`.")
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError as error:
        raise NoBridge(f"the native bridge does not load ({error}): run `{COMMAND}`.") from error
    sys.modules[NAME] = module
    return module


def built(folder: Path) -> Path | None:
    """The bridge in `folder` that this Python can load."""
    return next((file for suffix in EXTENSION_SUFFIXES if (file := folder / f"_bridge{suffix}").is_file()), None)


def fingerprint() -> str:
    """Digest of our C++ files, which a bridge must have been built from."""
    digest = hashlib.sha256()
    for file in sorted(SOURCES.glob("*.[ch]*")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def record_built(module: Path, fingerprint: str) -> None:
    """Remember beside a bridge of which sources it is."""
    _write(_stamp(module), fingerprint)
    module.with_name(ABSENT).unlink(missing_ok=True)


def record_absent(folder: Path, reason: str) -> None:
    """Remember in `folder` why (a clause) it holds no bridge; one of other sources than these is removed."""
    _write(folder / ABSENT, reason)
    if module := built(folder):
        module.unlink()
        _stamp(module).unlink(missing_ok=True)


def _never_built(folder: Path) -> str:
    if sys.platform != "linux":
        return "the native bridge runs on Linux only: use --driver python."
    reason = _read(folder / ABSENT)
    if reason:
        return f"the native bridge was not built since {reason}; mend that and run `{COMMAND}`."
    return f"the native bridge was never built for Python {platform.python_version()}: run `{COMMAND}`."


def _stamp(module: Path) -> Path:
    return module.with_suffix(".stamp")


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def _write(file: Path, text: str) -> None:
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(f"{text}\n", encoding="utf-8")
    partial.replace(file)
