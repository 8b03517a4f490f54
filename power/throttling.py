"""Devices that were held back while they were measured: said of the run, no reason to refuse its figures."""

from __future__ import annotations

from collections.abc import Iterator

from power.events import FILE
from power.fault import Fault
from power.measurement import Measurement

FIX = "cool the device or raise its limit, then repeat the run; the energy is that of a device held back"


def check(measurement: Measurement, begin: float, end: float) -> Iterator[Fault]:
    """Each condition that held inside the window, with its share of the time."""
    seconds: dict[str, float] = {}
    for held in measurement.held:
        seconds[held.condition] = seconds.get(held.condition, 0.0) + held.seconds(begin, end)
    for condition, held_s in seconds.items():
        if held_s > 0:
            share = held_s / (end - begin)
            found = f"{condition} ({measurement.meter}) for {held_s:.1f} s, {share:.0%} of LoadGen's window"
            yield Fault(f"power/{FILE}", "condition", found, "a device that nothing holds back", FIX, forbids=False)
