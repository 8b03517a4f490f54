"""Runs the official submission checker from the user's own checkout of mlcommons/inference, in a child process."""

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
TIMEOUT_S = 600
WHY = re.compile(r"ERROR|WARNING|Traceback|Error:|SUMMARY|Results=\d+, NoResults=\d+")
NOISE = re.compile(r"Execution of check .* skipped")
STAMP = re.compile(r"^\[.*? (\w+)\] ")
RESULTS = re.compile(r"Results=(\d+), NoResults=(\d+)")


@dataclass(frozen=True)
class OfficialVerdict:
    """What the official checker said: `reasons` are its own lines that say why, `results` how many it accepted.

    `passed` is false for an empty tree too, which the official checker calls OK.
    """

    passed: bool
    results: int
    reasons: tuple[str, ...]
    output: str


def official(tree: Path, repository: Path, version: str) -> OfficialVerdict:
    """The official verdict on `tree` by the rules of `version` ("v6.1"); raises BadInput for a folder that lacks it."""
    folder = next(
        (f for f in (repository / FOLDER, repository) if (f / "submission_checker" / "main.py").is_file()), None
    )
    if folder is None:
        raise BadInput(f"{repository} holds no {FOLDER}/submission_checker: give a checkout of mlcommons/inference.")
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "summary.csv"
        command = [sys.executable, "-B", "-m", MODULE, "--input", str(tree.resolve()), "--version", version]
        code, output = _run([*command, "--csv", str(table)], folder)
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
