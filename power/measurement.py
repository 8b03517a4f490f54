"""A Measurement: what one meter recorded beside one run, read back from the run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from power import events
from power.events import Held
from power.log import OWN_MARK, Readings, Sample, read
from power.parts import OF_SCOPE

# MLPerf's power rules: 1 %, and clocks of the two machines within 400 ms of each other
ANALYZER = {
    "scope": "wall",
    "parts": ("wall",),
    "uncertainty": 0.01,
    "estimated": False,
    "averaging_s": 1.0,
    "clock_s": 0.4,
}
UNKNOWN = {"scope": "node", "uncertainty": 1.0, "estimated": True, "averaging_s": 0.0}
KEYS = {*UNKNOWN, "interval_s"}  # what meters.json says in every format
REPLAY = "replay"  # the one meter whose samples were taken elsewhere: see power/meters/replay.py


@dataclass(frozen=True)
class Measurement:
    """Samples with what meters.json says about their meter; `file` is relative to the run folder.

    `idle_until_s` is the UTC second until which the machine was idle, None where nobody watched; `clock_s` bounds the
    difference between the clock of the samples and LoadGen's.
    """

    meter: str
    file: str
    scope: str
    uncertainty: float
    estimated: bool
    averaging_s: float
    interval_s: float
    samples: tuple[Sample, ...]
    parts: tuple[str, ...] = ()
    resolution: float = 0.0
    clock_s: float = 0.0
    idle_until_s: float | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    held: tuple[Held, ...] = ()
    damage: tuple[str, ...] = ()

    @property
    def replay(self) -> bool:
        """Whether the samples are a recorded log's."""
        return self.meter == REPLAY

    @cached_property
    def times_s(self) -> np.ndarray:
        """UTC seconds of the samples."""
        return np.array([sample.utc_s for sample in self.samples], dtype=float)

    @cached_property
    def watts(self) -> np.ndarray:
        """Watts of the samples."""
        return np.array([sample.watts for sample in self.samples], dtype=float)

    @cached_property
    def joules(self) -> np.ndarray | None:
        """The running count of the samples, None for a meter that does not count."""
        counts = [sample.joules for sample in self.samples if sample.joules is not None]
        return np.array(counts, dtype=float) if counts and len(counts) == len(self.samples) else None


def measurements(folder: Path) -> tuple[Measurement, ...]:
    """Everything measured beside the run in `folder`: meters in `power/`, an analyzer's `spl.txt` beside the log."""
    found = list(own(folder / "power"))
    analyzer = folder / "spl.txt"
    if analyzer.exists():
        readings = read(analyzer)
        if not readings.mark.startswith(OWN_MARK):
            found.append(_made("ptd", "spl.txt", readings, {**ANALYZER, "interval_s": _pace(readings.samples)}))
    return tuple(found)


def own(power: Path) -> tuple[Measurement, ...]:
    """What the meters of this suite recorded into a run's folder `power`."""
    described, damage = _described(power / "meters.json")
    about: Any = described.get("meters")
    about = about if isinstance(about, dict) else {}
    held, unread = events.read(power)
    stems = {path.stem for path in power.glob("*.csv") if path.name != events.FILE}
    shared = {"damage": (*damage, *unread), "described": described, "held": held}
    return tuple(_own(power, name, about.get(name), shared) for name in sorted(stems | {str(name) for name in about}))


def recorded(path: Path) -> Measurement:
    """One sample log by its path: as meters.json beside it describes its meter, else as an analyzer's or nobody's."""
    for each in own(path.parent) if (path.parent / "meters.json").exists() else ():
        if path.name == f"{each.meter}.csv":
            return each
    readings = read(path)
    about = ANALYZER if path.suffix == ".txt" else UNKNOWN
    return _made(path.stem, path.name, readings, {**about, "interval_s": _pace(readings.samples)})


def _own(power: Path, name: str, about: Any, shared: Mapping[str, Any]) -> Measurement:
    readings = read(power / f"{name}.csv")
    damage = shared["damage"]
    if not isinstance(about, dict) or not about.keys() >= KEYS:
        damage = (*damage, f"power/meters.json does not describe meter {name}")
        about = {**UNKNOWN, "interval_s": _pace(readings.samples)}
    more = {
        "damage": damage,
        "idle_until_s": _idle_until(shared["described"], readings.samples),
        "held": tuple(each for each in shared["held"] if each.meter == name),
    }
    return _made(name, f"power/{name}.csv", readings, {**about, **more})


def _made(name: str, file: str, readings: Readings, about: Mapping[str, Any]) -> Measurement:
    scope, details, parts = str(about["scope"]), about.get("details"), about.get("parts")
    return Measurement(
        meter=name,
        file=file,
        scope=scope,
        parts=tuple(map(str, parts)) if isinstance(parts, list | tuple) and parts else (OF_SCOPE.get(scope, scope),),
        uncertainty=_positive(about["uncertainty"]),
        resolution=_positive(about.get("resolution")),
        estimated=bool(about["estimated"]) or name == REPLAY,
        averaging_s=_positive(about["averaging_s"]),
        interval_s=_positive(about["interval_s"]),
        clock_s=_positive(about.get("clock_s")),
        idle_until_s=about.get("idle_until_s"),
        details=details if isinstance(details, dict) else {},
        samples=readings.samples,
        held=about.get("held", ()),
        damage=(*about.get("damage", ()), *readings.damage),
    )


def _idle_until(described: Mapping[str, Any], samples: tuple[Sample, ...]) -> float | None:
    """Format 1 knew how long the idle phase was, format 2 since when all meters had answered as well."""
    idle_s = _positive(described.get("idle_s"))
    if not idle_s or not samples:
        return None
    return (_positive(described.get("ready_s")) or min(sample.utc_s for sample in samples)) + idle_s


def _described(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return (content, ()) if isinstance(content, dict) else ({}, ("power/meters.json holds no description",))
    except FileNotFoundError:
        return {}, ()
    except (OSError, ValueError) as error:
        return {}, (f"power/meters.json cannot be read: {error}",)


def _pace(samples: tuple[Sample, ...]) -> float:
    """The usual time between two samples."""
    times = [sample.utc_s for sample in samples]
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def _positive(value: Any) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
    return float(value) if good else 0.0
