"""A power analyzer through the PTDaemon of somebody's session, which is asked for its watts and nothing more."""

from __future__ import annotations

import os
import time

from loadgen_harness.errors import BadInput
from power.meter import MeterFailed, Scope
from power.meters._trial import refusal
from power.ptd import Average, Client, address
from power.simulator import MARK

VARIABLE = "LGH_PTD"
LIMIT = 0.01  # MLPerf's: assumed until the daemon knows better
SILENT_S = 5.0  # without a new sample: the measurement has ended


class PtdMeter:
    """The wall's power, once a second, from a measurement that is already running.

    `Watts` tells the mean since the measurement began: the difference between two answers is what came between. Ranges
    are never set and a measurement is never begun or ended, for the session may be an official one.
    """

    scope: Scope = "wall"
    parts: tuple[str, ...] = ("wall",)
    uncertainty = LIMIT
    resolution = 0.0
    estimated = False
    interval_s = 1.0
    averaging_s = 1.0
    counting = False

    def __init__(self) -> None:
        """Connect and take the first average; raises BadInput saying what is missing."""
        text = os.environ.get(VARIABLE, "")
        if not text:
            raise BadInput(f"set {VARIABLE} to the PTDaemon's HOST:PORT, such as 10.0.0.2:8888, to read an analyzer.")
        try:
            self._client = Client(*address(text))
        except MeterFailed as error:
            raise BadInput(str(error)) from error
        try:
            self._identity = self._client.identify()
            said = self._client.uncertainty()
            self._before = self._average()
        except MeterFailed as error:
            self.close()
            raise BadInput(str(error)) from error
        self.estimated = MARK in self._identity.text  # the simulator invents its watts
        self.uncertainty = said.high if said.valid else LIMIT
        self._shown_w = self._before.mean
        self._fresh = time.monotonic()

    @classmethod
    def available(cls) -> str:
        """Empty where a measurement runs, else what is missing."""
        return refusal(cls)

    def watts(self) -> float:
        """Mean power of the samples since the last call, or the last one's where none is new."""
        now = self._average()
        before = self._before if now.valid >= self._before.valid else Average(0.0, 0.0, 0.0, 0, 0)
        new = now.valid - before.valid
        if new:
            self._shown_w = (now.mean * now.valid - before.mean * before.valid) / new
            self._before, self._fresh = now, time.monotonic()
        elif time.monotonic() - self._fresh > SILENT_S:
            raise MeterFailed(f"PTDaemon took no sample for {SILENT_S:g} s: its measurement has ended.")
        return self._shown_w

    def describe(self) -> dict[str, str]:
        """Which daemon, which analyzer, which ranges."""
        ranges = self._client.ranges()
        shown = (("current", ranges.amps, "A"), ("voltage", ranges.volts, "V"))
        return {
            "source": f"PTDaemon {self._identity.version} at {self._client.where}, read only",
            "analyzer": self._identity.model,
            **{f"{name} range": "automatic" if value is None else f"{value:g} {unit}" for name, value, unit in shown},
        }

    def close(self) -> None:
        """Hang up; the measurement goes on."""
        self._client.close()

    def _average(self) -> Average:
        found = self._client.watts()
        if not found.valid:
            raise MeterFailed(f"PTDaemon at {self._client.where} has no sample: begin a measurement there first.")
        return found


METER = PtdMeter
