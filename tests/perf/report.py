"""What was measured, for people and for programs: tables on the terminal and in Markdown, and JSON."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from loadgen_harness import __version__, console, system
from tests.perf.ratios import Row
from tests.perf.session import Part
from tests.perf.targets import Verdict

PACKAGES = ("mlcommons-loadgen", "numpy", "onnxruntime")


@dataclass(frozen=True)
class Account:
    """A whole measurement."""

    about: Mapping[str, Any]  # machine, versions, effort, runs, what could not be measured
    rows: Sequence[Row]
    verdicts: Sequence[Verdict]


def machine() -> dict[str, str]:
    """What was measured on."""
    seen = system.describe()
    load = os.getloadavg()[0]
    return {
        "cpu": f"{seen['host_processor_core_count']} cores, {seen['host_processor_model_name']}",
        "memory": seen["host_memory_capacity"],
        "system": seen["operating_system"],
        "load at the start": f"{load:.2f}",
        "loadgen-harness": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }


def write(path: Path, account: Account) -> None:
    """The account as JSON, under a temporary name first."""
    record = {
        "format": 1,
        **account.about,
        "rows": [_plain(asdict(row)) for row in account.rows],
        "targets": [
            {**asdict(each.target), **_plain({"measured": each.measured}), "met": each.met} for each in account.verdicts
        ],
    }
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows no nan."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}


COLUMNS = ("variant", "median>", "95 %>", "ratio>", "95 %>", "rounds>")


def show(part: Part, rows: Sequence[Row]) -> None:
    """One table a case."""
    console.say(f"{part.title} ({part.note})" if part.note else part.title, "bold")
    console.say()
    for case in dict.fromkeys(row.case for row in rows):
        console.table(case, COLUMNS, [_cells(row) for row in rows if row.case == case])


def markdown(path: Path, parts: Sequence[Part], rows: Sequence[Row]) -> None:
    """The same tables for a document."""
    lines: list[str] = []
    for part in parts:
        lines += [f"### {part.title}", "", *([f"{part.note[0].upper()}{part.note[1:]}.", ""] if part.note else [])]
        own = [row for row in rows if row.part == part.name]
        for case in dict.fromkeys(row.case for row in own):
            lines += ["| " + " | ".join([case, *(name.rstrip(">") for name in COLUMNS[1:])]) + " |"]
            lines += ["|---|" + "--:|" * (len(COLUMNS) - 1)]
            lines += ["| " + " | ".join(_cells(row)) + " |" for row in own if row.case == case]
            lines += [""]
    path.write_text("\n".join(lines), encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    interval = f"{figure(row.low)}–{figure(row.high)}"
    if not row.yardstick:
        return row.variant, figure(row.median), interval, "", "", str(len(row.values))
    bounds = f"{figure(row.ratio_low)}–{figure(row.ratio_high)}"
    return row.variant, figure(row.median), interval, figure(row.ratio), bounds, str(len(row.values))


def figure(value: float) -> str:
    """Three digits, thousands and millions named."""
    for scale, name in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= scale:
            return f"{value / scale:.3g}{name}"
    return f"{value:.3g}"


def show_targets(verdicts: Sequence[Verdict]) -> None:
    """Targets with what was measured, those missed by name."""
    rows = [(each.target.sentence, _measured(each), "pass" if each.met else "FAIL") for each in verdicts]
    console.table("Targets", ("target", "measured>", ""), rows)
    for each in verdicts:
        if not each.met:
            console.fail(f"missed: {each.target.sentence}; measured {_measured(each)}")


def _measured(verdict: Verdict) -> str:
    return "nothing" if math.isnan(verdict.measured) else f"{verdict.measured:.4g}"
