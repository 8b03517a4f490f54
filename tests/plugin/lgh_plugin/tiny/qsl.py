"""Numbers from 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Variant


class QSL(QuerySampleLibrary):
    """Sample i is int32 [i]."""

    def __init__(self, variant: Variant, data_dir: Path | None) -> None:
        """As many as the round wants."""
        super().__init__(total_count=variant.total_count, performance_count=variant.performance_count)

    def read(self, index: int) -> np.ndarray:
        """The number itself."""
        return np.array([index], np.int32)

    def label(self, index: int) -> int:
        """The number itself."""
        return index
