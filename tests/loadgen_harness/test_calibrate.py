"""Calibration: the expectation that LoadGen is told comes from the system under test, unless the user named one."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness import calibrate, registry, rounds, settings
from loadgen_harness.backends import Batch
from loadgen_harness.errors import RunFailed
from loadgen_harness.sut import SystemUnderTest
from loadgen_harness.types import RunSpec, Scenario, TestMode
from tests.fakes import Echo, EchoSUT, FakeDriver, Numbers, Prompts, Script, TokenSUT

PER_BATCH_S = 0.02


class Slow(Echo):
    """A backend of 20 ms a batch."""

    batches = 0

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        self.batches += 1
        time.sleep(PER_BATCH_S)
        return super().predict(batch)


def plan_of(scenario: Scenario, mode: TestMode = TestMode.PERFORMANCE, **overrides: float) -> settings.Plan:
    spec = RunSpec("digits", "null", scenario, mode, Path("unused"), overrides=overrides)
    return settings.plan(spec, registry.load(registry.BENCHMARKS, "digits"), rounds.load("mini"))


@pytest.fixture
def sut() -> EchoSUT:
    return EchoSUT(Slow(), Numbers(64), FakeDriver())


def pace(sut: SystemUnderTest, **changes: Any) -> calibrate.Pace:
    """Batches of 8."""
    return calibrate.Pace(functools.partial(calibrate.seconds, sut), 8, **changes)


def test_offline_rate_is_the_measured_one_with_headroom(sut: EchoSUT) -> None:
    plan = calibrate.calibrated(plan_of(Scenario.OFFLINE), pace(sut))
    rate = plan.settings.offline_expected_qps
    assert 0.3 * 8 / PER_BATCH_S < rate <= (calibrate.HEADROOM + 1) * 8 / PER_BATCH_S
    assert f"*.Offline.target_qps = {rate:.3f}"[:24] in plan.user_conf and plan.user_conf.count("target_qps") == 1


@pytest.mark.parametrize("scenario", [Scenario.SINGLE_STREAM, Scenario.MULTI_STREAM])
def test_stream_latency_is_below_the_measured_one(sut: EchoSUT, scenario: Scenario) -> None:
    chosen = calibrate.calibrated(plan_of(scenario), pace(sut)).settings
    name = "single_stream" if scenario is Scenario.SINGLE_STREAM else "multi_stream"
    expected_s = getattr(chosen, f"{name}_expected_latency_ns") / 1e9
    assert PER_BATCH_S / calibrate.HEADROOM * 0.9 < expected_s < 5 * PER_BATCH_S


@pytest.mark.timeout(20)
def test_a_hundred_thousand_fast_answers_are_added_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which each takes 4 us; added up anew after each answer they take a minute."""
    clock = itertools.count(0, 4_000)
    monkeypatch.setattr(calibrate, "perf_counter_ns", lambda: next(clock))
    assert calibrate.seconds(EchoSUT(Echo(), Numbers(8), FakeDriver()), 1, "fastest") == 4e-6
    assert next(clock) >= calibrate.SECONDS * 1e9


def test_one_batch_of_a_slow_system_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "SLOW_S", PER_BATCH_S)
    monkeypatch.setattr(calibrate, "SECONDS", PER_BATCH_S / 2)
    backend = Slow()
    calibrate.seconds(EchoSUT(backend, Numbers(64), FakeDriver()), 8, "mean")
    assert backend.batches == 1


def test_the_library_is_left_empty(sut: EchoSUT) -> None:
    calibrate.calibrated(plan_of(Scenario.OFFLINE), pace(sut))
    with pytest.raises(KeyError):
        sut.qsl.get([0])


@pytest.mark.parametrize("changes", [{}, {"copies": 4}, {"driver": "native"}])
def test_replicas_and_the_driver_set_the_pace(changes: dict[str, Any]) -> None:
    """A batch of 8 that takes 0.8 us: the rest is the driver's."""
    made = calibrate.Pace(lambda batch, kind: 0.8e-6, 8, **changes)
    alone = 1 / (0.1e-6 / made.copies + calibrate.DRIVER_S[made.driver])
    rate = calibrate.calibrated(plan_of(Scenario.OFFLINE), made).settings.offline_expected_qps
    assert alone * calibrate.HEADROOM <= rate <= alone * (calibrate.HEADROOM + 1)


@pytest.mark.parametrize("kind", ["mean", "fastest"])
def test_dearest_samples_are_grouped_as_a_driver_does(kind: str) -> None:
    class Costly(EchoSUT):
        def cost(self, sample: np.ndarray) -> float:
            return float(sample[0])

        def answer(self, indices: Any) -> Any:
            seen.append(list(indices))
            time.sleep(0.05)
            return super().answer(indices)

    seen: list[list[int]] = []
    calibrate.seconds(Costly(Echo(), Numbers(64), FakeDriver()), 4, kind)
    first, second, *_ = seen  # the dearest, then the cheapest
    assert first == sorted(first, reverse=True) and min(first) >= max(second)


def test_streams_are_not_measured_in_batches() -> None:
    with pytest.raises(RunFailed, match="answers in batches"):
        calibrate.seconds(TokenSUT(Script(), Prompts(), FakeDriver()), 1, "mean")


def test_only_an_open_expectation_is_calibrated() -> None:
    assert calibrate.wanted(plan_of(Scenario.OFFLINE))
    assert calibrate.wanted(plan_of(Scenario.SINGLE_STREAM))
    assert not calibrate.wanted(plan_of(Scenario.OFFLINE, target_qps=100.0))
    assert not calibrate.wanted(plan_of(Scenario.SINGLE_STREAM, target_latency=1.0))
    assert not calibrate.wanted(plan_of(Scenario.SERVER))
    assert not calibrate.wanted(plan_of(Scenario.OFFLINE, TestMode.ACCURACY))
