"""TEST07: the responses of a performance run over the compliance set reach the round's threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.compliance.test07 import TEST as TEST07
from audit.verdict import Verdict
from loadgen_harness import rounds
from loadgen_harness.run import Run
from tests.audit import folders, trials
from tests.audit.trials import logged, mean_score, talked

ENTRIES = [folders.response(index, np.float32(60 + index).tobytes()) for index in range(5)]  # mean 62


def judged(run: Run, threshold: float | None = 60.0, **changes: Any) -> Verdict:
    """The verdict where five different samples are wanted."""
    settings = {**logged(5), **({} if threshold is None else {"accuracy_threshold": threshold}), **changes}
    return TEST07.verify(None, None, run, settings=settings, score=mean_score)


@pytest.mark.parametrize(("threshold", "passes"), [(60.0, True), (62.0, True), (62.001, False)])
def test_the_score_must_reach_the_threshold(tmp_path: Path, threshold: float, passes: bool) -> None:
    verdict = judged(talked(tmp_path, "TEST07", ENTRIES), threshold)
    assert verdict.passed is passes and [f.key for f in verdict.findings] == ([] if passes else ["accuracy"])
    lines = verdict.files["verify_accuracy.txt"].splitlines()
    assert lines[0] == "'acc': 62.0000" and lines[-1] == ("TEST PASS" if passes else "TEST FAIL")
    assert f"Accuracy check pass: {passes}" in lines and f"Accuracy threshold: {threshold}" in lines


def test_every_sample_of_the_set_must_be_logged(tmp_path: Path) -> None:
    short = judged(talked(tmp_path / "short", "TEST07", ENTRIES[1:]))
    assert [finding.key for finding in short.findings] == ["entries"] and "4 samples" in short.findings[0].found
    twice = judged(talked(tmp_path / "twice", "TEST07", [*ENTRIES[1:], ENTRIES[2]]))
    assert [finding.key for finding in twice.findings] == ["entries"]
    assert twice.files["verify_accuracy.txt"].endswith("Accuracy check pass: True\nTEST FAIL\n")
    run = talked(tmp_path / "repeated", "TEST07", [*ENTRIES[1:], ENTRIES[2]])
    assert [f.key for f in judged(run, performance_issue_unique=0).findings] == ["effective_performance_issue_unique"]


def test_nothing_to_score_and_no_threshold_fail(tmp_path: Path) -> None:
    run = talked(tmp_path, "TEST07", ENTRIES)
    assert [finding.key for finding in judged(run, None).findings] == ["accuracy_threshold"]
    unscored = TEST07.verify(None, None, run, settings={**logged(5), "accuracy_threshold": 60.0})
    assert [finding.key for finding in unscored.findings] == ["accuracy"]
    truncated = trials.rewrite(run, "[\n...\n]")
    assert [finding.key for finding in judged(truncated).findings] == ["entries", "accuracy"]


def test_a_score_that_is_no_number_fails(tmp_path: Path) -> None:
    nothing = [folders.response(index, np.float32("nan").tobytes()) for index in range(5)]
    assert [finding.key for finding in judged(talked(tmp_path, "TEST07", nothing)).findings] == ["accuracy"]


def test_the_run_must_have_read_its_audit_config(tmp_path: Path) -> None:
    plain = folders.write(tmp_path, folders.talking(), responses=ENTRIES)
    keys = ["audit.config", "effective_accuracy_log_sampling_target", "effective_performance_issue_unique"]
    assert [finding.key for finding in judged(plain).findings] == keys


def test_the_config_states_the_threshold_for_the_official_script() -> None:
    text = TEST07.config(folders.benchmark("gpt-oss-120b"), rounds.load("v6.1"))
    assert "*.*.test07_accuracy_threshold = 60.698\n" in text and "*.*.min_query_count = 990\n" in text
