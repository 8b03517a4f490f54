"""A recorded log, played back in step with the clock, for tests and trials: no measurement of this machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from loadgen_harness.errors import BadInput
from power.integral import merged
from power.measurement import Measurement, recorded
from power.meter import MeterFailed, Scope
from power.meters._trial import refusal

VARIABLE = "LGH_REPLAY"
FASTEST_S, SLOWEST_S = 0.02, 5.0


class ReplayMeter:
    """The curve of LGH_REPLAY, a power/<meter>.csv or a spl.txt, from its first sample on; it ends when the log does.

    What meters.json beside the log says of its meter holds here too. It counts as estimated, whatever recorded it.
    """

    estimated = True

    def __init__(self) -> None:
        """Read the log and begin to play; raises BadInput for one that is missing, damaged or too short."""
        text = os.environ.get(VARIABLE, "")
        if not text:
            raise BadInput(f"set {VARIABLE} to a recorded power/<meter>.csv or spl.txt, to play it back.")
        log = _readable(Path(text))
        self._path, self._log = Path(text), log
        self.scope: Scope = log.scope  # type: ignore[assignment]
        self.parts = log.parts
        self.uncertainty, self.resolution = log.uncertainty, log.resolution
        self.interval_s = min(SLOWEST_S, max(FASTEST_S, log.interval_s))
        self.averaging_s = log.averaging_s
        self.counting = log.joules is not None
        self._times, self._watts = merged(log.times_s, log.watts)
        self._counts = merged(log.times_s, log.joules)[1] if log.joules is not None else None
        self._begun = time.monotonic()

    @classmethod
    def available(cls) -> str:
        """Empty where the log can be played, else what is wrong with it."""
        return refusal(cls)

    def watts(self) -> float:
        """What the recorded meter read so long after its first sample; raises MeterFailed after its last."""
        return float(np.interp(self._now(), self._times, self._watts))

    def joules(self) -> float:
        """What it had counted since its first sample; only of a log with counts."""
        if self._counts is None:
            raise MeterFailed(f"meter replay: {self._path} holds no counts.")
        return float(np.interp(self._now(), self._times, self._counts) - self._counts[0])

    def conditions(self) -> tuple[str, ...]:
        """What held the recorded device back then."""
        now = self._now()
        return tuple(each.condition for each in self._log.held if each.seconds(now, now + 1e-6) > 0)

    def describe(self) -> dict[str, str]:
        """That it is a replay, and of what."""
        long_s = self._times[-1] - self._times[0]
        return {
            "source": "replay of a recorded log: no measurement of this machine",
            "log": self._path.name,
            "recorded by": self._log.meter,
            "length": f"{long_s:.1f} s",
        }

    def close(self) -> None:
        """Nothing stays open."""

    def _now(self) -> float:
        """The second of the log that is played now."""
        now = float(self._times[0]) + time.monotonic() - self._begun
        if now > self._times[-1]:
            long_s = self._times[-1] - self._times[0]
            raise MeterFailed(f"meter replay: {self._path.name} ended after {long_s:.1f} s: replay a longer log.")
        return now


def _readable(path: Path) -> Measurement:
    log = recorded(path)
    if log.damage:
        raise BadInput(f"{VARIABLE}: {path} {log.damage[0]}: name a sample log.")
    for doubt in log.doubts:
        found = f"{doubt.file} beside {path} says of {doubt.key} {doubt.found}"
        raise BadInput(f"{VARIABLE}: {found}, wanted {doubt.wanted}: restore it, or name another log.")
    if len(np.unique(log.times_s)) < 2 or not (np.isfinite(log.times_s).all() and np.isfinite(log.watts).all()):
        raise BadInput(f"{VARIABLE}: {path} holds no two readable samples: name a longer log.")
    return log


METER = ReplayMeter
