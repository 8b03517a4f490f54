"""A program that turns knobs without rest: to be killed, so that a test can look at what is restored."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from power.watchdog import guarded

VALUES = {
    "cpu_governor": ("powersave", "performance"),
    "cpu_frequency": ("800", "2000"),
    "cpu_power": ("50", "100"),
    "gpu_power": ("150", "350"),
    "gpu_clock": ("210", "1200"),
}


def main(arguments: Sequence[str]) -> None:
    """`restless [raise|exit]`: turn knobs until killed, or fail soon."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, end)
    with guarded(list(VALUES)) as guard:
        lap = 0
        while True:
            for name, values in VALUES.items():
                guard.set(name, values[lap % 2])
            if not lap:
                os.write(1, b"turning\n")
            lap += 1
            if lap == 3 and arguments:
                raise ArithmeticError("the sweep has a bug")


if __name__ == "__main__":
    main(sys.argv[1:])
