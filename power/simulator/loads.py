"""What the simulator pretends to measure: a constant load, or one that follows how busy the CPUs are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from loadgen_harness.errors import BadInput, MissingDependency

Load = Callable[[float], float]  # seconds since the measurement began -> watts


@dataclass(frozen=True)
class Profile:
    """The pretended device: `low_w` at rest, `high_w` at work; a ripple of a relative size, the same every time."""

    low_w: float = 60.0
    high_w: float = 100.0
    ripple: float = 0.002


def constant(profile: Profile) -> Load:
    """Always at work."""
    return lambda elapsed_s: profile.high_w * (1 + profile.ripple * math.sin(1.7 * elapsed_s))


def follows_cpu(profile: Profile) -> Load:
    """Between rest and work with the busy share of all CPUs since the last sample; raises MissingDependency."""
    try:
        import psutil
    except ModuleNotFoundError as error:
        raise MissingDependency("a simulated load that follows the CPUs", "psutil") from error
    psutil.cpu_percent()

    def watts(elapsed_s: float) -> float:
        busy = float(psutil.cpu_percent()) / 100
        mean = profile.low_w + (profile.high_w - profile.low_w) * busy
        return mean * (1 + profile.ripple * math.sin(1.7 * elapsed_s))

    return watts


KINDS = {"constant": constant, "cpu": follows_cpu}


def load(kind: str, profile: Profile) -> Load:
    """The load of a kind; raises BadInput for watts that no device draws."""
    if not 0 < profile.low_w <= profile.high_w < 1e6:
        raise BadInput("the simulated watts must be positive, and no less at work than at rest.")
    return KINDS[kind](profile)
