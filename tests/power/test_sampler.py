"""The sampling loop with meters of our own: a failing one ends alone and says why."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from power import sampler
from power.events import EventLog
from power.log import SampleLog, read
from power.meter import MeterFailed
from tests.power.test_recorder import wait_until


class Steady:
    """A counting meter that fails after some readings."""

    interval_s = 0.02
    averaging_s = 0.0
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
    os.close(closed_stdin)
    assert "meter steady broke" in (tmp_path / "sampler.log").read_text()
    assert [s.joules for s in read(tmp_path / "steady.csv").samples] == [-2.0, -1.0, 0.0]
    assert meter.closed


def test_the_end_of_stdin_stops_with_a_last_sample(tmp_path: Path, closed_stdin: int) -> None:
    os.close(closed_stdin)
    track = sampler.Track("steady", Steady(9), SampleLog(tmp_path / "steady.csv"), time.monotonic() + 60)
    assert sampler.sample([track], tmp_path, os.getppid()) is True
    assert len(read(tmp_path / "steady.csv").samples) == 1


def test_a_lost_parent_stops(tmp_path: Path, closed_stdin: int) -> None:
    track = sampler.Track("steady", Steady(999), SampleLog(tmp_path / "steady.csv"), 0.0)
    assert sampler.sample([track], tmp_path, parent=-1) is True
    os.close(closed_stdin)
    assert len(read(tmp_path / "steady.csv").samples) >= 2


class Slow(Steady):
    """A meter on the network: each reading takes most of a second."""

    interval_s = 0.7
    counting = False

    def watts(self) -> float:
        time.sleep(0.6)
        return 7.0


class Held(Steady):
    """A board that is held back in every second reading, and whose readings are means over 0.3 s."""

    averaging_s = 0.3
    counting = False

    def conditions(self) -> tuple[str, ...]:
        return ("gpu/0: hot",) if self.left % 2 else ()


class Hanging(Steady):
    """A meter that no longer answers."""

    def __init__(self) -> None:
        super().__init__(9)
        self.gate = threading.Event()

    def watts(self) -> float:
        self.gate.wait(60)
        return 0.0


def track(name: str, meter: Steady, folder: Path, events: EventLog | None = None) -> sampler.Track:
    return sampler.Track(name, meter, SampleLog(folder / f"{name}.csv"), time.monotonic(), events)


def sampled_for(seconds: float, tracks: list[sampler.Track], folder: Path, descriptor: int) -> bool:
    threading.Timer(seconds, os.close, (descriptor,)).start()
    return sampler.sample(tracks, folder, os.getppid())


def test_a_slow_meter_stalls_no_other(tmp_path: Path, closed_stdin: int) -> None:
    tracks = [track("slow", Slow(9), tmp_path), track("quick", Steady(999), tmp_path)]
    assert sampled_for(1.0, tracks, tmp_path, closed_stdin)
    quick, slow = (read(tmp_path / f"{name}.csv").samples for name in ("quick", "slow"))
    assert 2 <= len(slow) <= 4
    assert len(quick) > 30
    assert max(b.utc_s - a.utc_s for a, b in pairwise(quick)) < 0.4


def test_readings_go_on_for_half_of_what_they_are_means_of(tmp_path: Path, closed_stdin: int) -> None:
    assert sampled_for(0.2, [track("held", Held(999), tmp_path)], tmp_path, closed_stdin)
    samples = read(tmp_path / "held.csv").samples
    assert samples[-1].utc_s - samples[0].utc_s > 0.3


def test_conditions_become_events(tmp_path: Path, closed_stdin: int) -> None:
    assert sampled_for(0.3, [track("held", Held(999), tmp_path, EventLog(tmp_path))], tmp_path, closed_stdin)
    lines = (tmp_path / "events.csv").read_text().splitlines()
    assert lines[0] == "monotonic_ns,utc_s,meter,condition,change"
    assert [line.split(",")[2:] for line in lines[1:3]] == [
        ["held", "gpu/0: hot", "begin"],
        ["held", "gpu/0: hot", "end"],
    ]


def test_points_of_a_curve_are_taken_at_random_and_counts_are_not(tmp_path: Path) -> None:
    """So that a load whose period is the sampler's is not always met in the same phase."""
    points, counts = track("points", Slow(99), tmp_path), track("counts", Steady(99), tmp_path)
    swerves = [points._swerve() for _ in range(200)]
    assert max(swerves) - min(swerves) > 0.3
    assert max(map(abs, swerves)) <= sampler.SWERVE
    assert counts._swerve() == 0
    points.close()
    counts.close()


def test_a_meter_that_hangs_is_left_behind(tmp_path: Path, closed_stdin: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "LAST_S", 0.1)
    monkeypatch.setattr(sampler, "LONGEST_LAG_S", 0.1)
    meter = Hanging()
    tracks = [track("hanging", meter, tmp_path), track("quick", Steady(999), tmp_path)]
    assert sampled_for(0.2, tracks, tmp_path, closed_stdin) is False
    assert "did not answer any more" in (tmp_path / "sampler.log").read_text()
    assert len(read(tmp_path / "quick.csv").samples) > 3
    assert not meter.closed, "never under its reading"
    meter.gate.set()
    assert wait_until(lambda: meter.closed)


def test_the_slowest_meter_sets_the_idle_phase(tmp_path: Path) -> None:
    class Described(Slow):
        scope, parts, uncertainty, resolution, estimated = "node", ("node",), 0.1, 1.0, False

        def describe(self) -> dict[str, str]:
            return {"source": "a test"}

    slow = track("slow", Described(9), tmp_path)
    text = json.loads(sampler.description([slow], 0.5))
    assert text["idle_s"] == 0.7
    assert text["ready_s"] == pytest.approx(time.time(), abs=5)
    assert text["meters"]["slow"]["parts"] == ["node"]
    assert text["meters"]["slow"]["resolution"] == 1.0
    assert json.loads(sampler.description([slow], 0.0))["idle_s"] == 0
    slow.close()
