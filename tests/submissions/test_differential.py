"""The predictions of audit/official.py are what the official checker does; needs a checkout of mlcommons/inference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadgen_harness import subjects
from submissions.official import official
from tests.submissions import differential
from tests.submissions.faults import FAULTS

FEW = ("INVALID run", "qsl seed", "no detail log")  # one of each word; all of them are slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def checkout() -> Path:
    """The official repository."""
    folder = os.environ.get("LGH_MLCOMMONS_INFERENCE")
    if not folder:
        pytest.skip("LGH_MLCOMMONS_INFERENCE names no checkout of mlcommons/inference")
    return Path(folder)


@pytest.fixture(scope="module")
def golden(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A writable copy of the golden tree."""
    return differential.writable(shared / "golden-v6.1", tmp_path_factory.mktemp("golden") / "tree")


@pytest.mark.parametrize("name", FEW)
def test_the_checker_does_what_was_predicted(golden: Path, checkout: Path, tmp_path: Path, name: str) -> None:
    tree, findings = differential.judged(golden, name, tmp_path)
    assert differential.predicted(findings) == official(tree, checkout, "v6.1").word


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in differential.changes() if name not in FEW])
def test_the_checker_does_what_was_predicted_of_every_change(
    golden: Path, checkout: Path, tmp_path: Path, name: str
) -> None:
    tree, findings = differential.judged(golden, name, tmp_path)
    assert differential.predicted(findings) == official(tree, checkout, "v6.1").word


def unexplained(tree: Path, checkout: Path) -> list[str]:
    """Disagreements on a tree for which neither the table nor a checker's line gives a reason."""
    found = subjects.audit(tree, subjects.Asked(round="v6.1", checkout=checkout)).differences
    return [each.sentence for each in found if "does otherwise here" in each.why or "No finding of ours" in each.why]


@pytest.mark.parametrize("name", ["hidden file", "scenario missing", "count in words", "key missing"])
def test_every_disagreement_has_a_known_reason(golden: Path, checkout: Path, tmp_path: Path, name: str) -> None:
    assert not unexplained(differential.judged(golden, name, tmp_path)[0], checkout)


@pytest.mark.slow
@pytest.mark.parametrize("name", differential.changes())
def test_every_disagreement_about_any_change_has_a_known_reason(
    golden: Path, checkout: Path, tmp_path: Path, name: str
) -> None:
    assert not unexplained(differential.judged(golden, name, tmp_path)[0], checkout)


@pytest.mark.parametrize("round_", differential.OTHERS)
def test_a_tree_of_another_round_is_accepted_by_its_checker(
    golden: Path, checkout: Path, tmp_path: Path, round_: str
) -> None:
    tree = differential.as_round(golden, tmp_path / "tree", round_)
    assert official(tree, checkout, round_).word == "accepts"


def test_the_committed_table_lists_every_change() -> None:
    text = (ROOT / "docs" / "checker-differences.md").read_text(encoding="utf-8")
    assert all(f"| {name} |" in text for name in (*FAULTS, *differential.ALLOWED))
