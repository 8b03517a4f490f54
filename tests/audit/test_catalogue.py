"""The catalogue names every check that the code can report, and docs/audit.md shows it as it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from audit import catalogue
from audit.audited import SCOPES
from audit.auditee import cache, order, perturb, reproduce
from tests.architecture import ROOT, modules

PACKAGES = ("audit", "submissions", "loadgen_harness")
MAKERS = ("Finding", "finding", "error", "_error", "_finding")
KEYS = {"score", "precision", "log"}  # first arguments of makers that are given the key, or nothing but a place, there
RERUNS = {module.AUDIT for module in (cache, order, perturb, reproduce)}


def literals() -> Iterator[str]:
    """Check names that stand in calls which make a Finding: the first argument, or `check=`."""
    for module in modules(*PACKAGES):
        makers = set(MAKERS) if {"audit.finding", "submissions.structure"} & imported(module.tree) else set()
        for call in (node for node in ast.walk(module.tree) if isinstance(node, ast.Call)):
            yield from named(call, makers)


def named(call: ast.Call, makers: set[str]) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in makers:
        return
    given = [keyword.value for keyword in call.keywords if keyword.arg == "check"] or call.args[:1]
    yield from (each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str))


def imported(tree: ast.Module) -> set[str]:
    return {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_names_every_check_of_the_code() -> None:
    unknown = sorted(set(literals()) - set(catalogue.CHECKS) - KEYS)
    assert not unknown, f"audit/catalogue.py lacks {unknown}"


def test_finds_names_in_the_code_at_all() -> None:
    assert {"seeds", "validity", "structure", "accuracy"} <= set(literals())


@pytest.mark.parametrize("name", catalogue.CHECKS)
def test_a_check_asks_a_question(name: str) -> None:
    assert catalogue.CHECKS[name].scope in SCOPES
    question = catalogue.CHECKS[name].question
    assert question.endswith("?") and len(question) <= 120


def test_the_documentation_shows_it() -> None:
    text = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
    table = text.partition("<!-- checks -->\n")[2].partition("<!-- /checks -->")[0]
    assert table == rendered(), "write `python -m tests.audit.test_catalogue` between the marks of docs/audit.md"


def rendered() -> str:
    """The table of docs/audit.md."""
    rows = [
        f"| `{name}` | {asked.scope} | {asked.question} | {asked.severity} |"
        for name, asked in catalogue.CHECKS.items()
    ]
    return "\n".join(["| check | looks at | asks | gravest |", "|---|---|---|---|", *rows]) + "\n"


def test_reruns_are_named() -> None:
    assert set(catalogue.CHECKS) >= RERUNS


if __name__ == "__main__":
    print(rendered(), end="")
