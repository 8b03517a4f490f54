"""The query sample library: the data set as LoadGen sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from loadgen_harness.errors import BadInput

Indices = Sequence[int] | np.ndarray


class QuerySampleLibrary(ABC):
    """Reads samples by index and keeps those in RAM that LoadGen asked for.

    Subclasses are named `QSL`, live in `benchmarks/<task>/qsl.py` and are made as `QSL(variant, data_dir)`; they call
    `super().__init__(total_count=…, performance_count=…)`.
    """

    def __init__(self, *, total_count: int, performance_count: int) -> None:
        """State how many samples exist and how many must fit into RAM at once."""
        self.total_count = total_count
        self.performance_count = min(performance_count or total_count, total_count)
        self._ram: dict[int, Any] = {}

    @abstractmethod
    def read(self, index: int) -> Any:
        """Sample `index`, pre-processed as far as the rules allow untimed."""

    def read_many(self, indices: Sequence[int]) -> list[Any]:
        """Several samples; override where the data can be read faster together."""
        return [self.read(index) for index in indices]

    def label(self, index: int) -> Any:
        """The ground truth of sample `index`; raises NotImplementedError for data without labels."""
        raise NotImplementedError

    def calibration(self) -> Iterable[Any]:
        """Samples that a backend may quantise with, of the official list where there is one, never of the test data."""
        raise BadInput("this benchmark has no calibration set: choose a precision that its model files have.")

    def load(self, indices: Indices) -> None:
        """Bring samples into RAM (LoadGen's LoadSamplesToRam, untimed)."""
        fresh = [index for index in dict.fromkeys(_plain(indices)) if index not in self._ram]
        self._ram.update(zip(fresh, self.read_many(fresh), strict=True))

    def unload(self, indices: Indices) -> None:
        """Let samples go (LoadGen's UnloadSamplesFromRam)."""
        for index in _plain(indices):
            self._ram.pop(index, None)

    def adopt(self, samples: Mapping[int, Any]) -> None:
        """Take samples over that were read elsewhere, by index."""
        self._ram.update(samples)

    def get(self, indices: Indices) -> list[Any]:
        """Samples from RAM, in the order asked for; the hot path's only read."""
        ram = self._ram
        return [ram[index] for index in _plain(indices)]


def _plain(indices: Indices) -> Sequence[int]:
    """Indices as Python's integers: a dictionary finds those three times faster than numpy's."""
    return indices.tolist() if isinstance(indices, np.ndarray) else indices
