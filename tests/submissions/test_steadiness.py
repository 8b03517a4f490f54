"""What is said of warm-up, drift and outliers, on runs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from submissions.steadiness import LEAST, outliers, steadiness

COUNT = 2000


def noise(count: int = COUNT, seed: int = 1, spread: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(0.0, spread, count) * 1e6


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.3])
def test_steady_runs_are_called_steady(spread: float) -> None:
    """At a 99 % bar few of a hundred runs of pure noise are accused, and none of more than noise."""
    found = [steadiness(noise(seed=seed, spread=spread)) for seed in range(100)]
    assert all(each.judged for each in found)
    assert sum(each.drift != 0 for each in found) <= 4
    assert all(abs(each.drift) < 0.15 and abs(each.warm_up) < 0.15 for each in found)


@pytest.mark.parametrize("extra", [0.2, 1.0, -0.3])
def test_a_slow_or_fast_beginning_is_a_warm_up_of_its_size(extra: float) -> None:
    values = noise(spread=0.03)
    values[: COUNT // 20] *= 1 + extra
    found = steadiness(values)
    assert found.warm_up == pytest.approx(extra, abs=0.03)
    assert found.drift == 0.0
    assert "warm-up: the first 5" in found.text()
    assert ("slower" if extra > 0 else "faster") in found.text()


@pytest.mark.parametrize("slope", [0.1, 0.5, -0.2])
def test_a_run_that_slows_down_drifts_by_as_much(slope: float) -> None:
    values = noise(spread=0.03) * np.linspace(1, 1 + slope, COUNT)
    found = steadiness(values)
    middle = 1 + slope / 2  # the share is of the median
    assert found.drift == pytest.approx(slope / middle * 18 / 20, rel=0.15)
    assert "drift" in found.text()


def test_outliers_are_counted_and_the_slowest_is_named() -> None:
    values = noise(spread=0.05)
    values[[7, 500, 1999]] = [9e6, 30e6, 12e6]
    found = steadiness(values)
    assert np.flatnonzero(outliers(values)).tolist() == [7, 500, 1999]
    assert (found.outliers, found.slowest_ns, found.count) == (3, 30e6, COUNT)
    assert "3 outliers" in found.text() and "30" in found.text()
    assert "outlier" not in found.text(single=False)  # stretches of Offline are no samples
    assert not (found.warm_up or found.drift)


def test_two_speeds_are_no_outliers() -> None:
    """One in four takes three times as long, as with prompts of two lengths."""
    values = noise(spread=0.05)
    values[::4] *= 3
    assert not outliers(values).any()


@pytest.mark.parametrize("count", [0, 1, LEAST - 1])
def test_too_few_are_not_judged(count: int) -> None:
    found = steadiness(noise(count))
    assert not found.judged
    assert "too few" in found.text()


def test_equal_values_and_zeros() -> None:
    assert steadiness(np.full(COUNT, 5.0)).text().startswith("steady")
    assert not outliers(np.zeros(COUNT)).any()
