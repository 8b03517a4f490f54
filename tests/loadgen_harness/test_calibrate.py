"""Calibration: the expectation that LoadGen is told comes from the system under test, unless the user named one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from loadgen_harness import calibrate, registry, rounds, settings
from loadgen_harness.backends import Batch
from loadgen_harness.samples import Recorder
from loadgen_harness.types import RunSpec, Scenario, TestMode
from tests.fakes import Echo, EchoSUT, FakeDriver, Numbers

PER_BATCH_S = 0.02


class Slow(Echo):
    """A backend of 20 ms a batch."""

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        time.sleep(PER_BATCH_S)
        return super().predict(batch)


def plan_of(scenario: Scenario, mode: TestMode = TestMode.PERFORMANCE, **overrides: float) -> settings.Plan:
    spec = RunSpec("digits", "null", scenario, mode, Path("unused"), overrides=overrides)
    return settings.plan(spec, registry.load(registry.BENCHMARKS, "digits"), rounds.load("mini"))


@pytest.fixture
def sut() -> EchoSUT:
    return EchoSUT(Slow(), Numbers(64), FakeDriver(), Recorder())


def test_offline_rate_is_the_measured_one_with_headroom(sut: EchoSUT) -> None:
    plan = calibrate.calibrated(plan_of(Scenario.OFFLINE), sut, 8)
    rate = plan.settings.offline_expected_qps
    assert 0.3 * 8 / PER_BATCH_S < rate <= (calibrate.HEADROOM + 1) * 8 / PER_BATCH_S
    assert f"*.Offline.target_qps = {rate:.3f}"[:24] in plan.user_conf and plan.user_conf.count("target_qps") == 1


@pytest.mark.parametrize("scenario", [Scenario.SINGLE_STREAM, Scenario.MULTI_STREAM])
def test_stream_latency_is_below_the_measured_one(sut: EchoSUT, scenario: Scenario) -> None:
    chosen = calibrate.calibrated(plan_of(scenario), sut, 8).settings
    name = "single_stream" if scenario is Scenario.SINGLE_STREAM else "multi_stream"
    expected_s = getattr(chosen, f"{name}_expected_latency_ns") / 1e9
    assert PER_BATCH_S / calibrate.HEADROOM * 0.9 < expected_s < 5 * PER_BATCH_S


def test_the_library_is_left_empty(sut: EchoSUT) -> None:
    calibrate.calibrated(plan_of(Scenario.OFFLINE), sut, 8)
    with pytest.raises(KeyError):
        sut.qsl.get([0])


def test_only_an_open_expectation_is_calibrated() -> None:
    assert calibrate.wanted(plan_of(Scenario.OFFLINE))
    assert calibrate.wanted(plan_of(Scenario.SINGLE_STREAM))
    assert not calibrate.wanted(plan_of(Scenario.OFFLINE, target_qps=100.0))
    assert not calibrate.wanted(plan_of(Scenario.SINGLE_STREAM, target_latency=1.0))
    assert not calibrate.wanted(plan_of(Scenario.SERVER))
    assert not calibrate.wanted(plan_of(Scenario.OFFLINE, TestMode.ACCURACY))
