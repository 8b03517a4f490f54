"""TEST09: the mean output length of a performance run lies in the round's range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audit.compliance.test09 import TEST as TEST09
from audit.verdict import Verdict
from loadgen_harness import rounds
from loadgen_harness.run import Run
from tests.audit import folders, trials
from tests.audit.trials import logged, spoken, talked

ENTRIES = [spoken(*range(2, 2 + length), index=length) for length in (2, 4, 6)]  # mean 4
RANGE = {"min_output_tokens": 3.6, "max_output_tokens": 4.4}


def judged(run: Run, **changes: float) -> Verdict:
    """The verdict where three different samples are wanted, four tokens each within 10 %."""
    return TEST09.verify(None, None, run, settings={**logged(3), **RANGE, **changes})


@pytest.mark.parametrize(("least", "most", "passes"), [
    (3.6, 4.4, True), (4.0, 4.4, True), (3.6, 4.0, True), (4.01, 4.4, False), (3.0, 3.99, False), (5, 3, False),
])  # fmt: skip
def test_the_mean_lies_in_the_range(tmp_path: Path, least: float, most: float, passes: bool) -> None:
    verdict = judged(talked(tmp_path, "TEST09", ENTRIES), min_output_tokens=least, max_output_tokens=most)
    assert verdict.passed is passes and [f.key for f in verdict.findings] == ([] if passes else ["output_tokens"])
    lines = verdict.files["verify_output_len.txt"].splitlines()
    assert lines[-1] == ("TEST PASS" if passes else "TEST FAIL")
    for line in ("Total samples: 3", "Mean output tokens: 4.00", "Min output tokens: 2", "Max output tokens: 6"):
        assert line in lines
    assert "Std deviation: 1.63" in lines and f"Min check pass: {least <= 4}" in lines


def test_an_empty_answer_counts_as_none(tmp_path: Path) -> None:
    cut = [*ENTRIES[:2], folders.response(6, b"")]
    verdict = judged(talked(tmp_path, "TEST09", cut))
    assert not verdict.passed and "Mean output tokens: 2.00" in verdict.files["verify_output_len.txt"]


def test_a_rest_of_bytes_is_no_token(tmp_path: Path) -> None:
    odd = folders.response(9, b"\1\0\0\0\2\0\0")
    found = judged(talked(tmp_path, "TEST09", [odd]), min_query_count=1, min_output_tokens=1, max_output_tokens=1)
    assert found.passed


def test_every_response_must_be_logged(tmp_path: Path) -> None:
    assert [f.key for f in judged(talked(tmp_path / "short", "TEST09", ENTRIES), min_query_count=4).findings] == [
        "entries"
    ]
    nothing = judged(talked(tmp_path / "none", "TEST09", []))
    assert [finding.key for finding in nothing.findings] == ["entries", "output_tokens"]
    assert "Total samples: 0" in nothing.files["verify_output_len.txt"]


@pytest.mark.parametrize("key", RANGE)
def test_a_round_without_a_range_fails_it(tmp_path: Path, key: str) -> None:
    settings = {name: value for name, value in {**logged(3), **RANGE}.items() if name != key}
    verdict = TEST09.verify(None, None, talked(tmp_path, "TEST09", ENTRIES), settings=settings)
    assert [finding.found for finding in verdict.findings] == ["no range"]


def test_the_run_must_have_read_its_audit_config(tmp_path: Path) -> None:
    plain = folders.write(tmp_path, folders.talking(), responses=ENTRIES)
    keys = ["audit.config", "effective_accuracy_log_sampling_target", "effective_performance_issue_unique"]
    assert [finding.key for finding in judged(plain).findings] == keys


EXPECTED: dict[str, dict[str, Any]] = {
    "gpt-oss-120b": {"min_query_count": "6396", "test09_min_output_tokens": "1150.38", "performance_issue_unique": "1"},
    "e2e-rag-qna": {"min_query_count": "824", "test09_max_output_tokens": "301.19"},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_config_states_the_range_for_the_official_script(name: str) -> None:
    text = TEST09.config(folders.benchmark(name), rounds.load("v6.1"))
    lines = dict(line.removeprefix("*.*.").split(" = ") for line in text.splitlines())
    assert EXPECTED[name].items() <= lines.items()
    assert ("performance_issue_unique" in lines) is (name == "gpt-oss-120b")


def test_offline_goes_through_the_samples_in_turn(tmp_path: Path) -> None:
    twice = [*ENTRIES[:2], ENTRIES[1]]
    settings = {**logged(3), "performance_issue_unique": 0, **RANGE, "min_output_tokens": 3.0}
    log = {"effective_accuracy_log_sampling_target": trials.LIMIT}
    keys = {}
    for scenario in ("Offline", "Server"):
        values = folders.audited(folders.performance(scenario), "TEST09", **log)
        run = folders.write(tmp_path / scenario, values, warnings=[folders.AUDIT_WARNING], responses=twice)
        keys[scenario] = [f.key for f in TEST09.verify(None, None, run, settings=settings).findings]
    assert keys == {"Offline": ["entries"], "Server": []}
