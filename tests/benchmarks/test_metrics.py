"""Intervals, correlations and class accuracy, against definitions and published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks._metrics import answers, clicks, hierarchy, squad
from benchmarks._metrics.classes import top1
from benchmarks._metrics.correlation import pearson, ranks, spearman
from benchmarks._metrics.dice import dice
from benchmarks._metrics.frechet import Normal, frechet, interval
from benchmarks._metrics.integers import CLASSES, LETTERS, TOKENS, integers, single
from benchmarks._metrics.intervals import Z95, bootstrap, wilson
from benchmarks._metrics.means import MANY, mean, proportion, ratio
from loadgen_harness.errors import BadInput

numbers = st.lists(st.integers(-50, 50), min_size=3, max_size=30)


@given(st.integers(1, 2000), st.data())
@settings(max_examples=100)
def test_wilson_ends_solve_their_equation(n: int, data: st.DataObject) -> None:
    """At each end p the observed share lies exactly z standard errors of p away."""
    correct = data.draw(st.integers(0, n))
    low, high = wilson(correct, n)
    assert 0 <= low <= correct / n <= high <= 1
    for end in (low, high):
        if 1e-9 < end < 1 - 1e-9:
            assert abs(correct / n - end) == pytest.approx(Z95 * math.sqrt(end * (1 - end) / n), rel=1e-6)


def test_wilson_known_values() -> None:
    assert wilson(988, 1000) == pytest.approx((0.979143, 0.993122), abs=1e-6)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10) == pytest.approx((0.0, 0.277533), abs=1e-6)


def test_bootstrap_covers_a_mean_like_its_standard_error() -> None:
    data = np.random.default_rng(1).normal(5, 2, 400)
    low, high = bootstrap(lambda rows: float(rows.mean()), data, n_resamples=2000, seed=3)
    assert (high - low) / 2 == pytest.approx(1.96 * data.std() / 20, rel=0.1)
    assert bootstrap(lambda rows: float(rows.mean()), data, seed=3) == bootstrap(
        lambda rows: float(rows.mean()), data, seed=3
    )


def test_bootstrap_leaves_out_resamples_without_a_value() -> None:
    values = iter([float("nan"), *[1.0] * 99])
    assert bootstrap(lambda rows: next(values), np.arange(3), n_resamples=100) == (1.0, 1.0)


@given(numbers)
@settings(max_examples=100)
def test_ranks_average_over_equal_values(values: list[int]) -> None:
    expected = [1 + sum(v < x for v in values) + (values.count(x) - 1) / 2 for x in values]
    assert ranks(np.array(values)).tolist() == expected


@given(numbers, st.floats(0.1, 5), st.floats(-5, 5))
@settings(max_examples=100)
def test_correlations_of_a_line(values: list[int], slope: float, shift: float) -> None:
    first = np.array(values, float)
    found = pearson(first, slope * first + shift)
    assert math.isnan(found) if np.ptp(first) == 0 else found == pytest.approx(1)
    assert (
        math.isnan(spearman(first, -first)) if np.ptp(first) == 0 else spearman(first, -(first**3)) == pytest.approx(-1)
    )


def test_spearman_known_value() -> None:
    iq = np.array([106, 100, 86, 101, 99, 103, 97, 113, 112, 110])
    tv = np.array([7, 27, 2, 50, 28, 29, 20, 12, 6, 17])
    assert spearman(iq, tv) == pytest.approx(-29 / 165)


def test_top1_counts_and_refuses() -> None:
    responses = {3: np.int32(1).tobytes(), 0: np.int32(2).tobytes()}
    score = top1("accuracy", responses, lambda index: 1, "int32")
    assert (score.value, score.n, score.method) == (50.0, 2, "Wilson")
    for bad in ({}, {0: b"\1"}):
        with pytest.raises(BadInput, match="repeat the AccuracyOnly run"):
            top1("accuracy", bad, lambda index: 1, "int32")


ids = st.lists(st.lists(st.integers(0, 150_000), max_size=20), min_size=1, max_size=20)


@given(ids, st.sampled_from(["<i8", "<i4", "<f4"]))
@settings(max_examples=100)
def test_token_ids_tell_their_type(rows: list[list[int]], dtype: str) -> None:
    """Unless all that another type needs is zero, as it may be in a handful of tokens but never in a log."""
    if not any(part and part[-1] for part in rows):
        rows = [*rows, [7, 9, 11]]
    parts = [np.array(part, dtype).tobytes() for part in rows]
    assert [found.tolist() for found in integers(parts, TOKENS)] == rows


@given(st.lists(st.integers(0, 41), min_size=3, max_size=30), st.sampled_from(LETTERS))
@settings(max_examples=100)
def test_letters_tell_their_type(row: list[int], dtype: str) -> None:
    row[1] = row[2] = 5  # no row of letters is blank but for every eighth
    assert integers([np.array(row, dtype).tobytes()], LETTERS, largest=41)[0].tolist() == row


@pytest.mark.parametrize("dtype", CLASSES)
def test_single_classes_of_every_type(dtype: str) -> None:
    parts = [np.array([value], dtype).tobytes() for value in (0, 3, 250)]
    assert single(parts, CLASSES).tolist() == [0, 3, 250]
    with pytest.raises(BadInput, match="not one number"):
        single([*parts, parts[0] * 2], CLASSES)


def test_numbers_that_are_no_classes_are_refused() -> None:
    with pytest.raises(BadInput, match="no whole numbers"):
        integers([np.array([0.5], "<f4").tobytes()], TOKENS)
    with pytest.raises(BadInput, match="no whole numbers"):
        integers([np.array([-1], "<i4").tobytes()], TOKENS)


def test_means_and_ratios_of_a_known_row() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])
    assert mean("m", values, scale=2).value == 6 and ratio("r", values, np.full(4, 2.0)).value == 1.5
    share = proportion("p", 3, 4, scale=100)
    assert (share.value, share.method) == (75, "Wilson") and share.low < 75 < share.high
    assert mean("m", np.ones(MANY + 1)).method == "bootstrap (200)"


def test_dice_of_overlapping_cubes() -> None:
    found, wanted = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
    found[:2], wanted[1:3] = 1, 1
    assert dice(found, wanted, (1, 2)) == pytest.approx([0.5, 1.0])


def test_answers_to_squad() -> None:
    assert squad.exact("The  Cat!", "cat") == 1 and squad.exact("cats", "cat") == 0
    assert squad.f1("the big cat", "a cat sat") == pytest.approx(0.5)
    assert squad.best(squad.f1, "cat", ["dog", "a cat"]) == 1 and squad.best(squad.f1, "cat", []) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=100)
def test_auc_is_the_chance_of_a_right_order(pairs: list[tuple[int, bool]]) -> None:
    found, labels = np.array([score for score, _ in pairs]), np.array([label for _, label in pairs], float)
    above, below = found[labels == 1], found[labels == 0]
    area, low, high = clicks.auc(found, labels)
    if not len(above) or not len(below):
        assert math.isnan(area)
        return
    wins = (above[:, None] > below).sum() + (above[:, None] == below).sum() / 2
    assert area == pytest.approx(wins / (len(above) * len(below))) and 0 <= low <= area <= high <= 1


def test_delong_covers_like_a_bootstrap() -> None:
    random = np.random.default_rng(4)
    labels = (random.random(800) < 0.3).astype(float)
    found = labels + random.normal(0, 1.2, 800)
    _, low, high = clicks.auc(found, labels)
    rows = np.column_stack([found, labels])
    again = bootstrap(lambda part: clicks.auc(part[:, 0], part[:, 1])[0], rows, n_resamples=400)
    assert (low, high) == pytest.approx(again, abs=0.01)


def test_entropy_of_the_label_share_is_one() -> None:
    labels, weights = np.array([1.0, 0, 0, 1, 0]), np.ones(5)
    entropy = clicks.cross_entropy(np.full(5, 0.4), labels, weights)
    assert entropy / clicks.background_entropy(2, 3) == pytest.approx(1)
    assert clicks.right(np.array([0.5, 0.5, 0.4, 0.6, 0.1]), labels, weights) == 4


def test_auc_of_a_group_needs_both_labels_and_an_order() -> None:
    weights = np.ones(3)
    assert clicks.group_auc(np.array([0.1, 0.9, 0.5]), np.array([0, 1, 0]), weights) == 1
    assert clicks.group_auc(np.array([0.1, 0.9, 0.5]), np.array([1, 1, 0]), weights) == 0.5
    assert math.isnan(clicks.group_auc(np.array([0.1, 0.9, 0.5]), np.ones(3), weights))
    assert math.isnan(clicks.group_auc(np.full(3, 0.4), np.array([0, 1, 0]), weights))


def test_levels_of_a_category() -> None:
    assert hierarchy.levels("A > B >C") == ["A", "B >C"]
    assert hierarchy.shared(["A", "B", "C"], ["A", "X", "C"]) == 1
    assert hierarchy.f1(0, 3, 3) == 0 and hierarchy.f1(2, 2, 4) == pytest.approx(2 / 3)


def test_a_distribution_is_no_distance_from_itself() -> None:
    features = np.random.default_rng(2).normal(0, 1, (400, 5))
    own = Normal(features.mean(axis=0), np.cov(features, rowvar=False))
    assert frechet(features, own) == pytest.approx(0, abs=1e-9)
    moved = features + np.array([2.0, 0, 0, 0, 0])
    value = frechet(moved, own)
    low, high = interval(moved, own)
    assert value == pytest.approx(4) and low < value < high and high - low < 2


@pytest.mark.parametrize(
    ("text", "number"), [("so The answer is 1,200 or 3", 1200), ("1 and 2", 2), ("none", None), ("7\nQ: 8", 7)]
)
def test_numbers_of_school_questions(text: str, number: float | None) -> None:
    assert answers.school_number(text) == number


def test_words_written_together_are_no_error() -> None:
    errors = pytest.importorskip("benchmarks._metrics.errors_in_words")
    assert errors.word_errors(["a", "postle", "of", "class", "es"], ["apostle", "of", "classes"]) == 0
    assert errors.word_errors(["some", "one", "else"], ["someone", "is", "else"]) == 1
    assert errors.word_errors([], ["a"]) == 1 and errors.word_errors(["a", "b"], []) == 2


def test_unit_weights_give_pycocotools_own_precision() -> None:
    """The precision that the bootstrap draws from, once with every image, is the figure itself."""
    detection = pytest.importorskip("benchmarks._metrics.detection")
    random = np.random.default_rng(7)
    images = [{"id": n, "height": 100, "width": 100} for n in range(20)]
    truth, boxes = [], []
    for image in images:
        for _ in range(4):
            x, y, category = *random.uniform(0, 60, 2), int(random.integers(1, 4))
            box = [x, y, 30.0, 25.0]
            truth.append({"id": len(truth) + 1, "image_id": image["id"], "category_id": category, "bbox": box})
            shift = random.normal(0, 4, 4)
            boxes.append([image["id"], *(np.array(box) + shift), random.random(), category])
    for entry in truth:
        entry |= {"area": 750.0, "iscrowd": 0}
    annotations = {"images": images, "annotations": truth, "categories": [{"id": n, "name": ""} for n in (1, 2, 3)]}
    score = detection.mean_average_precision(annotations, np.array(boxes), range(20))
    evaluation = detection._evaluated(annotations, np.array(boxes), range(20))
    own = detection.average_precision(detection._categories(evaluation), np.ones(20), evaluation.params.recThrs)
    assert 100 * own == pytest.approx(score.value, abs=1e-9) and score.low < score.value < score.high
