"""50,000 synthetic samples: each carries the answer to give, right for 76.502 % of the invented labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from loadgen_harness.errors import BadInput
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Variant

CLASSES = 1000
COUNT = 50_000
RIGHT = 38_251  # the reference model's 76.502 % of 50,000
STEP = 7_919  # coprime to COUNT: index x STEP mod COUNT visits every place once


class QSL(QuerySampleLibrary):
    """A sample is one class number as a float; nothing is computed when it is read."""

    def __init__(self, variant: Variant, data_dir: Path | None) -> None:
        """Make labels and answers; raises BadInput for a folder of real images, which cannot be read yet."""
        if data_dir is not None:
            raise BadInput("resnet50 cannot pre-process real ImageNet images yet: leave the data folder out.")
        index = np.arange(COUNT, dtype=np.uint64)
        labels = (index * np.uint64(2_654_435_761) >> np.uint64(7)) % np.uint64(CLASSES)
        right = index * np.uint64(STEP) % np.uint64(COUNT) < RIGHT
        self._labels: list[int] = labels.tolist()
        self._answers: list[float] = np.where(right, labels, (labels + np.uint64(1)) % CLASSES).astype(float).tolist()
        super().__init__(total_count=variant.total_count or COUNT, performance_count=variant.performance_count)

    def read(self, index: int) -> float:
        """The answer that sample `index` will be given."""
        return self._answers[index]

    def read_many(self, indices: Sequence[int]) -> list[float]:
        """Several answers."""
        return [self._answers[index] for index in indices]

    def label(self, index: int) -> int:
        """The invented class of sample `index`."""
        return self._labels[index]
