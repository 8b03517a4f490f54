"""Accuracy of class numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from benchmarks._metrics.intervals import wilson
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Score


def top1(metric: str, responses: Mapping[int, bytes], label: Callable[[int], int], dtype: str) -> Score:
    """The share of right classes in percent; a response is one number of `dtype`. Raises BadInput for any other."""
    size = np.dtype(dtype).itemsize
    odd = [index for index, data in responses.items() if len(data) != size]
    if odd or not responses:
        fault = f"response {odd[0]} is not one {dtype}" if odd else "there are no responses"
        raise BadInput(f"the accuracy log cannot be scored ({fault}): repeat the AccuracyOnly run.")
    indices = list(responses)
    answers = np.frombuffer(b"".join(responses[index] for index in indices), np.dtype(dtype).newbyteorder("<"))
    correct = int(np.sum(answers == np.array([label(index) for index in indices])))
    low, high = wilson(correct, len(indices))
    return Score(metric, 100 * correct / len(indices), 100 * low, 100 * high, len(indices), "Wilson")
