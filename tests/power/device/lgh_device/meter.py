"""The device's meter: its law, with a ripple of 1 % as sensors have."""

from __future__ import annotations

import itertools

from lgh_device import setting, watts


class DeviceMeter:
    """Watts of the settings now."""

    scope = "board"
    parts = ("gpu/device",)
    uncertainty, resolution = 0.02, 0.001
    estimated, counting = False, False
    interval_s, averaging_s = 0.1, 0.0

    def __init__(self) -> None:
        self._turn = itertools.cycle((1.01, 0.99, 1.0, 1.005, 0.995))

    @classmethod
    def available(cls) -> str:
        return ""

    def watts(self) -> float:
        return watts(setting()[0]) * next(self._turn)

    def describe(self) -> dict[str, str]:
        return {"source": "a law"}

    def close(self) -> None: ...


METER = DeviceMeter
