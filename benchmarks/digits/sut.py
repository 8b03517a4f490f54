"""The digit classifier's answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadgen_harness.sut import BatchSUT


class SUT(BatchSUT):
    """A response is the digit with the highest logit, one int32."""

    def respond(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Digits [n, 1] of logits [n, 10]."""
        logits = outputs[0].reshape(len(outputs[0]), -1)
        digits: np.ndarray = logits.argmax(axis=1).astype(np.int32)
        return digits.reshape(-1, 1)
