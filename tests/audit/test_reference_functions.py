"""Single functions of the reference's scripts, whose imports are too heavy, against ours on the same input."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks._metrics import answers, hierarchy, long_context
from benchmarks._metrics.frechet import Normal, frechet
from tests.audit import reference

TEXTS = (
    "",
    "B",
    "answer: b",
    "FINAL ANSWER = (C).",
    "['Answer: D']",
    r"...\n ANSWER: A",
    "ANSWER: AB",
    "Answer: A. Answer: (j)",
    r"\boxed{12}",
    r"\boxed{ 7 } and \boxed{1200}",
    "Answer: 45",
    "answer: 45.5",
    "nothing",
    "The letter E or F",
    "answerB",
    "<|channel|>analysis<|message|>Answer: A<|channel|>final<|message|>**B** is it<|return|>",
    "x <|channel|>final 9<|message|>Answer C",
    '<|channel|>final<|message|>"answer"',
    "Final answer\n\nD",
    "(A)",
    "1. B)",
)


class Missing:
    """What the scripts ask pandas for."""

    @staticmethod
    def isna(value: Any) -> bool:
        return value is None or (isinstance(value, float) and math.isnan(value))


@pytest.mark.parametrize(
    ("task", "read", "names"),
    [
        ("deepseek-r1", answers.letter, ()),
        ("gpt-oss-120b", answers.harmony_letter, ("extract_final_section", "strip_markdown_bold")),
    ],
)
def test_answers_are_read_alike(task: str, read: Callable[[str, str], str], names: tuple[str, ...]) -> None:
    wanted = ("validate_text_input", "parse_multiple_choice", "parse_aime_answer", *names)
    theirs = reference.functions(f"language/{task}/eval_accuracy.py", wanted, re=re, pd=Missing)
    for text in TEXTS:
        for last in "DJ":
            assert read(text, last) == (theirs.parse_multiple_choice(text, last) or ""), (text, last)
        assert answers.competition_number(text) == theirs.parse_aime_answer(text), text


def test_school_numbers_are_read_alike() -> None:
    names = ("find_numbers", "find_number", "maybe_remove_comma", "try_float")
    theirs = reference.functions("language/mixtral-8x7b/evaluate-accuracy.py", names, re=re)
    for text in (
        "The answer is 5,600.",
        "1 2 3",
        "",
        "The answer is x. 7",
        "So -3.5 it is",
        "8\nQ: 9",
        "The answer is $1,2 or 4",
    ):
        told = theirs.try_float(theirs.maybe_remove_comma(theirs.find_number(text.split("\nQ:")[0])))
        assert answers.school_number(text) == told, text


def test_long_context_matches_alike() -> None:
    theirs = reference.functions("language/llama3.1-405b/evaluate-accuracy.py", ("niah_em", "qa_em"), re=re)
    first, second = "0f0e0d0c-1111-2222-3333-444455556666", "aaaabbbb-1111-2222-3333-444455556667"
    for wanted in (first, f"{first} {second}"):
        for found in ("", first, second.upper(), f"{second} {first}", f"{first} {first}"):
            assert long_context.needles(wanted, found) == theirs.niah_em(wanted, found)["exact_match"]
    for found in ("Paris", "Answer: paris ", "Answer: x. Answer: the City of\nLight", "Rome", ""):
        assert (
            long_context.answer("Paris|City of Light", found)
            == theirs.qa_em("Paris|City of Light", found)["exact_match"]
        )


def test_categories_are_compared_alike() -> None:
    path = "multimodal/qwen3-vl/src/mlperf_inf_mm_q3vl/evaluation.py"
    names = ("get_hierarchical_components", "calculate_hierarchical_f1", "_CATEGORY_SEPARATOR")
    theirs = reference.functions(path, names)
    pairs = [("A > B > C", "A > B"), ("A > X > C", "A > B > C"), ("", "A > B"), ("A  >  B", "A > B"), ("B", "A")]
    rows = [(hierarchy.levels(found), hierarchy.levels(wanted)) for found, wanted in pairs]
    counts = np.array([(hierarchy.shared(f, w), len(f), len(w)) for f, w in rows]).sum(axis=0)
    assert hierarchy.f1(*counts) == pytest.approx(theirs.calculate_hierarchical_f1(pairs), rel=1e-12)


def test_frechet_distances_agree() -> None:
    linalg = pytest.importorskip("scipy.linalg")

    class Roots:
        """The root as the script asks an earlier SciPy for it."""

        @staticmethod
        def sqrtm(matrix: np.ndarray, disp: bool = True) -> Any:
            return linalg.sqrtm(matrix) if disp else (linalg.sqrtm(matrix), 0)

    theirs = reference.functions(
        "text_to_image/tools/fid/fid_score.py", ("calculate_frechet_distance",), np=np, linalg=Roots
    )
    random = np.random.default_rng(14)
    features = random.normal(0.3, 1.2, (300, 12)) @ random.normal(0, 1, (12, 12))
    other = random.normal(0, 1, (300, 12))
    mean, covariance = other.mean(axis=0), np.cov(other, rowvar=False)
    wanted = theirs.calculate_frechet_distance(mean, covariance, features.mean(axis=0), np.cov(features, rowvar=False))
    assert frechet(features, Normal(mean, covariance)) == pytest.approx(wanted, rel=1e-9)
