"""What the official checker says of generated trees; needs a checkout named by LGH_MLCOMMONS_INFERENCE."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from submissions.check import official
from submissions.official import OfficialVerdict, official_old
from submissions.truncate import truncate
from tests.submissions import trees


@pytest.fixture(scope="module")
def checkout() -> Path:
    folder = os.environ.get("LGH_MLCOMMONS_INFERENCE")
    if not folder:
        pytest.skip("LGH_MLCOMMONS_INFERENCE names no checkout of mlcommons/inference")
    return Path(folder)


def test_accepts_the_closed_tree(shared: Path, checkout: Path, tmp_path: Path) -> None:
    tree = trees.closed(shared, tmp_path / "runs", tmp_path / "tree")
    truncate(tree, tmp_path / "backup")
    verdict = official(tree, checkout, "v6.1")
    assert verdict.passed and verdict.results == 3, verdict.reasons
    assert any("submission looks OK" in line for line in verdict.reasons)


def test_the_old_checker_accepts_the_closed_tree_too(shared: Path, checkout: Path, tmp_path: Path) -> None:
    tree = trees.closed(shared, tmp_path / "runs", tmp_path / "tree")
    truncate(tree, tmp_path / "backup")
    verdict = official_old(tree, checkout, "v6.1")
    assert verdict is not None and verdict.word == "accepts" and verdict.results == 3


def test_a_checkout_without_the_old_checker_gives_no_verdict(tmp_path: Path) -> None:
    assert official_old(tmp_path, tmp_path, "v6.1") is None


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("INFO SUMMARY: submission looks OK", "accepts"),
        ("ERROR SUMMARY: submission has errors", "rejects"),
        ("TypeError: 'NoneType' object is not subscriptable", "crashes"),
        ("", "crashes"),
    ],
)
def test_the_word_is_read_from_its_summary(output: str, word: str) -> None:
    assert OfficialVerdict(False, 0, (), output).word == word


def test_accepts_the_open_tree(shared: Path, checkout: Path, tmp_path: Path) -> None:
    tree = trees.opened(shared, tmp_path / "runs", tmp_path / "tree")
    truncate(tree, tmp_path / "backup")
    verdict = official(tree, checkout, "v6.1")
    assert verdict.passed and verdict.results == 1, verdict.reasons


def test_rejects_an_untruncated_tree_and_says_why(shared: Path, checkout: Path, tmp_path: Path) -> None:
    tree = trees.opened(shared, tmp_path / "runs", tmp_path / "tree")
    verdict = official(tree, checkout, "v6.1")
    assert not verdict.passed
    assert any("is not truncated" in line for line in verdict.reasons)


def test_an_empty_tree_does_not_pass(checkout: Path, tmp_path: Path) -> None:
    verdict = official(tmp_path, checkout, "v6.1")
    assert not verdict.passed and verdict.results == 0 and verdict.word == "accepts"  # it calls an empty tree OK


def test_a_folder_without_the_checker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="checkout of mlcommons/inference"):
        official(tmp_path, tmp_path, "v6.1")
