"""accuracy.txt against itself: a share with its counts, a mean with its parts, and how many samples were scored."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import accuracy_counts, accuracy_text
from loadgen_harness.types import Score

ROUGE = "{'rouge1': 44.4, 'gen_len': 28677751, 'gen_num': 24576, 'gen_tok_len': 7256140, 'tokens_per_sample': 295.3}"
SOUND = (
    ("accuracy=76.502%, good=38251, total=50000", 50000),
    ("AUC=80.301%, accuracy=81.000%, good=81, total=100, queries=7", 7),
    (ROUGE, 24576),
    ("Word Error Rate: 2.3456%, accuracy=97.6544%", 1633),
    ("Accuracy: mean = 0.86170, kidney = 0.9347, tumor = 0.7887", 43),
    ('{"exact_match": 83.64, "f1": 90.87}', 10833),
    ("hash=" + "0" * 64, 100),
    ("", 0),
)
DOUBTS = (
    ("accuracy=78%, good=38251, total=50000", "accuracy"),
    ("accuracy=76.510%, good=38251, total=50000", "accuracy"),
    ("accuracy=76.502%, good=50001, total=50000", "good"),
    ("accuracy=0.000%, good=0, total=0", "good"),
    (ROUGE.replace("295.3", "280.0"), "tokens_per_sample"),
    ("Word Error Rate: 2.3456%, accuracy=98.6544%", "accuracy"),
    ("Accuracy: mean = 0.88170, kidney = 0.9347, tumor = 0.7887", "mean"),
)


def keys(text: str, samples: float | None = None, *, subset: bool = False) -> list[str]:
    """What is doubted."""
    return [each.key for each in accuracy_counts.check(text, samples, subset=subset)]


@pytest.mark.parametrize(("text", "samples"), SOUND)
def test_what_the_scripts_print_agrees_with_itself(text: str, samples: int) -> None:
    assert keys(text, samples) == []


@pytest.mark.parametrize(("text", "key"), DOUBTS)
def test_an_edited_figure_is_told_at_its_line(text: str, key: str) -> None:
    (found,) = accuracy_counts.check(f"loading\n{text}\n")
    assert (found.check, found.key, found.line) == ("accuracy-text", key, 2)


def test_the_samples_scored_are_those_answered() -> None:
    text = "accuracy=50.000%, good=500, total=1000\n"
    assert keys(text, 1000) == keys(text, 50000, subset=True) == keys(text) == []
    assert keys(text, 50000) == keys(text, 999, subset=True) == ["total"]
    assert keys(ROUGE, 5000) == ["gen_num"]


@given(st.integers(1, 10**6).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_what_this_suite_writes_is_never_doubted(counts: tuple[int, int]) -> None:
    good, total = counts
    value = 100 * good / total
    assert keys(accuracy_text.write([Score("acc", value, value, value, total, "wilson")]), total) == []


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert all(each.key for each in accuracy_counts.check(text, 10))
