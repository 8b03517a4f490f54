"""Image classification's answers: one float32 class number a sample, as the reference gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from loadgen_harness.sut import BatchSUT


class SUT(BatchSUT):
    """Passes on what the null backend echoes."""

    def collate(self, samples: list[Any]) -> Mapping[str, np.ndarray]:
        """Answers [n, 1]."""
        return {"input": np.array(samples, np.float32).reshape(-1, 1)}

    def respond(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Class numbers [n, 1]."""
        return outputs[0]
