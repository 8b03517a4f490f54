"""verify_*.txt against itself: no count, score or threshold may contradict the pass that stands below it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import verdict_text
from audit.compliance.test01 import Match
from audit.compliance.test09 import Lengths
from audit.verdict_text import ACCURACY, LENGTHS, PERFORMANCE, Said

TEST07 = "=====\nTEST07 Verification Summary\nAccuracy score: {}\nAccuracy threshold: {}\nAccuracy check pass: {}\n{}\n"
TEST08 = (
    "num_acc_log_entries = 9\nnum_perf_log_entries = {}\nnum_matched = {}\nnum_unmatched = {}\nnum_ne_mismatch = {}\n"
    "tolerance = {}\n\nTEST PASS\nTEST08 verification complete\n"
)
TEST09 = (
    "Total samples: {}\nMean output tokens: {}\nMin threshold: {}\nMax threshold: {}\nMin check pass: {}\n"
    "Max check pass: True\n\nTEST PASS\n"
)
TEST06 = "First token check pass: {}\nEOS check pass: {}\nSample length check pass: True\nTEST06 verification {}\n"
TEST01 = Match(1000, 0, 0, 64, 64, 0, 0)


def keys(test: str, text: str, *, name: str = ACCURACY, **more: object) -> list[str]:
    """What is doubted of one text."""
    said = Said(test=test, file=f"{test}/{name}", name=name, text=text, **more)  # type: ignore[arg-type]
    return [each.key for each in verdict_text.check(said)]


SETTINGS = {
    "TEST07": {"accuracy_threshold": 60.698},
    "TEST09": {"min_output_tokens": 1150.38, "max_output_tokens": 1406.02, "min_query_count": 6396.0},
}
CASES = (
    ("TEST07", TEST07.format(61.2, 60.698, True, "TEST PASS"), []),
    ("TEST07", TEST07.format(59.2, 60.698, True, "TEST PASS"), ["Accuracy score"]),
    ("TEST07", TEST07.format(59.2, 50.0, True, "TEST PASS"), ["Accuracy threshold"]),
    ("TEST07", TEST07.format(61.2, 60.698, False, "TEST PASS"), ["Accuracy check pass"]),
    ("TEST07", "TEST PASS\n", ["counts"]),
    ("TEST08", TEST08.format(8, 8, 0, 0, "0.10%"), []),
    ("TEST08", TEST08.format(8, 7, 1, 0, "0.10%"), ["num_unmatched"]),
    ("TEST08", TEST08.format(8, 8, 0, 2, "0.10%"), ["num_ne_mismatch"]),
    ("TEST08", TEST08.format(8, 9, 0, 0, "0.10%"), ["num_matched"]),
    ("TEST08", TEST08.format(8, 8, 0, 0, "1.00%"), ["tolerance"]),
    ("TEST06", TEST06.format("True", "True", "complete"), []),
    ("TEST06", TEST06.format("Skipped", "True", "complete"), ["First token check pass"]),
    ("TEST06", TEST06.format("True", "False", "complete"), ["EOS check pass"]),
    ("TEST06", TEST06.format("True", "True", "failed"), ["verdict"]),
)


@pytest.mark.parametrize(("test", "text", "wanted"), CASES)
def test_each_count_is_held_against_the_verdict(test: str, text: str, wanted: list[str]) -> None:
    assert keys(test, text, settings=SETTINGS.get(test, {}), scenario="Server") == wanted


NINE = (
    ((6396, 1300.0, 1150.38, 1406.02, True), []),
    ((6396, 1500.0, 1150.38, 1406.02, True), ["Mean output tokens"]),
    ((6396, 1100.0, 1000, 1406.02, True), ["Min threshold"]),
    ((6396, 1450.0, 1150.38, 1500, True), ["Max threshold"]),
    ((100, 1300.0, 1150.38, 1406.02, True), ["Total samples"]),
    ((6396, 1300.0, 1150.38, 1406.02, False), ["Min check pass"]),
)


@pytest.mark.parametrize(("values", "wanted"), NINE)
def test_output_lengths_are_held_against_the_rounds_range(values: tuple[object, ...], wanted: list[str]) -> None:
    assert keys("TEST09", TEST09.format(*values), name=LENGTHS, settings=SETTINGS["TEST09"]) == wanted


def test_the_first_token_may_be_skipped_in_offline() -> None:
    assert keys("TEST06", TEST06.format("Skipped", "True", "complete"), scenario="Offline") == []


def test_what_this_suite_writes_is_never_doubted() -> None:
    assert keys("TEST01", TEST01.text(TEST01.passed), samples=1000.0) == []
    lengths = Lengths(np.full(6396, 1300), 1150.38, 1406.02)
    assert keys("TEST09", lengths.text(True), name=LENGTHS, settings=SETTINGS["TEST09"]) == []


def test_a_failed_text_has_a_finding_of_its_own_elsewhere() -> None:
    assert keys("TEST01", Match(1000, 0, 0, 64, 60, 12, 4).text(False), samples=1000.0) == []


@pytest.mark.parametrize(
    ("match", "wanted"),
    [
        (Match(1000, 0, 0, 64, 64, 12, 0), ["num_perf_log_data_mismatch"]),
        (Match(1000, 0, 0, 64, 0, 0, 0), ["num_perf_log_qsl_idx_match"]),
        (Match(1000, 0, 0, 64, 60, 0, 4), ["num_missing_qsl_idxs"]),
        (Match(1003, 3, 0, 64, 64, 0, 0), []),
        (Match(500, 0, 0, 64, 64, 0, 0), ["num_acc_log_entries"]),
    ],
)
def test_test01_counts(match: Match, wanted: list[str]) -> None:
    assert keys("TEST01", match.text(True), samples=1000.0) == wanted


@given(st.text(max_size=300), st.sampled_from(sorted(verdict_text.JUDGES)))
def test_any_text_can_be_read(text: str, place: tuple[str, str]) -> None:
    test, name = place
    for head in ("TEST PASS\n", "EOS check pass: True\nmean output tokens: 3\n", ""):
        assert all(key for key in keys(test, head + text, name=name, samples=3.0))
    assert keys(test, "", name=PERFORMANCE) == []
