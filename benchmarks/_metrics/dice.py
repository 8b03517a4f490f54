"""Overlap of volumes: the Dice coefficient (Dice 1945) of each label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SMOOTH = 1e-6  # two empty volumes agree


def dice(found: np.ndarray, wanted: np.ndarray, labels: Sequence[int]) -> list[float]:
    """One coefficient per label of two volumes of the same shape."""
    return [_one(found == label, wanted == label) for label in labels]


def _one(found: np.ndarray, wanted: np.ndarray) -> float:
    both = np.count_nonzero(found & wanted)
    return float((2 * both + SMOOTH) / (np.count_nonzero(found) + np.count_nonzero(wanted) + SMOOTH))
