"""A report of results: one HTML page that needs no network, its Markdown twin, and JSON and CSV for programs."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from audit import tax
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from power.surroundings import NONE_GIVEN, Surroundings
from submissions import anatomy, energy_facts, facts, report_data, svg
from submissions.plots import COARSE, FINE
from submissions.record import RunResult

EMPHASIS = re.compile(r"\*?\b(estimated)\b\*?")
ENDINGS = (".html", ".md", ".json", ".csv")
Pairs = tuple[tuple[str, str], ...]
MANY = 24  # results; on a page of more of them each is closed at first and drawn coarsely


def report(
    runs: Sequence[Run],
    results: Sequence[RunResult],
    output: Path,
    around: Surroundings = NONE_GIVEN,
    *,
    campaign: bool = True,
) -> Path:
    """Write `output` (an .html file) and its twins with the endings .md, .json and .csv; returns `output`.

    `results` are the runs to show in full, `runs` all runs behind them, `around` what figures derived from energy take;
    `campaign` says that they belong together. Raises BadInput where one of the files exists.
    """
    paths = {ending: output.with_suffix(ending) for ending in ENDINGS}
    for path in paths.values():
        if path.exists():
            raise BadInput(f"{path} exists: choose another name for the report.")
    output.parent.mkdir(parents=True, exist_ok=True)
    content = {**_content(runs, results, around), "campaign": campaign}
    templates = environment()
    data = content.pop("data")
    texts = {
        ".json": report_data.document(data, _whole(content, around)),
        ".csv": report_data.table(data),
        ".md": templates.get_template("report.md.j2").render(content),
        ".html": templates.get_template("report.html.j2").render(content, **_script(templates)),
    }
    for ending, text in texts.items():
        partial = paths[ending].with_name(f"{paths[ending].name}.partial")
        partial.write_text(text, encoding="utf-8", newline="")
        os.replace(partial, paths[ending])
    return output


def _content(runs: Sequence[Run], results: Sequence[RunResult], around: Surroundings) -> dict[str, Any]:
    every = list({run.path: run for run in (*runs, *(result.run for result in results))}.values())
    names = dict(zip((run.path for run in every), report_data.names(every), strict=True))
    many = len(results) > MANY
    grain = COARSE if many else FINE
    rows = _apart([facts.row(result, around, name=names[result.run.path], grain=grain) for result in results])
    common: dict[str, Pairs] = {}
    if many:
        settings = _common([(row.scenario, row.settings) for row in rows])
        digests = _common([(row.benchmark, row.digests) for row in rows])
        rows = [
            replace(
                row,
                settings=_own(row.settings, settings[row.scenario]),
                digests=_own(row.digests, digests[row.benchmark]),
            )
            for row in rows
        ]
        common = {**settings, **{f"{name}: digests (SHA-256)": pairs for name, pairs in digests.items()}}
    return {
        "rows": rows,
        "data": [report_data.result(result, names[result.run.path]) for result in results],
        "many": many,
        "named": len({(row.benchmark, row.scenario) for row in rows}) < len(rows),
        "common": [(group, pairs) for group, pairs in common.items() if pairs],
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
        "damage": [(names[run.path], each) for run in every for each in run.damage],
        "systems": facts.shared(every, "system"),
        "versions": facts.shared(every, "versions"),
        "harness": facts.shared(every, "harness"),
        "suites": facts.shared(every, "suite"),
        "rounds": sorted({str(run.meta["round"]) for run in every if run.meta.get("round")}),
        "started": min((str(run.meta["started"]) for run in every if run.meta.get("started")), default=""),
        "synthetic": any(run.meta.get("synthetic") for run in every),
    }


def _whole(content: Mapping[str, Any], around: Surroundings) -> dict[str, Any]:
    """What the JSON says of all results together."""
    keys = ("benchmark", "scenario", "mode", "duration", "verdict")
    return {
        "rounds": content["rounds"],
        "started": content["started"] or None,
        "synthetic": content["synthetic"],
        "runs": [dict(zip(keys, line, strict=True)) for line in content["all_runs"]],
        "damage": [{"run": name, "sentence": sentence} for name, sentence in content["damage"]],
        **{
            key: [{"runs": count, "values": dict(pairs)} for pairs, count in content[key]]
            for key in ("systems", "versions", "harness", "suites")
        },
    }


def _script(templates: Environment) -> dict[str, str]:
    """The page's script, and the digest that lets its content policy run this one and no other."""
    text = templates.get_template("report.js").render()
    return {"script": text, "script_digest": base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}


def _apart(rows: Sequence[facts.Row]) -> list[facts.Row]:
    """Rows whose anchors differ: the second of a name has -2 behind it."""
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        seen[row.anchor] += 1
        found.append(replace(row, anchor=f"{row.anchor}--{seen[row.anchor]}") if seen[row.anchor] > 1 else row)
    return found


def _common(told: Iterable[tuple[str, Pairs]]) -> dict[str, Pairs]:
    """Per group the pairs that all its results share; `told` holds a group and its pairs for each result."""
    found: dict[str, Pairs] = {}
    for group, pairs in told:
        own = set(pairs)
        found[group] = tuple(pair for pair in found.get(group, pairs) if pair in own)
    return found


def _own(pairs: Pairs, common: Pairs) -> Pairs:
    shared = set(common)
    return tuple(pair for pair in pairs if pair not in shared)


def _groups(rows: Sequence[facts.Row]) -> list[tuple[str, list[facts.Row]]]:
    """Rows by benchmark, in the order of their first appearance."""
    grouped: dict[str, list[facts.Row]] = {}
    for row in rows:
        grouped.setdefault(row.benchmark, []).append(row)
    return list(grouped.items())


def _repeated(rows: Sequence[facts.Row]) -> dict[str, facts.Row]:
    """Anchors of rows whose accuracy another row tells, with that row: one run may stand for all of a benchmark."""
    told: dict[tuple[str, tuple[facts.Accuracy, ...]], facts.Row] = {}
    again: dict[str, facts.Row] = {}
    for row in rows:
        first = told.setdefault((row.benchmark, row.accuracy), row)
        if row.accuracy and first is not row:
            again[row.anchor] = first
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
    made.filters["path"] = _path
    made.filters["captioned"] = svg.captioned
    return made


def _emphasis(text: str) -> str:
    """HTML with the word that marks an estimate in italics, everything else escaped."""
    return EMPHASIS.sub(r"<em>\1</em>", html.escape(text))


def _path(text: str) -> str:
    """HTML of a path that may break behind its slashes."""
    return html.escape(text).replace("/", "/<wbr>")


def _cell(text: object) -> str:
    """A text that cannot break a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|")
