"""Runs the official submission checkers from the user's own checkout of mlcommons/inference, each in a child process.

The new one is the package submission_checker. The old one, a single file, still decides in preprocess_submission.py; up
to v5.1 it was the only one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loadgen_harness.errors import BadInput

FOLDER = Path("tools") / "submission"
MODULE = "submission_checker.main"
OLD = ("submission_checker_old.py", "submission_checker.py")
TIMEOUT_S = 600
WHY = re.compile(r"ERROR|WARNING|Traceback|Error:|SUMMARY|Results=\d+, NoResults=\d+")
NOISE = re.compile(r"Execution of check .* skipped")
STAMP = re.compile(r"^\[.*? (\w+)\] ")
RESULTS = re.compile(r"Results=(\d+), NoResults=(\d+)")


@dataclass(frozen=True)
class OfficialVerdict:
    """What the official checker said: `reasons` are its own lines that say why, `results` how many it accepted.

    `passed` is false for an empty tree too, which the official checker calls OK: then `word` is "accepts" still.
    """

    passed: bool
    results: int
    reasons: tuple[str, ...]
    output: str

    @property
    def word(self) -> str:
        """What it did in its own view: "accepts", "rejects", or "crashes" where it came to no summary."""
        if "SUMMARY: submission" not in self.output:
            return "crashes"
        return "accepts" if "SUMMARY: submission looks OK" in self.output else "rejects"


def official(tree: Path, repository: Path, version: str) -> OfficialVerdict:
    """The official verdict on `tree` by the rules of `version` ("v6.1"); raises BadInput for a folder that lacks it."""
    folder = _folder(repository, Path("submission_checker") / "main.py")
    if folder is None:
        raise BadInput(f"{repository} holds no {FOLDER}/submission_checker: give a checkout of mlcommons/inference.")
    return _verdict(tree, ["-m", MODULE], folder, version)


def official_old(tree: Path, repository: Path, version: str) -> OfficialVerdict | None:
    """The verdict of the old checker, None where the checkout has none."""
    for name in OLD:
        folder = _folder(repository, Path(name))
        if folder:
            return _verdict(tree, [name], folder, version)
    return None


def _folder(repository: Path, wanted: Path) -> Path | None:
    """Where the checkers lie: below the checkout's root, or in the folder itself."""
    return next((each for each in (repository / FOLDER, repository) if (each / wanted).is_file()), None)


def _verdict(tree: Path, program: list[str], folder: Path, version: str) -> OfficialVerdict:
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "summary.csv"
        command = [sys.executable, "-B", *program, "--input", str(tree.resolve()), "--version", version]
        code, output = _run([*command, "--csv", str(table)], folder.resolve())
    if "No module named 'yaml'" in output:
        raise BadInput("the official checker needs PyYAML: run `pip install pyyaml`.")
    counts = RESULTS.search(output)
    results, failed = (int(counts[1]), int(counts[2])) if counts else (0, 0)
    passed = code == 0 and results > 0 and failed == 0
    return OfficialVerdict(passed, results, _reasons(output, tree), output)


def _run(command: list[str], folder: Path) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return 1, f"ERROR no verdict after {TIMEOUT_S} s"
    return done.returncode, done.stdout + done.stderr


def _reasons(output: str, tree: Path) -> tuple[str, ...]:
    """The lines that matter, once each, without time stamps, with paths from the tree's root."""
    wanted = (line.strip() for line in output.splitlines() if WHY.search(line) and not NOISE.search(line))
    lines = (STAMP.sub(r"\1: ", line).replace(f"{tree.resolve()}/", "") for line in wanted)
    return tuple(dict.fromkeys(lines))
