"""Mean average precision of boxes by COCO's rules (Lin et al. 2014), with pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from loadgen_harness.errors import BadInput
from loadgen_harness.types import Score

RESAMPLES = 100  # each goes through every detection
EPSILON = float(np.spacing(1))


@dataclass(frozen=True)
class Category:
    """Matches of one category, best score first: [threshold, detection], and each image's objects."""

    right: np.ndarray
    wrong: np.ndarray
    images: np.ndarray
    objects: np.ndarray  # per image


def mean_average_precision(annotations: Mapping[str, Any], boxes: np.ndarray, images: Sequence[int]) -> Score:
    """mAP over ten thresholds of overlap in percent, named mAP; images are drawn again for its interval.

    `boxes` has rows of image id, x, y, width, height, score, category id; `images` are the ids to judge. Raises
    BadInput for no boxes and for annotations that are not COCO's.
    """
    if not len(boxes):
        raise BadInput("no response holds a detection: is this the log of a detection benchmark?")
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports its progress
        evaluation = _evaluated(annotations, boxes, images)
        evaluation.accumulate()
        evaluation.summarize()
    value = 100 * float(evaluation.stats[0])
    categories = list(_categories(evaluation))
    draw = np.random.default_rng(0)
    count = len(evaluation.params.imgIds)
    thresholds = evaluation.params.recThrs
    drawn = (np.bincount(draw.integers(0, count, count), minlength=count) for _ in range(RESAMPLES))
    values = [100 * average_precision(categories, weights, thresholds) for weights in drawn]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Score("mAP", value, float(low), float(high), count, f"bootstrap ({RESAMPLES})")


def average_precision(categories: Iterable[Category], weights: np.ndarray, thresholds: np.ndarray) -> float:
    """The mean over categories and overlaps where image i counts `weights[i]` times; nan without any object."""
    found = [_precision(category, weights, thresholds) for category in categories]
    kept = [values for values in found if values is not None]
    return float(np.mean(kept)) if kept else float("nan")


def _evaluated(annotations: Mapping[str, Any], boxes: np.ndarray, images: Sequence[int]) -> Any:
    truth = COCO()
    truth.dataset = dict(annotations)
    try:
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(_listed(boxes)), iouType="bbox")
    except (KeyError, TypeError, AssertionError) as error:
        raise BadInput(f"the annotations are not COCO's ({error!r}): give the data set's annotation file.") from error
    evaluation.params.imgIds = list(images)
    evaluation.evaluate()
    return evaluation


def _listed(boxes: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"image_id": int(row[0]), "bbox": row[1:5].tolist(), "score": float(row[5]), "category_id": int(row[6])}
        for row in boxes
    ]


def _categories(evaluation: Any) -> Iterable[Category]:
    """What accumulate() reads, per category, of objects of every size with up to a hundred detections."""
    images, sizes = len(evaluation.params.imgIds), len(evaluation.params.areaRng)
    for place in range(len(evaluation.params.catIds)):
        start = place * sizes * images
        parts = [(index, each) for index, each in enumerate(evaluation.evalImgs[start : start + images]) if each]
        if parts:
            yield _category(parts, images, evaluation.params.maxDets[-1])


def _category(parts: Sequence[tuple[int, Mapping[str, Any]]], images: int, most: int) -> Category:
    objects = np.zeros(images)
    for index, each in parts:
        objects[index] = np.count_nonzero(np.asarray(each["gtIgnore"]) == 0)
    scores = np.concatenate([np.asarray(each["dtScores"])[:most] for _, each in parts])
    order = np.argsort(-scores, kind="mergesort")
    matches = np.concatenate([np.asarray(each["dtMatches"])[:, :most] for _, each in parts], axis=1)[:, order]
    ignored = np.concatenate([np.asarray(each["dtIgnore"])[:, :most] for _, each in parts], axis=1)[:, order]
    owners = np.concatenate([np.full(len(each["dtScores"][:most]), index) for index, each in parts])[order]
    counted = ignored == 0
    return Category((matches != 0) & counted, (matches == 0) & counted, owners.astype(int), objects)


def _precision(category: Category, weights: np.ndarray, thresholds: np.ndarray) -> np.ndarray | None:
    """Precision at each recall threshold, [overlap, recall]; None where there is no object of the category."""
    objects = float(category.objects @ weights)
    if not objects:
        return None
    weight = weights[category.images]
    right = np.cumsum(category.right * weight, axis=1)
    wrong = np.cumsum(category.wrong * weight, axis=1)
    recall = right / objects
    precision = right / (right + wrong + EPSILON)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    places = [np.searchsorted(row, thresholds, side="left") for row in recall]
    padded = np.concatenate([envelope, np.zeros((len(envelope), 1))], axis=1)
    return np.stack([row[place] for row, place in zip(padded, places, strict=True)])
