"""What a knob is: one kind of setting that trades speed for power; one module each in `knobs/`, defining KNOB."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, SuiteError

KNOBS = registry.Kind("knob", "power.knobs", "KNOB")
STEPS = 9  # settings of a default sweep
TOLERANCE = 0.005  # hardware rounds: RAPL counts in eighths of a watt
Raw = dict[str, str]  # device -> its setting as the device takes it


class KnobFailed(SuiteError):
    """A setting that could not be made or put back; names what to do."""


class Knob(Protocol):
    """A setting of all devices of one kind; made as `KNOB()`, which raises BadInput where this machine has none."""

    title: str  # "GPU power limit"
    unit: str  # of the values that people give: "W", "MHz", "" for words
    verifiable: bool  # whether read() tells what was set
    note: str  # what a person should know before it is swept, "" for nothing

    def read(self) -> Raw:
        """Every device's setting now, as put() takes it back."""

    def steps(self) -> tuple[str, ...]:
        """Values for a sweep from the least to the most, at most about STEPS where they lie close."""

    def raw(self, value: str) -> Raw:
        """What each device is given for a person's value; raises BadInput for one that no device takes."""

    def put(self, device: str, raw: str) -> None:
        """Set one device; raises KnobFailed, for a missing permission with what to run as whom."""

    def close(self) -> None:
        """Let the devices go; settings stay."""


def load(name: str) -> Any:
    """Knob `name`, opened; raises UnknownName, MissingDependency, or BadInput where this machine has none."""
    return registry.load(KNOBS, name)()


def apply(knob: Knob, wanted: Mapping[str, str]) -> None:
    """Set devices and read them back; raises KnobFailed where one did not take its setting."""
    for device, raw in wanted.items():
        knob.put(device, raw)
    odd = different(knob, wanted)
    if odd:
        raise KnobFailed(f"{knob.title}: {odd}: the firmware or another program holds it.")


def different(knob: Knob, wanted: Mapping[str, str]) -> str:
    """The first device that has another setting than wanted, "" where all are as they should be."""
    if not knob.verifiable:
        return ""
    found = knob.read()
    for device, raw in wanted.items():
        if device not in found:
            return f"{device} is gone"
        if not _same(raw, found[device]):
            return f"{device} is {found[device]} instead of {raw}"
    return ""


def spread(values: Sequence[int], count: int = STEPS) -> list[int]:
    """At most `count` of ascending values, the ends among them, evenly over their number."""
    if len(values) <= count:
        return list(values)
    return [values[round(place * (len(values) - 1) / (count - 1))] for place in range(count)]


def grid(low: float, high: float, step: float) -> list[int]:
    """Round values between two ends, and the ends themselves."""
    first, last = int(-(-low // step)), int(high // step)
    inner = [round(place * step) for place in range(first, last + 1)]
    return sorted({round(low), *spread(inner), round(high)})


def number(value: str, what: str) -> float:
    """A person's positive number; raises BadInput."""
    try:
        found = float(value)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e9:
        raise BadInput(f"{what} is a positive number, not {value!r}.")
    return found


def sysfs() -> Path:
    """Where the kernel's files are: LGH_SYSFS for containers that see the host's elsewhere."""
    return Path(os.environ.get("LGH_SYSFS") or "/sys")


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        first, second = float(one), float(other)
    except ValueError:
        return False
    return abs(first - second) <= TOLERANCE * abs(first)
