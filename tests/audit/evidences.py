"""Results made of small hand-written run folders, as the checks across files are given them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit.evidence import Evidence
from loadgen_harness.run import Run
from loadgen_harness.types import Division, Scenario
from tests.audit import folders
from tests.audit.folders import AUDIT_WARNING, MS, ROUND

SYSTEM = {"accelerators_per_node": "2", "number_of_nodes": "1", "host_processors_per_node": "1", "system_name": "Toy"}
DAY = {"performance": "05", "accuracy": "06", "TEST01": "07", "TEST04": "08"}  # hours, one after another


def logged(folder: Path, part: str, scenario: str = "Server", **more: Any) -> Run:
    """The run of one part; `more` are values of its log."""
    mode = "AccuracyOnly" if part == "accuracy" else "PerformanceOnly"
    values = folders.common(scenario, mode) if part == "accuracy" else folders.performance(scenario)
    if part.startswith("TEST"):
        values = folders.audited(values, part)
    times = {key: str(values[key]).replace(" 04:", f" {DAY[part]}:") for key in ("power_begin", "power_end")}
    names = {"sut_name": "PySUT", "qsl_name": "PyQSL", "qsl_reported_total_count": 10}
    warnings = [AUDIT_WARNING] if part.startswith("TEST") else []
    return folders.write(folder / part, {**values, **times, **names, **latencies(part), **more}, warnings=warnings)


def latencies(part: str) -> dict[str, int]:
    """Percentiles that no other part has."""
    if part == "accuracy":
        return {}
    own = 1000 * int(DAY[part])
    steps = {"50.00": 10 * MS, "90.00": 12 * MS, "95.00": 12 * MS + 1, "97.00": 12 * MS + 2, "99.00": 12 * MS + 3}
    found = {f"result_{name}_percentile_latency_ns": value + own for name, value in steps.items()}
    ends = {"result_min_latency_ns": 9 * MS, "result_mean_latency_ns": 10 * MS + own, "result_max_latency_ns": 20 * MS}
    return {**found, **ends}


def evidence(root: Path, changes: Mapping[str, Mapping[str, Any]] | None = None, **fields: Any) -> Evidence:
    """A whole result below `root`; `changes` maps parts to values of their logs."""
    runs = {part: logged(root, part, **(changes or {}).get(part, {})) for part in DAY}
    made = Evidence(
        benchmark=folders.benchmark(),
        scenario=Scenario.SERVER,
        round=ROUND,
        division=Division.CLOSED,
        root=root,
        performance=runs["performance"],
        accuracy=runs["accuracy"],
        tests={name: runs[name] for name in ("TEST01", "TEST04")},
        system_name="toy_2x",
        system=SYSTEM,
    )
    return replace(made, **fields)
