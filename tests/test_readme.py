"""The README is short, and what it tells people to type works."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.architecture import ROOT, is_module

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(?:sh|bash|console)\n(.*?)^```", README, re.M | re.S)
LINES = [line.removeprefix("$ ").split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
TYPED = sorted({line for line in LINES if line.startswith("lgh ")})
VERBS = sorted(set(re.findall(r"\blgh ([a-z]+(?:-[a-z]+)*)\b", README)))


def test_is_short() -> None:
    assert README.count("\n") < 150


def test_names_the_two_commands() -> None:
    assert {"make demo", "make test"} <= set(LINES)


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("make ")])
def test_a_make_line_has_a_target(line: str) -> None:
    target = line.split()[1]
    assert re.search(rf"^{target}:", MAKEFILE, re.M), f"README says `{line}`, the Makefile has no target {target}"


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_exists(verb: str) -> None:
    assert verb in help_of(verb)


def test_flags_of_its_lines_exist() -> None:
    flags = {line: re.findall(r"(?<=\s)--[a-z][\w-]*", line) for line in TYPED}
    unknown = [(line, flag) for line in TYPED for flag in flags[line] if flag not in help_of(line.split()[1])]
    assert not unknown, f"`--help` does not know {unknown}"


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:docs|tests|benchmarks)/[\w/]+\.\w+|[A-Z]+(?:\.md)?)`", README)))
)
def test_a_file_that_it_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


def help_of(verb: str) -> str:
    """What `lgh VERB --help` prints."""
    if not is_module("loadgen_harness.cli"):
        pytest.skip("loadgen_harness/cli.py is not there yet")
    command = [sys.executable, "-m", "loadgen_harness", verb, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
