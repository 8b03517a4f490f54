"""Where the official checker reads limits or directions wrongly: Interactive's latencies, entropy, equal issue."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audit.finding import Finding, Severity
from loadgen_harness import rounds
from submissions.check import check
from submissions.official import official
from tests.submissions import synthetic
from tests.submissions.differential import predicted
from tests.submissions.synthetic import FAULTS


@pytest.fixture
def tree(shared: Path, tmp_path: Path) -> Path:
    """The tree without a fault."""
    return synthetic.tree(tmp_path / "tree", shared / "golden-v6.1/closed/Acme/systems/toybox_1x_cpu.json")


def findings(tree: Path) -> list[Finding]:
    """Everything but notes."""
    return [each for each in check(tree, rounds.load("v6.1")) if each.severity is not Severity.NOTE]


def test_the_tree_has_no_finding(tree: Path) -> None:
    assert findings(tree) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_findings_and_no_other(tree: Path, name: str) -> None:
    FAULTS[name].change(tree)
    assert sorted((each.check, each.key) for each in findings(tree)) == sorted(FAULTS[name].wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *FAULTS])
def test_the_checker_does_what_was_predicted(tree: Path, name: str) -> None:
    checkout = os.environ.get("LGH_MLCOMMONS_INFERENCE")
    if not checkout:
        pytest.skip("LGH_MLCOMMONS_INFERENCE names no checkout of mlcommons/inference")
    if name:
        FAULTS[name].change(tree)
    assert predicted(findings(tree)) == official(tree, Path(checkout), "v6.1").word
