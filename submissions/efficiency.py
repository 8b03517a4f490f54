"""What a sweep of settings found, as a table, maxq.json and maxq.svg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from power.pareto import Figure, Point, Verdict, verdicts
from submissions import svg
from submissions.comparison_report import standalone
from submissions.numbers import NONE, number, tick

FORMAT = 1
NOTE = "not an official MLPerf power result"
COLUMNS = ("setting", "samples/s>", "J per sample>", "95 % interval>", "W>", "runs>", "front")
WORDS: Mapping[Verdict, str] = {"front": "yes", "unclear": "within noise", "dominated": ""}
HEIGHT = 300
STYLE = ".p2{stroke:#9aa4af;stroke-width:7}</style>"  # settings off the front, beside the comparison's own style


@dataclass(frozen=True)
class Row:
    """One setting: its knobs' values, figures over its counted runs, of `tried`; no figures where none counts."""

    label: str
    values: Mapping[str, str]
    tried: int
    speed: Figure | None = None  # samples/s
    cost: Figure | None = None  # joules per sample
    watts: Figure | None = None
    token_j: Figure | None = None
    rate: float | None = None  # queries/s offered, of Server
    faults: tuple[str, ...] = ()

    @property
    def point(self) -> Point | None:
        """Its place in the plane, where it has one."""
        return Point(self.label, self.speed, self.cost) if self.speed and self.cost else None


def judged(rows: Sequence[Row]) -> list[tuple[Row, Verdict | None]]:
    """Each row with its verdict, None for a row without figures."""
    found = [(row, row.point) for row in rows]
    known = dict(zip((row.label for row, point in found if point), verdicts([p for _, p in found if p]), strict=True))
    return [(row, known.get(row.label)) for row in rows]


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Table cells for COLUMNS."""
    return [_cells(row, verdict) for row, verdict in judged(rows)]


def _cells(row: Row, verdict: Verdict | None) -> tuple[str, ...]:
    if row.speed is None or row.cost is None or row.watts is None or verdict is None:
        return row.label, NONE, NONE, NONE, NONE, f"0 of {row.tried}", ""
    interval = f"{number(row.cost.low, 3)} to {number(row.cost.high, 3)}" if row.cost.n > 1 else NONE
    figures = number(row.speed.mean), number(row.cost.mean, 3), interval, number(row.watts.mean, 3)
    return row.label, *figures, f"{row.cost.n} of {row.tried}", WORDS[verdict]


def sentence(rows: Sequence[Row]) -> str:
    """The most frugal setting beside the fastest; "" where nothing was measured."""
    points = [point for row in rows if (point := row.point)]
    if not points:
        return ""
    frugal = min(points, key=lambda point: (point.cost.mean, -point.speed.mean))
    fastest = max(points, key=lambda point: (point.speed.mean, -point.cost.mean))
    if frugal is fastest:
        return f"{frugal.label} is both the fastest and the most frugal."
    saved = 1 - frugal.cost.mean / fastest.cost.mean
    lost = 1 - frugal.speed.mean / fastest.speed.mean
    joules = f"{saved:.1%} fewer joules per sample at {lost:.1%} less throughput"
    return f"The most frugal is {frugal.label}: {joules} than the fastest, {fastest.label}."


def plain(rows: Sequence[Row], context: Mapping[str, Any]) -> dict[str, Any]:
    """The content of maxq.json."""
    found = [{**asdict(row), "verdict": verdict} for row, verdict in judged(rows)]
    front = [row.label for row, verdict in judged(rows) if verdict == "front"]
    return {"format": FORMAT, "note": NOTE, **context, "front": front, "summary": sentence(rows), "settings": found}


def picture(rows: Sequence[Row], title: str) -> str:
    """Joules per sample against throughput, intervals as bars, the front as a line; "" without a point."""
    placed = [(point, verdict) for row, verdict in judged(rows) if (point := row.point) and verdict]
    if not placed:
        return ""
    points = [point for point, _ in placed]
    x = svg.linear("throughput (samples/s)", *_ends([p.speed for p in points]), tick)
    y = svg.linear("energy (J per sample)", *_ends([p.cost for p in points]), tick)
    frame = svg.Frame(x, y, HEIGHT)
    front = sorted((p.speed.mean, p.cost.mean) for p, verdict in placed if verdict == "front")
    others = [(p.speed.mean, p.cost.mean) for p, verdict in placed if verdict != "front"]
    body = [frame.grid(), frame.path(front, "l1") if len(front) > 1 else ""]
    body += [frame.path([(p.speed.mean, p.cost.low), (p.speed.mean, p.cost.high)], "lim") for p in points]
    body += [frame.path([(p.speed.low, p.cost.mean), (p.speed.high, p.cost.mean)], "lim") for p in points]
    body += [
        frame.dots(others, "p2") if others else "",
        frame.dots(front, "p1"),
        *(_label(frame, p, below=v == "front") for p, v in placed),
    ]
    said = "; ".join(f"{p.label}: {number(p.speed.mean)} samples/s, {number(p.cost.mean, 3)} J" for p in points)
    return standalone(svg.picture(title, f"{said}. {NOTE}.", "".join(body), HEIGHT)).replace("</style>", STYLE, 1)


def _ends(figures: Sequence[Figure]) -> tuple[float, float]:
    """From zero, unless the values are close to each other."""
    low, high = min(each.low for each in figures), max(each.high for each in figures)
    return (low if low > 0.5 * high else 0.0), high


def _label(frame: svg.Frame, point: Point, *, below: bool) -> str:
    """A front rises to the right: its labels stand below it."""
    x, y = frame.at(point.speed.mean, point.cost.mean)
    late = x > svg.WIDTH * 0.75
    return svg.text(x - 4 if late else x + 6, y + 17 if below else y - 6, point.label, "end" if late else "", "m")
