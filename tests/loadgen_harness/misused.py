"""Verbs called with bad input, in this process: what they say, and that they left everything as it was."""

from __future__ import annotations

import argparse
import importlib
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from absl.testing import flagsaver

from loadgen_harness import cli
from loadgen_harness.errors import BadInput, SuiteError, loop, refused
from tests.power import measured

PLAN = """
name = "two"
round = "tiny"
tax = false
[submission]
submitter = "Acme"
system_name = "box"
[[benchmark]]
name = "tiny"
backend = "null"
scenarios = ["SingleStream"]
options = { latency_us = 100 }
"""
RUN = "results/runs/tiny/SingleStream/performance"
CAMPAIGN = ("campaign", "plan.toml", "--output", "results", "--no-preflight")


def call(*words: str) -> int:
    """As the entry point does it, but for signals and exit codes: what is no bug raises a SuiteError."""
    with flagsaver.flagsaver():
        args: argparse.Namespace = cli.parse(["lgh", *words])
        verb = getattr(importlib.import_module(f"loadgen_harness.{args.module}"), args.function)
        try:
            code: int = verb(args)
        except OSError as error:
            raise refused(error) from error
        except RuntimeError as error:
            raise loop(error) or error from error
        return code


def told(*words: str) -> str:
    """What a verb says of a mistake: one sentence, after which the current folder is as it was."""
    before = seen(Path())
    with pytest.raises(SuiteError) as caught:
        call(*words)
    sentence = str(caught.value)
    assert isinstance(caught.value, SuiteError) and "\n" not in sentence and sentence.endswith((".", "?"))
    assert "Errno" not in sentence and "Error(" not in sentence
    assert seen(Path()) == before
    return sentence


def seen(folder: Path) -> dict[str, bytes | str]:
    """Everything below a folder: files with their content."""
    return {str(path): _content(path) for path in sorted(folder.rglob("*"))}


def _content(path: Path) -> bytes | str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return path.read_bytes() if path.is_file() else ""


def material(folder: Path) -> Path:
    """What the verbs take: a plan, its finished campaign, a system description, two runs with power."""
    (folder / "plan.toml").write_text(PLAN, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert call(*CAMPAIGN) == 0
        assert call("system", "--output", "system.json", "--submitter", "Acme", "--name", "box") == 0
    for number, watts in ((1, 40.0), (2, 60.0)):
        spec = {"benchmark": "digits", "scenario": "Server"}
        measured.run(folder / "power" / f"run-{number:02}", {"nvml": watts}, spec=spec)
    return folder


def copied(source: Path, target: Path, patch: pytest.MonkeyPatch) -> Path:
    """A copy of the material that may be spoilt, the current folder from now on."""
    shutil.copytree(source, target, symlinks=True)
    patch.chdir(target)
    return target


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, as on a full disk (the error is EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


__all__ = ["BadInput", "call", "copied", "material", "seen", "small_files", "told"]
