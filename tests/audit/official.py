"""What the official repository says at a round's own commit: constants of the checker, mlperf.conf, audit.config."""

from __future__ import annotations

import ast
import functools
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.types import Round

VARIABLE = "LGH_MLCOMMONS_INFERENCE"
CHECKERS = ("tools/submission/submission_checker/constants.py", "tools/submission/submission_checker.py")
LATEST = "HEAD"


def repository() -> Path:
    """The clone named by the environment; the test skips without one."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"{VARIABLE} names no clone of mlcommons/inference")
    return Path(folder)


@dataclass(frozen=True)
class Official:
    """The repository at one commit, as far as it concerns one round."""

    path: Path
    commit: str
    round: str

    def text(self, name: str) -> str:
        """A file at the commit, "" where it is not there; the test skips where the clone has no history."""
        found = _shown(self.path, self.commit, name)
        if found is None:
            pytest.skip(f"{VARIABLE} names no clone with the history of mlcommons/inference (commit {self.commit})")
        return found

    @cached_property
    def constants(self) -> Mapping[str, Any]:
        """The constants of the submission checker; those that are no plain expressions are left out."""
        found: dict[str, Any] = {}
        source = next(text for name in CHECKERS if (text := self.text(name)))
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
                code = compile(ast.Expression(node.value), "constants", "eval")
                found[node.targets[0].id] = eval(code, {"__builtins__": {}}, dict(found))
        return found

    @property
    def model_config(self) -> Mapping[str, Any]:
        """The checker's table of the round."""
        table: Mapping[str, Any] = self.constants["MODEL_CONFIG"][self.round]
        return table

    @cached_property
    def mlperf_conf(self) -> Mapping[str, float]:
        """LoadGen's built-in settings: "model.scenario.key" to a number."""
        return _settings(self.text("loadgen/mlperf.conf"))

    def conf(self, model: str, scenario: str, key: str) -> float | None:
        """A setting as LoadGen looks it up."""
        names = (f"{m}.{s}.{key}" for m, s in ((model, scenario), ("*", scenario), (model, "*"), ("*", "*")))
        return next((self.mlperf_conf[name] for name in names if name in self.mlperf_conf), None)

    def audit_config(self, test: str, model: str) -> Mapping[str, float]:
        """The settings of a compliance test for one of LoadGen's models; lines of a scenario count for all."""
        folder = {"gptj": "gpt-j", "retinanet": "retinanet"}.get(model, model)
        homes = (f"compliance/{test}", f"compliance/nvidia/{test}")
        names = (f"{home}{part}/audit.config" for home in homes for part in (f"/{folder}", ""))
        return _settings(next((text for name in names if (text := self.text(name))), ""))


@functools.cache
def _shown(path: Path, commit: str, name: str) -> str | None:
    """A file of a clone at a commit, "" where it is not there, None where the commit is not."""
    git = ["git", "-C", str(path)]
    shown = subprocess.run([*git, "show", f"{commit}:{name}"], capture_output=True, text=True, check=False)
    if shown.returncode == 0:
        return shown.stdout
    known = subprocess.run([*git, "cat-file", "-e", commit], capture_output=True, check=False)
    return "" if known.returncode == 0 else None


def of(round_: Round, commit: str = "") -> Official:
    """The official repository at the round's commit, or at another one."""
    return Official(repository(), commit or round_.commit, round_.name)


def _settings(text: str) -> dict[str, float]:
    lines = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): float(value) if "." in value else int(value) for key, value in lines}
