"""One byte per sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lgh_bench import busy
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Variant


class QSL(QuerySampleLibrary):
    """LoadGen's process alone loads samples: what is to be busy there or beside it begins with that."""

    def __init__(self, variant: Variant, data_dir: Path | None) -> None:
        """As many samples as the round wants."""
        super().__init__(total_count=variant.total_count, performance_count=variant.performance_count)

    def load(self, indices: Sequence[int]) -> None:
        """Load the samples, then keep the machine as busy as the measurement wants."""
        super().load(indices)
        busy.start(busy.LOADGEN)
        busy.start(busy.OWN)

    def read(self, index: int) -> np.ndarray:
        """The sample."""
        return np.zeros(1, np.uint8)
