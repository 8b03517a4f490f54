"""TEST08: streamed recommendations are worth in performance mode what they are in accuracy mode; synthetic logs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.compliance import test08
from audit.compliance.test08 import TEST as TEST08
from audit.verdict import Verdict
from loadgen_harness.run import Run
from tests.audit import folders
from tests.audit.trials import accurate, audited, recommended, rewrite

LABELS = (1.0, 0.0, 1.0, 0.0)
CHANCES = {1: (0.9, 0.2, 0.6, 0.4), 2: (0.5, 0.5, 0.5, 0.5), 3: (0.99, 0.01, 0.7, 0.3)}
WHOLE = [recommended(request, chances, LABELS) for request, chances in CHANCES.items()]
SAMPLED = [recommended(request, CHANCES[request]) for request in (3, 1)]


def judged(folder: Path, sampled: list[dict[str, Any]], **settings: float) -> Verdict:
    """The verdict on sampled responses against the accuracy run of three requests."""
    chosen = {"accuracy_log_sampling_target": 4096.0, **settings}
    return TEST08.verify(None, accurate(folder, WHOLE), audited(folder, "TEST08", sampled), settings=chosen)


def nudged(request: int, by: float) -> dict[str, Any]:
    """A response whose first chance is changed."""
    first, *rest = CHANCES[request]
    return recommended(request, (first + by, *rest))


def test_equal_answers_pass(tmp_path: Path) -> None:
    verdict = judged(tmp_path, SAMPLED)
    assert verdict.passed and verdict.findings == ()
    lines = verdict.files["verify_accuracy.txt"].splitlines()
    assert "TEST PASS" in lines and "num_matched = 2" in lines and "num_acc_log_entries = 3" in lines
    assert "tolerance = 0.10%" in lines


FAULTS: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([*SAMPLED, nudged(1, -0.1)], ["num_ne_mismatch"]),
    ([*SAMPLED, recommended(2, (0.5, 0.5, 0.5, math.nan))], ["num_ne_mismatch"]),
    ([*SAMPLED, recommended(2, (0.5, 0.5))], ["num_ne_mismatch"]),
    ([*SAMPLED, recommended(9, CHANCES[1])], ["num_unmatched"]),
    ([recommended(9, CHANCES[1])], ["num_unmatched", "num_matched"]),
    ([*SAMPLED, folders.response(0, b"12345")], ["unreadable"]),
    ([*SAMPLED, folders.response(0, np.array([math.nan, 1, 0.5], "<f4").tobytes())], ["unreadable"]),
    ([], ["num_matched"]),
]


@pytest.mark.parametrize(("sampled", "keys"), FAULTS, ids=range(len(FAULTS)))
def test_other_answers_fail(tmp_path: Path, sampled: list[dict[str, Any]], keys: list[str]) -> None:
    verdict = judged(tmp_path, sampled)
    assert not verdict.passed and [finding.key for finding in verdict.findings] == keys
    assert "TEST FAIL" in verdict.files["verify_accuracy.txt"].splitlines()


def test_the_tolerance_is_the_rounds(tmp_path: Path) -> None:
    assert judged(tmp_path / "near", [nudged(1, 0.0005)]).passed
    assert not judged(tmp_path / "far", [nudged(1, 0.01)]).passed
    assert judged(tmp_path / "wide", [nudged(1, 0.01)], tolerance=0.05).passed


def test_without_an_accuracy_log_nothing_matches(tmp_path: Path) -> None:
    run = audited(tmp_path, "TEST08", SAMPLED)
    assert not TEST08.verify(None, None, run).passed
    truncated = rewrite(accurate(tmp_path, WHOLE), "[\n...\n]")
    assert {finding.key for finding in TEST08.verify(None, truncated, run).findings} == {"num_unmatched", "num_matched"}


def test_damaged_labels_are_unreadable(tmp_path: Path) -> None:
    cut = folders.response(1, bytes.fromhex(WHOLE[0]["data"])[:-4])
    found = test08.compare(Run(accurate(tmp_path, [cut]).path).response_entries, (), 0.001)
    assert (found.unreadable, found.matched, found.passed) == (1, 0, False)


def test_normalised_entropy_is_one_for_the_mean_and_undefined_is_nought() -> None:
    labels, even = np.array(LABELS, "<f4"), np.full(4, 0.5, "<f4")
    weights = np.ones(4, "<f4")
    assert test08.normalised_entropy(even, labels, weights) == pytest.approx(1.0, abs=1e-5)
    assert test08.normalised_entropy(labels, labels, weights) < 1e-4
    assert test08.normalised_entropy(even, labels, np.zeros(4, "<f4")) == 0.0
    uneven = np.array([3, 1, 1, 1], "<f4")
    by_hand = -(3 * math.log(0.9) + math.log(0.8) + math.log(0.6) + math.log(0.6)) / 6
    base = -(4 / 6 * math.log(4 / 6) + 2 / 6 * math.log(2 / 6))
    found = test08.normalised_entropy(np.array(CHANCES[1], "<f4"), labels, uneven)
    assert found == pytest.approx(by_hand / base, rel=1e-4)


def test_hostile_weights_give_no_number_and_no_warning() -> None:
    huge = np.full(4, 3e38, "<f4")
    found = test08.normalised_entropy(np.full(4, 0.4, "<f4"), np.array(LABELS, "<f4"), huge)
    assert not math.isfinite(found)
