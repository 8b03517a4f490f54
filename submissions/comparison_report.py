"""A comparison as files: matrix.md, matrix.html, matrix.svg (the main figure alone) and matrix.json."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from loadgen_harness.types import Score
from submissions import svg
from submissions.comparison import Comparison, Difference, Figure, Measure, Way
from submissions.numbers import NONE, number, tick

ROW = 34
Bar = tuple[str, float, float, float]  # label, value, low, high
STYLE = (
    "svg{background:#fff;font:12px system-ui,sans-serif}text{fill:#5b6570;font-size:11.5px}.m{fill:#1c2128}"
    "path{fill:none;stroke-linecap:round}.g{stroke:#d9dee4}.l1{stroke:#2a6fb8;stroke-width:2.4}"
    ".p1{stroke:#2a6fb8;stroke-width:8}.lim{stroke:#5b6570;stroke-dasharray:4 4}"
)


def write(found: Comparison, context: Mapping[str, str], output: Path) -> Path:
    """Write all four files into `output`, anew each time; returns the HTML page. `context` is said above the table."""
    environment = Environment(
        loader=PackageLoader("submissions", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = lambda text: " ".join(str(text).split()).replace("|", "\\|")
    content = _content(found, context)
    main = bars(f"{found.main.title} ({found.main.unit})", _bars(found, found.main))
    files = {
        "matrix.md": lambda: environment.get_template("matrix.md.j2").render(content),
        "matrix.html": lambda: environment.get_template("matrix.html.j2").render(content),
        "matrix.svg": lambda: standalone(main),
        "matrix.json": lambda: json.dumps(_plain(found, context), indent=1) + "\n",
    }
    for name, made in files.items():
        _replace(output / name, made)
    return output / "matrix.html"


def _replace(path: Path, made: Callable[[], str]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(made(), encoding="utf-8")
    os.replace(partial, path)


def _content(found: Comparison, context: Mapping[str, str]) -> dict[str, Any]:
    ways = ordered(found)
    scored = list(dict.fromkeys(score.metric for way in ways for score in way.scores))
    plots = [bars(f"{m.title} ({m.unit})", _bars(found, m)) for m in found.columns]
    plots += [bars(name, _scores(ways, name)) for name in scored]
    return {
        "context": context,
        "columns": headings(found),
        "rows": [row(found, way) for way in ways],
        "ranked": [sentence(found, each) for each in found.ranked],
        "described": [(way.label, _said(way)) for way in ways],
        "faults": [(way.label, fault) for way in ways for fault in way.faults],
        "plots": [plot for plot in plots if plot],
        "refused": found.refused,
    }


def ordered(found: Comparison) -> list[Way]:
    """Ways from best to worst in the main figure, those without any last."""
    places = {label: place for place, label in enumerate(_ranking(found))}
    return sorted(found.ways, key=lambda way: places.get(way.label, len(places)))


def _ranking(found: Comparison) -> list[str]:
    medians = {label: table[found.main.key].median for label, table in found.figures.items() if found.main.key in table}
    return sorted(medians, key=lambda label: medians[label], reverse=found.main.higher_is_better)


def headings(found: Comparison) -> list[str]:
    """Column titles of the table."""
    metrics = list(dict.fromkeys(score.metric for way in found.ways for score in way.scores))
    measures = [f"{measure.title}, {measure.unit}" for measure in found.columns]
    answers = ["same answers"] if any(way.agreement for way in found.ways) else []
    return ["", measures[0], "ratio", "difference", *measures[1:], *metrics, *answers]


def row(found: Comparison, way: Way) -> list[str]:
    """One way's cells: median with its 95 % interval, ratio to the baseline and whether that is noise, the rest."""
    table = found.figures.get(way.label, {})
    difference = found.to_baseline.get(way.label)
    scores = {score.metric: score for score in way.scores}
    metrics = list(dict.fromkeys(score.metric for each in found.ways for score in each.scores))
    cells = [figure(table.get(measure.key)) for measure in found.columns]
    ratio = f"{difference.ratio:.3g} [{difference.low:.3g}, {difference.high:.3g}]" if difference else "1"
    verdict = difference.verdict if difference else "baseline"
    if not table:
        ratio, verdict = NONE, "no valid run"
    answers = [way.agreement or NONE] if any(each.agreement for each in found.ways) else []
    return [way.label, cells[0], ratio, verdict, *cells[1:], *(_score(scores.get(name)) for name in metrics), *answers]


def figure(found: Figure | None) -> str:
    """A median with its interval."""
    return f"{number(found.median)} [{number(found.low)}, {number(found.high)}]" if found else NONE


def _score(found: Score | None) -> str:
    return f"{found.value:.4g} [{found.low:.4g}, {found.high:.4g}]" if found else NONE


def sentence(found: Comparison, each: Difference) -> str:
    """A difference between neighbours of the ranking, in words."""
    said = {
        "real": f"differ (p = {each.adjusted:.2g})",
        "noise": f"cannot be told apart (p = {each.adjusted:.2g})",
        "too few rounds": f"were compared in too few rounds to tell ({each.n})",
    }[each.verdict]
    return (
        f"{each.way} and {each.other} {said}: {found.main.title} ratio {each.ratio:.3g} "
        f"[{each.low:.3g}, {each.high:.3g}]"
    )


def _said(way: Way) -> str:
    return ", ".join(f"{key} {value}" for key, value in way.described.items() if value and key != "name")


def _bars(found: Comparison, measure: Measure) -> list[Bar]:
    tables = ((way.label, found.figures.get(way.label, {}).get(measure.key)) for way in ordered(found))
    return [(label, each.median, each.low, each.high) for label, each in tables if each]


def _scores(ways: Iterable[Way], name: str) -> list[Bar]:
    return [(way.label, s.value, s.low, s.high) for way in ways for s in way.scores if s.metric == name]


def bars(title: str, rows: Sequence[Bar]) -> str:
    """A dot with its interval for each row, the label above it; an axis from zero unless the values are close."""
    if not rows:
        return ""
    high, low = max(each[3] for each in rows), min(each[2] for each in rows)
    x = svg.linear(title, low if low > 0.5 * high else 0.0, high, tick)
    height = svg.TOP + svg.BOTTOM + ROW * len(rows)
    frame = svg.Frame(x, svg.Axis("", 0.0, float(len(rows)), ()), height)
    pieces = [frame.grid()]
    for place, (label, value, least, most) in enumerate(rows):
        y = len(rows) - place - 0.72
        top = frame.at(x.low, len(rows) - place - 0.2)[1]
        pieces.append(frame.path([(least, y), (most, y)], "l1") + frame.dots([(value, y)], "p1"))
        pieces.append(svg.text(svg.LEFT, top, f"{label}: {number(value)}", "", "m"))
    said = "; ".join(f"{label} {number(value)} ({number(a)} to {number(b)})" for label, value, a, b in rows)
    return svg.picture(title, f"Medians with 95 % intervals: {said}.", "".join(pieces), height)


def standalone(picture: str) -> str:
    """A drawing as a file of its own, with its colours."""
    opened = picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return opened.replace("<title>", f"<style>{STYLE}</style><title>", 1) + "\n"


def _plain(found: Comparison, context: Mapping[str, str]) -> dict[str, Any]:
    ways = [
        {
            "label": way.label,
            "runs": {str(number + 1): run.path.name for number, run in way.runs.items()},
            "figures": {key: asdict(each) for key, each in found.figures.get(way.label, {}).items()},
            "scores": [asdict(score) for score in way.scores],
            "agreement": way.agreement,
            "backend": dict(way.described),
            "faults": way.faults,
        }
        for way in ordered(found)
    ]
    told = [asdict(each) | {"verdict": each.verdict} for each in (*found.to_baseline.values(), *found.ranked)]
    refused = list(found.refused)
    return {"context": dict(context), "main": found.main.key, "ways": ways, "differences": told, "refused": refused}
