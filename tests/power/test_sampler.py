"""The sampling loop with meters of our own: a failing one ends alone and says why."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from power import sampler
from power.log import SampleLog, read
from power.meter import MeterFailed


class Steady:
    """A counting meter that fails after some readings."""

    interval_s = 0.02
    counting = True

    def __init__(self, readings: int) -> None:
        self.left, self.closed = readings, False

    def watts(self) -> float:
        self.left -= 1
        if self.left < 0:
            raise MeterFailed("meter steady broke: mend it.")
        return 5.0

    def joules(self) -> float:
        return float(-self.left)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def closed_stdin(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """A standard input that ends when the returned descriptor is closed."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield writer


def test_a_failing_meter_ends_alone(tmp_path: Path, closed_stdin: int) -> None:
    meter = Steady(3)
    track = sampler.Track("steady", meter, SampleLog(tmp_path / "steady.csv"), 0.0)
    assert sampler.sample([track], tmp_path, os.getppid()) is False
    track.close()
    os.close(closed_stdin)
    assert "meter steady broke" in (tmp_path / "sampler.log").read_text()
    assert [s.joules for s in read(tmp_path / "steady.csv").samples] == [-2.0, -1.0, 0.0]
    assert meter.closed


def test_the_end_of_stdin_stops_with_a_last_sample(tmp_path: Path, closed_stdin: int) -> None:
    os.close(closed_stdin)
    track = sampler.Track("steady", Steady(9), SampleLog(tmp_path / "steady.csv"), time.monotonic() + 60)
    assert sampler.sample([track], tmp_path, os.getppid()) is True
    track.close()
    assert len(read(tmp_path / "steady.csv").samples) == 1


def test_a_lost_parent_stops(tmp_path: Path, closed_stdin: int) -> None:
    track = sampler.Track("steady", Steady(9), SampleLog(tmp_path / "steady.csv"), 0.0)
    assert sampler.sample([track], tmp_path, parent=-1) is True
    track.close()
    os.close(closed_stdin)
