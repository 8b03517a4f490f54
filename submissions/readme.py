"""The README files of a submission: how a result was made and how to repeat it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Scenario

PROGRAM = "lgh"  # what `python -m loadgen_harness` is installed as
ABSOLUTE = re.compile(r"(?<![\w./])(?:/[^/\s=:,]+)+/([^/\s=:,]+)")


def scenario(benchmark: Benchmark, scenario: Scenario, performance: Run, accuracy: Run | None) -> str:
    """README.md of one result: both commands, the backend, the versions."""
    lines = [f"# {benchmark.title}, {scenario}", "", "## Performance run", "", *_command(performance)]
    if accuracy:
        lines += ["", "## Accuracy run", "", *_command(accuracy)]
    lines += _section("Backend", performance.meta.get("backend"))
    lines += _section("Versions", _versions(performance))
    return "\n".join(lines)


def source(benchmark: Benchmark, run: Run, note: str) -> str:
    """README.md of the source folder: where the code is and the command that made the result."""
    suite = run.meta.get("suite") or {}
    made = f"Made with loadgen-harness {suite.get('version', '(unknown version)')}"
    made += f", git {suite['git']}" if suite.get("git") else ""
    lines = [f"# {benchmark.title}", "", f"{made}.", *([note] if note else []), "", *_command(run)]
    return "\n".join([*lines, "", f"One sample is {benchmark.sample}."])


def portable(text: str) -> str:
    """A text whose absolute paths are cut to their last part: a submission is public."""
    return ABSOLUTE.sub(r"\1", text)


def _command(run: Run) -> list[str]:
    command = run.meta.get("command") or ()
    if isinstance(command, str) or not command:
        return ["```", portable(command or "(not recorded)"), "```"]
    words = [portable(str(word)) for word in command]
    words[0] = PROGRAM if words[0] == "__main__.py" else words[0]
    return ["```sh", shlex.join(words), "```"]


def _section(title: str, content: Mapping[str, Any] | None) -> list[str]:
    if not content:
        return []
    return ["", f"## {title}", "", *(f"- {key}: {portable(str(value))}" for key, value in sorted(content.items()))]


def _versions(run: Run) -> dict[str, Any]:
    versions = dict(run.meta.get("versions") or {})
    if "loadgen_version" in run.log:
        versions.setdefault("LoadGen", run.log["loadgen_version"])
    return versions
