"""A device whose speed and power follow from its settings by known laws; its settings are the files of LGH_SYSFS."""

from __future__ import annotations

import os
from pathlib import Path

NOMINAL_MHZ = 2000.0
SAMPLE_S = 0.002  # at the nominal clock
STATIC_W, DYNAMIC_W = 20.0, 30.0
PENALTY = 1.4  # time that the governor `powersave` costs, at the same power


def setting() -> tuple[float, str]:
    """Clock relative to the nominal one, and governor."""
    policy = Path(os.environ["LGH_SYSFS"]) / "devices/system/cpu/cpufreq/policy0"
    clock = int((policy / "scaling_max_freq").read_text()) / 1000 / NOMINAL_MHZ
    return clock, (policy / "scaling_governor").read_text().strip()


def seconds(clock: float, governor: str) -> float:
    """What a sample takes."""
    return SAMPLE_S / clock * (PENALTY if governor == "powersave" else 1.0)


def watts(clock: float) -> float:
    """What the device draws: leakage, and switching that grows with the cube of the clock."""
    return STATIC_W + DYNAMIC_W * clock**3
