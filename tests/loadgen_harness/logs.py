"""Writes large detail logs in LoadGen's own form, quickly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TAIL = '"metadata": {{"is_error": {}, "is_warning": {}, "file": "loadgen.cc", "line_no": 1025, "pid": 3, "tid": 3}}}}'


def line(key: str, value: Any, *, error: bool = False, warning: bool = False, time_ms: float = 0.5) -> str:
    """One record exactly as LoadGen 6.0 prints it."""
    flags = (json.dumps(error), json.dumps(warning))
    head = f':::MLLOG {{"key": "{key}", "value": {json.dumps(value)}, "time_ms": {time_ms}, '
    return head + '"namespace": "mlperf::logging", "event_type": "POINT_IN_TIME", ' + TAIL.format(*flags)


def large(path: Path, size: int, *, errors: bool = False) -> int:
    """A log of about `size` bytes in path/mlperf_log_detail.txt: settings, a repeated part, results; its lines."""
    sets = [line("loaded_qsl_set", list(range(each, each + 1024))) for each in range(2)]
    short = [
        line("error_runtime" if errors else "generic_message", f"Sample {number} came twice", error=errors)
        for number in range(2_000)
    ]
    short += [line("power_begin", "11-22-2026 08:00:00.500"), line("generated_query_count", 17)]
    block = ("\n".join([*short, *sets]) + "\n").encode()
    ends = [line("effective_scenario", "Offline"), line("effective_test_mode", "PerformanceOnly")]
    results = [line("result_validity", "VALID"), line("result_samples_per_second", 1.5e6), line("power_end", "x")]
    count = max(1, size // len(block))
    with (path / "mlperf_log_detail.txt").open("wb") as file:
        file.write(("\n".join(ends) + "\n").encode())
        for _ in range(count):
            file.write(block)
        file.write(("\n".join(results) + "\n").encode())
    return len(ends) + count * block.count(b"\n") + len(results)
