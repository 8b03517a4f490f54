"""Runs the official submission checkers from the user's own copy of mlcommons/inference, each in a child process.

The new one is the package submission_checker. The old one, a single file, still decides in preprocess_submission.py; up
to v5.1 it was the only one.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, MissingDependency
from submissions import layout

FOLDER = Path("tools") / "submission"
INSTALLED = "installed"  # in place of a checkout: the copy that this Python imports
PACKAGE = "submission_checker"
NEW = (Path(PACKAGE) / "main.py", ("-m", f"{PACKAGE}.main"))
OLD = ("submission_checker_old.py", "submission_checker.py")
TIMEOUT_S = 600
WHY = re.compile(r"ERROR|WARNING|Traceback|Error:|SUMMARY|Results=\d+, NoResults=\d+")
NOISE = re.compile(r"Execution of check .* skipped")
STAMP = re.compile(r"^\[.*? (\w+)\] ")
RESULTS = re.compile(r"Results=(\d+), NoResults=(\d+)")
OF_RESULT = re.compile(r"\b(?P<word>Results|NoResults) (?P<place>(?:closed|open|network)/\S*)")
ERROR = re.compile(r"\bERROR\b")
PLACE = re.compile(r"\b(?:closed|open|network)/[^\s,:;'\"]+")
LACKING = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'", re.MULTILINE)
RAISED = re.compile(r"^(?!Traceback)[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Iteration)\b.*$", re.MULTILINE)
ACCEPTS, REJECTS, CRASHES = "accepts", "rejects", "crashes"


@dataclass(frozen=True)
class OfficialVerdict:
    """What the official checker said: `reasons` are its own lines that say why, `results` how many it accepted.

    `passed` is false for an empty tree too, which the official checker calls OK: then `word` is "accepts" still.
    `by_result` is its word on each result, `errors_of` its error lines that name one; `fault` says in words why it came
    to no verdict.
    """

    passed: bool
    results: int
    reasons: tuple[str, ...]
    output: str
    by_result: Mapping[str, str] = field(default_factory=dict)
    errors_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fault: str = ""

    @property
    def word(self) -> str:
        """What it did in its own view: "accepts", "rejects", or "crashes" where it came to no summary."""
        if self.fault or "SUMMARY: submission" not in self.output:
            return CRASHES
        return ACCEPTS if "SUMMARY: submission looks OK" in self.output else REJECTS


def official(tree: Path, repository: Path, version: str, *, log: Path | None = None) -> OfficialVerdict:
    """The official verdict on `tree` by the rules of `version` ("v6.1"); everything that it printed stays in `log`.

    `repository` is a checkout of mlcommons/inference, its folder of checkers, or Path("installed"). Raises BadInput for
    a folder that lacks it, MissingDependency where it needs a package that is not there.
    """
    file, program = NEW
    folder = _folder(repository, file)
    if folder is None:
        raise BadInput(f"{repository} holds no {FOLDER}/{PACKAGE}: give a checkout of mlcommons/inference.")
    return _verdict(tree, [*program, "--version", version], folder, log)


def official_old(tree: Path, repository: Path, version: str, *, log: Path | None = None) -> OfficialVerdict | None:
    """The verdict of the old checker, None where the checkout has none."""
    for name in OLD:
        folder = _folder(repository, Path(name))
        if folder:
            return _verdict(tree, [name, "--version", version], folder, log)
    return None


def _folder(repository: Path, wanted: Path) -> Path | None:
    """Where the checkers lie: below the checkout's root, or in the folder itself."""
    places = (_installed(),) if str(repository) == INSTALLED else (repository / FOLDER, repository)
    return next((each for each in places if (each / wanted).is_file()), None)


def _installed() -> Path:
    """The folder from which this Python would import the checker's package; raises BadInput where it has none."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.origin:
        raise BadInput(
            f"no package {PACKAGE} is installed for {sys.executable}: give --official a checkout of "
            f"mlcommons/inference, or put its {FOLDER} on PYTHONPATH."
        )
    return Path(found.origin).parents[1] if found.submodule_search_locations else Path(found.origin).parent


def _verdict(tree: Path, program: list[str], folder: Path, log: Path | None) -> OfficialVerdict:
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "summary.csv"
        command = [sys.executable, "-B", *program, "--input", str(tree.resolve()), "--csv", str(table)]
        kept = log or Path(scratch) / "log.txt"
        code, late = _run(command, folder.resolve(), kept)
        output = kept.read_text(encoding="utf-8", errors="replace")
    if lacking := LACKING.search(output):
        raise _lacks(lacking[1], folder)
    counts = RESULTS.search(output)
    results, failed = (int(counts[1]), int(counts[2])) if counts else (0, 0)
    lines = _lines(output, tree)
    said = tuple(dict.fromkeys(line for line in lines if WHY.search(line) and not NOISE.search(line)))
    return OfficialVerdict(
        passed=code == 0 and results > 0 and failed == 0,
        results=results,
        reasons=said,
        output=output,
        by_result=_by_result(lines),
        errors_of=_errors_of(said),
        fault=late or _fault(code, output),
    )


def _lacks(module: str, folder: Path) -> Exception:
    """What to say of a module that it could not import: a package to install, or a part of itself."""
    root = module.partition(".")[0]
    if any((folder / each).exists() for each in (root, f"{root}.py")) or root in ("log_parser", PACKAGE):
        return BadInput(f"the official checker in {folder} lacks its own module {module}: give a whole checkout.")
    return MissingDependency("the official checker", registry.PACKAGES.get(root, root))


def _run(command: list[str], folder: Path, log: Path) -> tuple[int, str]:
    """Exit code, and what to say where it had to be ended; its output goes to `log` as it comes."""
    before = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), before)))}
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
        try:
            return child.wait(TIMEOUT_S), ""
        except subprocess.TimeoutExpired:
            return 1, f"it came to no verdict within {TIMEOUT_S} s and was ended"
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End it with all that it started, also when we are interrupted ourselves."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _fault(code: int, output: str) -> str:
    """Why it came to no verdict, in words; empty where it did."""
    if "SUMMARY: submission" in output:
        return ""
    raised = RAISED.findall(output)
    if raised:
        return f"it ended before its summary: {raised[-1].strip()}"
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"it {how} before its summary and named no reason"


def _lines(output: str, tree: Path) -> list[str]:
    """Its lines without time stamps, with paths from the tree's root."""
    root = f"{tree.resolve()}/"
    return [STAMP.sub(r"\1: ", line.strip()).replace(root, "") for line in output.splitlines()]


def _by_result(lines: list[str]) -> dict[str, str]:
    """Its word on each result, from the list before its summary."""
    found = (OF_RESULT.search(line) for line in lines)
    words = {"Results": ACCEPTS, "NoResults": REJECTS}
    return {layout.result_of(each["place"]): words[each["word"]] for each in found if each}


def _errors_of(lines: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Its error lines by the result that they name."""
    found: dict[str, list[str]] = {}
    for line in lines:
        match = PLACE.search(line) if ERROR.search(line) else None
        if match and not OF_RESULT.search(line):
            found.setdefault(layout.result_of(match[0]), []).append(line)
    return {place: tuple(each) for place, each in found.items()}
