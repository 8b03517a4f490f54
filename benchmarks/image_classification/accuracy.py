"""The share of photos whose class is the first answer, or among the first five."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks._metrics.intervals import wilson
from benchmarks.image_classification.sut import ANSWERS
from loadgen_harness.errors import BadInput
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Score

DTYPE = np.dtype("<i4")


def score(responses: Mapping[int, bytes], qsl: QuerySampleLibrary) -> list[Score]:
    """Top-1 and top-5 accuracy in percent with their Wilson intervals."""
    odd = [index for index, data in responses.items() if len(data) != ANSWERS * DTYPE.itemsize]
    if odd or not responses:
        fault = f"response {odd[0]} is not five int32" if odd else "there are no responses"
        raise BadInput(f"the accuracy log cannot be scored ({fault}): repeat the AccuracyOnly run.")
    answers = np.frombuffer(b"".join(responses.values()), DTYPE).reshape(-1, ANSWERS)
    right = answers == np.array([[qsl.label(index)] for index in responses])
    return [_share("accuracy", right[:, 0]), _share("top5", right.any(axis=1))]


def _share(metric: str, right: np.ndarray) -> Score:
    low, high = wilson(int(right.sum()), len(right))
    return Score(metric, 100 * float(right.mean()), 100 * low, 100 * high, len(right), "Wilson")
