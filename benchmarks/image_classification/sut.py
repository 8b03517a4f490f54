"""The image classifier's answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from loadgen_harness.sut import BatchSUT

ANSWERS = 5


class SUT(BatchSUT):
    """A response is the five classes with the highest logits, best first, five int32."""

    def respond(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Classes [n, 5] of logits [n, 1000]; of equal logits the smaller class comes first."""
        logits = outputs[0].reshape(len(outputs[0]), math.prod(outputs[0].shape[1:]))
        best = np.sort(np.argpartition(logits, -ANSWERS, axis=1)[:, -ANSWERS:], axis=1)
        order = np.argsort(-np.take_along_axis(logits, best, 1), axis=1, kind="stable")
        classes: np.ndarray = np.take_along_axis(best, order, 1).astype(np.int32)
        return classes
