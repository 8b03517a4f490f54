"""The pretended power analyzer: its ranges, its channels, and how uncertain a reading is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from power.log import SPL_TIME
from power.simulator import MARK

# PTDaemon's device types that MLPerf's power check accepts, by the largest current they take
LARGEST_A = {8: 20.0, 35: 40.0, 48: 40.0, 49: 20.0, 52: 20.0, 77: 20.0, 508: 20.0, 549: 20.0, 586: 20.0}
MULTICHANNEL = (48, 77)
ONE_NUMBER = 48  # of WT500: its channels count from 1, so `-c` gives their number alone
DIRECT_CURRENT = (508, 549, 586)
STEPS_A = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
STEPS_V = (15.0, 30.0, 60.0, 150.0, 300.0, 600.0)
VOLTS, DIRECT_VOLTS, FACTOR = 230.0, 48.0, 0.95
OF_READING, OF_RANGE = 0.001, 0.0005  # 0.1 % of the reading and 0.05 % of the range, as of a good analyzer
UNEVEN = 0.02  # how far the load of one channel is from that of the next


@dataclass
class Range:
    """One range: chosen by the device itself, or set to the next step that holds what was asked for."""

    steps: Sequence[float]
    largest: float
    set_to: float
    auto: bool = False

    def set(self, text: str) -> bool:
        """Take `Auto` or a number; false where no step is that large."""
        if text.lower() == "auto":
            self.auto = True
            return True
        try:
            wanted = float(text)
        except ValueError:
            return False
        fitting = [step for step in self.steps if wanted <= step <= self.largest]
        if wanted <= 0 or not fitting:
            return False
        self.auto, self.set_to = False, min(fitting)
        return True

    def __str__(self) -> str:
        return f"{int(self.auto)},{self.set_to:.6f}"


@dataclass(frozen=True)
class Reading:
    """One sample: watts in all, and of each channel (one for a device with a single channel)."""

    utc_s: float
    channels: tuple[float, ...]
    volts: float
    factor: float
    uncertainty: float | None  # relative; None where the range is not known
    over_range: bool

    @property
    def watts(self) -> float:
        """The sum of all channels."""
        return sum(self.channels)

    def columns(self, watts: float) -> str:
        """Watts, volts, amps and power factor of one channel, in PTDaemon's words."""
        amps = watts / (self.volts * self.factor)
        return f"Watts,{watts:.6f},Volts,{self.volts:.6f},Amps,{amps:.6f},PF,{self.factor:.6f}"

    def row(self) -> str:
        """The sample as the answer to RL: the total first, then the channels where there are several."""
        when = f"Time,{stamp(self.utc_s)}"
        if len(self.channels) == 1:
            return f"{when},{self.columns(self.watts)},Simulated,{MARK}"
        total = f"Watts,{self.watts:.6f},Volts,{-1:.6f},Amps,{-1:.6f},PF,{-1:.6f},Simulated,{MARK}"
        return ",".join((when, total, *map(self.columns, self.channels)))

    def logged(self, mark: str, first: int) -> str:
        """The sample as a line of the log file, the channels named from `first`; the last word is the simulator's."""
        when = f"Time,{stamp(self.utc_s)}"
        if len(self.channels) == 1:
            return f"{when},{self.columns(self.watts)},Mark,{mark},{MARK}"
        total = f"Watts,{self.watts:.6f},Volts,{-1:.6f},Amps,{-1:.6f},PF,{-1:.6f},Mark,{mark}"
        named = (f"Ch{first + at},{self.columns(watts)}" for at, watts in enumerate(self.channels))
        return ",".join((when, total, *named, MARK))


@dataclass
class Analyzer:
    """A device of one of PTDaemon's types with `count` channels from `first` on."""

    kind: int = 49
    first: int = 1
    count: int = 1
    amps: Range = field(init=False)
    volts: Range = field(init=False)

    def __post_init__(self) -> None:
        self.amps = Range(STEPS_A, LARGEST_A[self.kind], 10.0)
        self.volts = Range(STEPS_V, STEPS_V[-1], 300.0)

    @property
    def direct(self) -> bool:
        """Whether it measures direct current, and so answers DC-RL instead of RL."""
        return self.kind in DIRECT_CURRENT

    @property
    def several(self) -> bool:
        """Whether it answers RL,*,* with its channels."""
        return self.kind in MULTICHANNEL

    def reading(self, watts: float) -> Reading:
        """What it shows while `watts` flow."""
        volts, factor = (DIRECT_VOLTS, 1.0) if self.direct else (VOLTS, FACTOR)
        shares = [1 + UNEVEN * (at - (self.count - 1) / 2) for at in range(self.count)]
        channels = tuple(watts * share / self.count for share in shares)
        known = not (self.amps.auto or self.volts.auto)
        over = known and max(channels) / (volts * factor) > self.amps.set_to
        uncertain = (
            OF_READING + OF_RANGE * self.amps.set_to * self.volts.set_to / max(channels) if known and not over else None
        )
        return Reading(time.time(), channels, volts, factor, uncertain, over)


def stamp(utc_s: float) -> str:
    """Seconds as PTDaemon writes them, in UTC."""
    return datetime.fromtimestamp(round(utc_s, 3), UTC).strftime(SPL_TIME)[:-3]
