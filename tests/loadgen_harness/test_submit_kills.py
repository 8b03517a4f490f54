"""`lgh submit`, killed at random moments between verification and packing, ends as one that nobody disturbed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from submissions import archive, build
from tests.architecture import ROOT
from tests.submissions import manifests

FEW, MANY = 4, 30
# A process that has imported everything: each line of its input begins a submit in a child, whose number it prints.
ZYGOTE = """
import os, sys
from pathlib import Path
from tests.loadgen_harness.test_submitting import submit
out = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(out, 1), os.dup2(out, 2)
        os._exit(submit(*line.rstrip("\\n").split("\\t")))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass
class Submitting:
    """One manifest that is submitted again and again, in processes that may be killed."""

    folder: Path
    manifest: Path
    process: subprocess.Popen[str]

    def begin(self, name: str) -> int:
        """The process that submits to a place of this name."""
        words = ("--from", self.manifest, "--output", self.tree(name), "--private-ids", "--archive", self.packed(name))
        assert self.process.stdin
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self) -> int:
        """The next number that it prints."""
        assert self.process.stdout
        return int(self.process.stdout.readline())

    def tree(self, name: str) -> Path:
        """Where the tree goes."""
        return self.folder / name / "tree"

    def packed(self, name: str) -> Path:
        """Where the archive goes."""
        return self.folder / name / "tree.tar.gz"

    def difference(self, name: str, other: str) -> str:
        """The first file of everything that was written that is not the same, or not there."""
        return build.difference(self.folder / name, self.folder / other)


@contextlib.contextmanager
def submitted(manifest: Path, tmp_path: Path) -> Iterator[Submitting]:
    """A manifest and the process that submits it."""
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-c", ZYGOTE, str(tmp_path / "said.txt")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Submitting(tmp_path, manifest, process)


def killed(submitting: Submitting, times: int, seed: int) -> None:
    """Submits, kills at random moments so many times, looks at what is left each time, and brings it to its end."""
    length = _undisturbed(submitting, "whole")
    chance, struck = random.Random(seed), 0
    while struck < times:
        child, begun = submitting.begin("killed"), time.monotonic()
        time.sleep(chance.uniform(0, length))
        with contextlib.suppress(ProcessLookupError):  # it was at its end already
            os.kill(child, signal.SIGKILL)
        if submitting.answer() == 0:
            length = min(length, time.monotonic() - begun)
        else:
            struck += 1
        tree, packed = submitting.tree("killed"), submitting.packed("killed")
        assert not tree.exists() or not build.difference(tree, submitting.tree("whole"))
        assert not packed.exists() or packed.read_bytes() == submitting.packed("whole").read_bytes()
        if chance.random() < 0.5:  # else the next one begins with what a finished tree left
            _forget(tree, chance)
    _undisturbed(submitting, "killed")


def _undisturbed(submitting: Submitting, name: str) -> float:
    """How long a submit takes that nobody kills."""
    begun = time.monotonic()
    submitting.begin(name)
    assert submitting.answer() == 0, (submitting.folder / "said.txt").read_text()
    return time.monotonic() - begun


def _forget(tree: Path, chance: random.Random) -> None:
    """Put a finished tree away, so that the next submit builds it once more, beside the sealed logs that are there."""
    if tree.exists():
        tree.rename(tree.parents[1] / f"away-{chance.random()}")


def _equal(submitting: Submitting) -> None:
    assert not submitting.difference("killed", "whole")
    assert {*archive.read(submitting.packed("killed"))} == {*archive.read(submitting.packed("whole"))}


def test_a_killed_submit_ends_as_an_undisturbed_one(shared: Path, tmp_path: Path) -> None:
    with submitted(manifests.opened(shared, tmp_path / "in"), tmp_path) as submitting:
        killed(submitting, FEW, 1)
        _equal(submitting)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_kills_leave_the_same_tree(shared: Path, tmp_path: Path) -> None:
    """With compliance tests to verify, and two results to infer."""
    manifest = manifests.closed(shared, tmp_path / "in", ("SingleStream",), 'infer = ["MultiStream", "Offline"]\n')
    with submitted(manifest, tmp_path) as submitting:
        killed(submitting, MANY, 0)
        _equal(submitting)
