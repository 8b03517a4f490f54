"""A Measurement: what one meter recorded beside one run, read back from the run folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness.run import Run
from power import events, untouched
from power.events import Held
from power.fault import AGAIN, Fault
from power.log import OWN_MARK, Readings, Sample, read
from power.parts import OF_SCOPE
from power.simulator import MARK

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
MOST = {"uncertainty": 1.0, "interval_s": float("inf"), "averaging_s": float("inf")}  # none is below 0
ANALYZER_LOG = "spl.txt"
METERS = "power/meters.json"
REPLAY = "replay"  # the one meter whose samples were taken elsewhere: see power/meters/replay.py
NEVER_MEASURED = (REPLAY, "estimate")  # whatever meters.json says


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
    doubts: tuple[Fault, ...] = ()  # about the files themselves: a description that cannot be, an edit after the run

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
    def bad(self) -> np.ndarray:
        """Which samples are no watts: negative (-1 stands for one that was not measured) or no number."""
        return np.asarray(~np.isfinite(self.watts) | (self.watts < 0), dtype=bool)

    @cached_property
    def readable(self) -> Measurement:
        """Without the samples that are no watts; those of LoadGen's window are a fault, others are left out."""
        if not self.bad.any():
            return self
        kept = tuple(sample for sample, bad in zip(self.samples, self.bad, strict=True) if not bad)
        return replace(self, samples=kept)

    @cached_property
    def joules(self) -> np.ndarray | None:
        """The running count of the samples, None for a meter that does not count."""
        counts = [sample.joules for sample in self.samples if sample.joules is not None]
        return np.array(counts, dtype=float) if counts and len(counts) == len(self.samples) else None


def measurements(folder: Path) -> tuple[Measurement, ...]:
    """Everything measured beside the run in `folder`: meters in `power/`, an analyzer's `spl.txt` beside the log."""
    found = list(own(folder / "power"))
    analyzer = folder / ANALYZER_LOG
    if analyzer.exists():
        readings = read(analyzer)
        if not readings.mark.startswith(OWN_MARK):
            found.append(_made("ptd", ANALYZER_LOG, readings, {**ANALYZER, "interval_s": _pace(readings.samples)}))
    digests = Run(folder).meta.get("digests")
    doubts = [tuple(untouched.check(folder, each.file, digests)) for each in found]
    return tuple(replace(each, doubts=(*each.doubts, *more)) for each, more in zip(found, doubts, strict=True))


def simulated(folder: Path) -> bool:
    """Whether the PTDaemon simulator wrote the analyzer's log in a run's folder."""
    log = folder / ANALYZER_LOG
    return log.is_file() and read(log).mark == MARK


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
        "doubts": tuple(_impossible(name, about)),
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
        estimated=bool(about["estimated"]) or name in NEVER_MEASURED,
        averaging_s=_positive(about["averaging_s"]),
        interval_s=_positive(about["interval_s"]),
        clock_s=_positive(about.get("clock_s")),
        idle_until_s=about.get("idle_until_s"),
        details=details if isinstance(details, dict) else {},
        samples=readings.samples,
        held=about.get("held", ()),
        damage=(*about.get("damage", ()), *readings.damage),
        doubts=about.get("doubts", ()),
    )


def _impossible(name: str, about: Mapping[str, Any]) -> Iterator[Fault]:
    """What no meter can be, in its description of meters.json."""
    for key, most in MOST.items():
        if not _is_number(about[key]) or about[key] > most:
            wanted = "a number from 0 to 1" if most == 1 else "a number of seconds, none negative"
            yield Fault(METERS, f"{name}: {key}", f"{about[key]!r}, an invalid description", wanted, AGAIN)
    if not isinstance(about["estimated"], bool):
        found = f"{about['estimated']!r}, an invalid description"
        yield Fault(METERS, f"{name}: estimated", found, "true or false", AGAIN)


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
    except (OSError, ValueError, RecursionError) as error:
        return {}, (f"power/meters.json cannot be read: {error}",)


def _pace(samples: tuple[Sample, ...]) -> float:
    """The usual time between two samples."""
    times = [sample.utc_s for sample in samples]
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def _positive(value: Any) -> float:
    return float(value) if _is_number(value) else 0.0


def _is_number(value: Any) -> bool:
    """Whether a value is a number that is finite and not negative."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
