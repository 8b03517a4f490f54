"""Distance between two sets of image features (Heusel et al. 2017, the Fréchet Inception Distance)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks._metrics.intervals import Z95

BLOCKS = 10


@dataclass(frozen=True)
class Normal:
    """The normal distribution that features are compared with: its mean [d] and covariance [d, d]."""

    mean: np.ndarray
    covariance: np.ndarray

    @cached_property
    def root(self) -> np.ndarray:
        """The symmetric root of the covariance."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)


def frechet(features: np.ndarray, wanted: Normal) -> float:
    """Fréchet distance of features [n, d] from a normal distribution.

    The trace of the root of a product of covariances is that of a symmetric matrix with the same eigenvalues.
    """
    apart = features.mean(axis=0) - wanted.mean
    own = np.cov(features, rowvar=False)
    eigenvalues = np.linalg.eigvalsh(wanted.root @ own @ wanted.root)
    trace = float(np.sqrt(np.clip(eigenvalues, 0, None)).sum())
    return float(apart @ apart + np.trace(own) + np.trace(wanted.covariance) - 2 * trace)


def interval(features: np.ndarray, wanted: Normal) -> tuple[float, float]:
    """The 95 % interval by a delete-a-block jackknife (Shao and Wu 1989).

    The distance shrinks with the number of samples, so resampling with repetitions would miss it.
    """
    value = frechet(features, wanted)
    parts = (np.delete(features, slice(start, None, BLOCKS), axis=0) for start in range(BLOCKS))
    values = np.array([frechet(part, wanted) for part in parts])
    half = Z95 * math.sqrt((BLOCKS - 1) / BLOCKS * float(((values - values.mean()) ** 2).sum()))
    return value - half, value + half
