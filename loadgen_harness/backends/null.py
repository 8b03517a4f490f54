"""Echoes its input after a chosen latency: what remains of a run is the harness itself."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from loadgen_harness.backends import Batch, checked
from loadgen_harness.errors import BadInput, UnknownName

OPTIONS = {
    "latency_us": 0.0,
    "per_sample_us": 0.0,
    "distribution": "constant",
    "sigma": 0.5,
    "seed": 0,
    "busy": False,
}
DISTRIBUTIONS = ("constant", "exponential", "lognormal")
SPIN_NS = 50_000  # sleep() wakes up to 60 us late: the rest is waited for awake
DRAWN = 1 << 16  # factors drawn before the run, so that the hot path draws none


class Null:
    """Predicts its own input; its latency has the chosen mean whatever the distribution."""

    thread_safe = True
    needs_model = False
    formats, casts, keeps_precision = (), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: latency_us per batch, per_sample_us, distribution, sigma (lognormal), seed, busy.

        A busy backend keeps its core awake like a model on the CPU; else it sleeps like one that waits for a device."""
        chosen = checked(options, OPTIONS, "null")
        if chosen["distribution"] not in DISTRIBUTIONS:
            raise UnknownName("latency distribution", chosen["distribution"], DISTRIBUTIONS)
        if min(chosen["latency_us"], chosen["per_sample_us"], chosen["sigma"], chosen["seed"]) < 0:
            raise BadInput("options latency_us, per_sample_us, sigma and seed of backend null must not be negative.")
        self._options = chosen
        self._batch_ns = chosen["latency_us"] * 1e3
        self._sample_ns = chosen["per_sample_us"] * 1e3
        self._timed = bool(self._batch_ns or self._sample_ns)
        self._factors = _factors(chosen["distribution"], chosen["sigma"], int(chosen["seed"]))
        self._spin_ns = float("inf") if chosen["busy"] else SPIN_NS
        self._turn = itertools.count()

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Nothing to load."""

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The batch's own arrays, after the chosen latency."""
        outputs = list(batch.values())
        if self._timed:
            mean = self._batch_ns + self._sample_ns * len(outputs[0])
            _wait(mean * self._factors[next(self._turn) % DRAWN], self._spin_ns)
        return outputs

    def describe(self) -> dict[str, str]:
        """The chosen latency."""
        return {"framework": "null", **{key: str(value) for key, value in self._options.items()}}

    def close(self) -> None:
        """Nothing to give back."""


def _factors(distribution: str, sigma: float, seed: int) -> list[float]:
    """Factors of mean 1 that spread a mean latency."""
    draw = np.random.default_rng(seed)
    if distribution == "exponential":
        drawn = draw.exponential(1.0, DRAWN)
    elif distribution == "lognormal":
        drawn = draw.lognormal(-sigma * sigma / 2, sigma, DRAWN)
    else:
        drawn = np.ones(DRAWN)
    factors: list[float] = drawn.tolist()
    return factors


def _wait(duration_ns: float, spin_ns: float) -> None:
    """Return `duration_ns` from now, to a few microseconds, awake for the last `spin_ns` of it."""
    end = time.perf_counter_ns() + duration_ns
    if duration_ns > spin_ns:
        time.sleep((duration_ns - spin_ns) * 1e-9)
    while time.perf_counter_ns() < end:
        pass


BACKEND = Null
