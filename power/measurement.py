"""A Measurement: what one meter recorded beside one run, read back from the run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from power.log import OWN_MARK, Readings, Sample, read

ANALYZER = {"scope": "wall", "uncertainty": 0.01, "estimated": False, "averaging_s": 1.0}  # 1 %: MLPerf's power rules
UNKNOWN = {"scope": "node", "uncertainty": 1.0, "estimated": True, "averaging_s": 0.0}


@dataclass(frozen=True)
class Measurement:
    """Samples with what meters.json says about their meter; `file` is relative to the run folder."""

    meter: str
    file: str
    scope: str
    uncertainty: float
    estimated: bool
    averaging_s: float
    interval_s: float
    idle_s: float
    samples: tuple[Sample, ...]
    damage: tuple[str, ...] = ()

    @property
    def times_s(self) -> np.ndarray:
        """UTC seconds of the samples."""
        return np.array([sample.utc_s for sample in self.samples], dtype=float)

    @property
    def watts(self) -> np.ndarray:
        """Watts of the samples."""
        return np.array([sample.watts for sample in self.samples], dtype=float)

    @property
    def joules(self) -> np.ndarray | None:
        """The running count of the samples, None for a meter that does not count."""
        counts = [sample.joules for sample in self.samples if sample.joules is not None]
        return np.array(counts, dtype=float) if counts and len(counts) == len(self.samples) else None


def measurements(folder: Path) -> tuple[Measurement, ...]:
    """Everything measured beside the run in `folder`: meters in `power/`, an analyzer's `spl.txt` beside the log."""
    described, damage = _described(folder / "power" / "meters.json")
    about: Any = described.get("meters")
    about = about if isinstance(about, dict) else {}
    idle_s = _positive(described.get("idle_s"))
    names = sorted({path.stem for path in folder.glob("power/*.csv")} | {str(name) for name in about})
    found = [_own(folder, name, about.get(name), idle_s=idle_s, damage=damage) for name in names]
    analyzer = folder / "spl.txt"
    if analyzer.exists():
        readings = read(analyzer)
        if not readings.mark.startswith(OWN_MARK):
            found.append(_made("ptd", "spl.txt", readings, {**ANALYZER, "interval_s": _pace(readings.samples)}))
    return tuple(found)


def _own(folder: Path, name: str, about: Any, *, idle_s: float, damage: tuple[str, ...]) -> Measurement:
    file = f"power/{name}.csv"
    readings = read(folder / file)
    keys = {*UNKNOWN, "interval_s"}
    if not isinstance(about, dict) or not keys <= about.keys():
        damage = (*damage, f"power/meters.json does not describe meter {name}")
        about = {**UNKNOWN, "interval_s": _pace(readings.samples)}
    return _made(name, file, readings, {**about, "idle_s": idle_s, "damage": damage})


def _made(name: str, file: str, readings: Readings, about: Mapping[str, Any]) -> Measurement:
    return Measurement(
        meter=name,
        file=file,
        scope=str(about["scope"]),
        uncertainty=_positive(about["uncertainty"]),
        estimated=bool(about["estimated"]),
        averaging_s=_positive(about["averaging_s"]),
        interval_s=_positive(about["interval_s"]),
        idle_s=about.get("idle_s", 0.0),
        samples=readings.samples,
        damage=(*about.get("damage", ()), *readings.damage),
    )


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
    good = isinstance(value, int | float) and 0 <= value < float("inf")
    return float(value) if good else 0.0
