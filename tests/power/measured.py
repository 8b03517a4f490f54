"""Run folders with energy of known size: a steady signal of two seconds, so that every figure can be done by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadgen_harness.run import Run
from tests.power.folders import BEGIN, METER, steady, write_log, write_power

SECONDS, SAMPLES = 2.0, 100
BOARD: dict[str, Any] = {
    **METER,
    "scope": "board",
    "parts": ["gpu/0"],
    "uncertainty": 0.02,
    "estimated": False,
    "counting": True,
}
PACKAGE = {**BOARD, "scope": "package", "parts": ["cpu/0"], "uncertainty": 0.05}
WALL = {**BOARD, "scope": "wall", "parts": ["wall"], "uncertainty": 0.01}
ESTIMATE = {**METER, "parts": ["cpu"]}


def run(folder: Path, watts: Mapping[str, float], *, spec: Mapping[str, Any] | None = None, **log: Any) -> Run:
    """A folder whose meters (by what ABOUT calls them) saw so many watts, 100 queries of one sample each in 2 s."""
    counts = {"result_query_count": SAMPLES, "generated_samples_per_query": 1, "effective_scenario": "Server"}
    write_log(folder, end=BEGIN + SECONDS, **{**counts, "pid": str(folder), **log})  # no two runs' logs are the same
    for name, each in watts.items():
        write_power(folder, steady(each), name, ABOUT[name])
    if spec is not None:
        content = {"format": 2, "spec": {"output": str(folder), **spec}, "round": "mini"}
        (folder / "run.json").write_text(json.dumps(content))
    return Run(folder)


ABOUT: Mapping[str, Mapping[str, Any]] = {"nvml": BOARD, "rapl": PACKAGE, "ipmi": WALL, "estimate": ESTIMATE}


def reference(folder: Path, watts: list[float], meter: str = "nvml") -> Path:
    """A folder of entries a, b, c, …, one run each."""
    for number, each in enumerate(watts):
        run(folder / chr(ord("a") + number), {meter: each})
    return folder
