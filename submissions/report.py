"""One HTML page that needs no network, and its Markdown twin: what was measured, and whether it counts."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from audit import tax
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from power.surroundings import NONE_GIVEN, Surroundings
from submissions import anatomy, energy_facts, facts
from submissions.record import RunResult

EMPHASIS = re.compile(r"\*?\b(estimated)\b\*?")


def report(runs: Sequence[Run], results: Sequence[RunResult], output: Path, around: Surroundings = NONE_GIVEN) -> Path:
    """Write `output` (an .html file) and its twin with the ending .md; returns `output`.

    `results` are the performance runs to show in full, `runs` all runs behind them, `around` what figures derived from
    energy take. Raises BadInput where one of the two files exists.
    """
    twin = output.with_suffix(".md")
    for path in (output, twin):
        if path.exists():
            raise BadInput(f"{path} exists: choose another name for the report.")
    output.parent.mkdir(parents=True, exist_ok=True)
    content = _content(runs, results, around)
    templates = environment()
    for path, template in ((twin, "report.md.j2"), (output, "report.html.j2")):
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(templates.get_template(template).render(content), encoding="utf-8")
        os.replace(partial, path)
    return output


def _content(runs: Sequence[Run], results: Sequence[RunResult], around: Surroundings) -> dict[str, Any]:
    every = list({run.path: run for run in (*runs, *(result.run for result in results))}.values())
    rows = [facts.row(result, around) for result in results]
    return {
        "rows": rows,
        "groups": _groups(rows),
        "columns": facts.COLUMNS,
        "energy_columns": energy_facts.COLUMNS,
        "derived_columns": energy_facts.DERIVED,
        "repeated": _repeated(rows),
        "meanings": [(name, meaning) for name, _, meaning in anatomy.SPANS],
        "definition": tax.DEFINITION,
        "tax_columns": facts.TAX_COLUMNS,
        "valid": sum(row.valid and not row.errors for row in rows),
        "all_runs": [facts.listed(run) for run in every],
        "damage": [(run.path.name, each) for run in every for each in run.damage],
        "systems": facts.shared(every, "system"),
        "versions": facts.shared(every, "versions"),
        "harness": facts.shared(every, "harness"),
        "suites": facts.shared(every, "suite"),
        "rounds": sorted({str(run.meta["round"]) for run in every if run.meta.get("round")}),
        "started": min((str(run.meta["started"]) for run in every if run.meta.get("started")), default=""),
        "synthetic": any(run.meta.get("synthetic") for run in every),
    }


def _groups(rows: Sequence[facts.Row]) -> list[tuple[str, list[facts.Row]]]:
    """Rows by benchmark, in the order of their first appearance."""
    return [(name, [row for row in rows if row.benchmark == name]) for name in dict.fromkeys(r.benchmark for r in rows)]


def _repeated(rows: Sequence[facts.Row]) -> set[str]:
    """Anchors of rows whose accuracy a row above already told of their benchmark: one run may stand for all."""
    told: set[tuple[str, tuple[facts.Accuracy, ...]]] = set()
    again: set[str] = set()
    for row in rows:
        if row.accuracy and (row.benchmark, row.accuracy) in told:
            again.add(row.anchor)
        told.add((row.benchmark, row.accuracy))
    return again


def environment() -> Environment:
    """Templates of this package; what goes into an .html.j2 is escaped."""
    made = Environment(
        loader=PackageLoader("submissions", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["emphasis"] = _emphasis
    made.filters["cell"] = _cell
    return made


def _emphasis(text: str) -> str:
    """HTML with the word that marks an estimate in italics, everything else escaped."""
    return EMPHASIS.sub(r"<em>\1</em>", html.escape(text))


def _cell(text: object) -> str:
    """A text that cannot break a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|")
