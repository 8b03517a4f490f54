"""Small run folders and powercap trees, written as the real ones look."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from power.log import Sample, SampleLog

BEGIN = datetime(2026, 11, 22, 5, 2, 33, 411000, tzinfo=UTC).timestamp()
SHARED = Path(__file__).parents[2].parent / "shared"
METER: dict[str, Any] = {
    "scope": "package",
    "uncertainty": 0.5,
    "estimated": True,
    "interval_s": 0.1,
    "averaging_s": 0.1,
    "counting": False,
}


def stamp(utc_s: float) -> str:
    """Seconds in LoadGen's words."""
    return datetime.fromtimestamp(utc_s, UTC).strftime("%m-%d-%Y %H:%M:%S.%f")[:-3]


def write_log(folder: Path, *, end: float, **more: Any) -> Path:
    """A detail log whose window is BEGIN to `end`; a key that is None is left out."""
    values = {
        "effective_scenario": "Offline",
        "effective_test_mode": "PerformanceOnly",
        "generated_samples_per_query": 100,
        "power_begin": stamp(BEGIN),
        "power_end": stamp(end),
        "result_query_count": 1,
        "result_validity": "VALID",
        **more,
    }
    notes = {"is_error": False, "is_warning": False}
    lines = [
        ":::MLLOG " + json.dumps({"key": key, "value": value, "metadata": notes})
        for key, value in values.items()
        if value is not None
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mlperf_log_detail.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_power(
    folder: Path, samples: Sequence[Sample], name: str = "estimate", about: Mapping[str, Any] = METER
) -> Path:
    """power/<name>.csv and meters.json, whose idle phase is half a second."""
    (folder / "power").mkdir(parents=True, exist_ok=True)
    log = SampleLog(folder / "power" / f"{name}.csv")
    for sample in samples:
        log.write(sample)
    log.close()
    path = folder / "power" / "meters.json"
    known = json.loads(path.read_text())["meters"] if path.exists() else {}
    content = {"format": 1, "idle_s": 0.5, "meters": {**known, name: {**about, "details": {}}}}
    path.write_text(json.dumps(content))
    return folder


def steady(watts: float = 20.0, *, start: float = -1.0, stop: float = 3.0, step: float = 0.1) -> list[Sample]:
    """A steady signal around BEGIN with a count that agrees."""
    count = round((stop - start) / step) + 1
    times = [start + step * i for i in range(count)]
    return [Sample(round((t - start) * 1e9), BEGIN + t, watts, watts * (t - start)) for t in times]
