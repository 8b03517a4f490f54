"""A small SVG writer: axes, ticks, lines. (Matplotlib would break the download budget of the demo.)

Colours are CSS classes, so that one drawing reads in light and dark; the page's style sheet defines them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 440, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 28, 40
NAME_LINE = 12  # where the name of the upright axis stands
DECADES_FOR_LOG = 1.3
GAP = 0.085  # of an axis, the least between labels
ANCHORS = {"": "", "middle": "c", "end": "e"}  # the page's classes for them, which are shorter
Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A scale from values to the unit interval with its ticks: pairs of value and label."""

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    transform: Callable[[float], float] = float

    def __call__(self, value: float) -> float:
        """Where a value lies between 0 and 1; values outside are held at the ends."""
        low, high = self.transform(self.low), self.transform(self.high)
        place = (self.transform(min(max(value, self.low), self.high)) - low) / (high - low or 1.0)
        return min(max(place, 0.0), 1.0)


def linear(label: str, low: float, high: float, text: Callable[[float], str]) -> Axis:
    """A linear axis whose ends are round numbers."""
    step = _step((high - low) or abs(high) or 1.0)
    first, last = math.floor(low / step + 1e-9), max(math.ceil(high / step - 1e-9), math.floor(low / step) + 1)
    ticks = tuple((n * step, text(n * step)) for n in range(first, last + 1))
    return Axis(label, first * step, last * step, ticks)


def exact(label: str, low: float, high: float, text: Callable[[float], str]) -> Axis:
    """A linear axis that ends where the data end."""
    axis = linear(label, low, high, text)
    ticks = tuple(pair for pair in axis.ticks if low <= pair[0] <= high)
    return Axis(label, low, high if high > low else low + 1.0, ticks)


def logarithmic(label: str, low: float, high: float, text: Callable[[float], str]) -> Axis:
    """A logarithmic axis with ticks at 1, 2 and 5 times powers of ten; `low` must be positive."""
    bottom, top = low / 1.1, high * 1.1
    powers = range(math.floor(math.log10(bottom)), math.ceil(math.log10(top)) + 1)
    steps = (1, 2, 5) if math.log10(top / bottom) < 2.2 else (1,) if math.log10(top / bottom) > 4 else (1, 3)
    values = [step * 10.0**power for power in powers for step in steps]
    return Axis(label, bottom, top, tuple((v, text(v)) for v in values if bottom <= v <= top), math.log10)


def fitting(label: str, low: float, high: float, text: Callable[[float], str]) -> Axis:
    """Logarithmic where the values are spread widely, linear otherwise."""
    wide = low > 0 and math.log10(high / low) > DECADES_FOR_LOG
    return logarithmic(label, low, high, text) if wide else linear(label, low, high, text)


@dataclass(frozen=True)
class Frame:
    """The drawing area of a plot with its two axes."""

    x: Axis
    y: Axis
    height: int = HEIGHT
    digits: int = 1  # of a pixel
    gap: float = GAP

    def at(self, x: float, y: float) -> Point:
        """The pixel of a pair of values."""
        right, bottom = WIDTH - RIGHT, self.height - BOTTOM
        return LEFT + self.x(x) * (right - LEFT), bottom - self.y(y) * (bottom - TOP)

    def path(self, points: Iterable[Point], kind: str) -> str:
        """A line through values."""
        pen = Pen(self.digits)
        for n, point in enumerate(points):
            pen.to("l" if n else "m", self.at(*point))
        return pen.path(kind)

    def dots(self, points: Iterable[Point], kind: str) -> str:
        """One dot for each pair of values."""
        pen = Pen(self.digits)
        for point in points:
            pen.to("m", self.at(*point)).add("h0")
        return pen.path(kind)

    def crosses(self, points: Iterable[Point], kind: str) -> str:
        """One small cross for each pair of values."""
        pen = Pen(self.digits)
        for x, y in (self.at(*point) for point in points):
            pen.to("m", (x - 3, y - 3)).to("l", (x + 3, y + 3)).to("m", (x + 3, y - 3)).to("l", (x - 3, y + 3))
        return pen.path(kind)

    def bars(self, spans: Iterable[tuple[float, float, float]], kind: str) -> str:
        """One upright stroke for each (x, low, high)."""
        pen = Pen(self.digits)
        for x, low, high in spans:
            (left, bottom), (_, top) = self.at(x, low), self.at(x, high)
            pen.to("m", (left, bottom)).to("v", (left, min(top, bottom - 1)))
        return pen.path(kind)

    def grid(self) -> str:
        """Grid lines, tick labels and the names of both axes."""
        bottom, right = self.height - BOTTOM, WIDTH - RIGHT
        lines, beside, below = Pen(self.digits), [], []
        for value, label in _spaced(self.y, self.gap) if self.gap > GAP else self.y.ticks:
            y = self.at(self.x.low, value)[1]
            lines.to("m", (LEFT, y)).to("h", (right, y))
            beside.append(f'<text y="{px(y)}">{escape(label)}</text>')
        for value, label in _spaced(self.x, self.gap):
            x = self.at(value, self.y.low)[0]
            lines.to("m", (x, bottom)).to("v", (x, bottom + 4))
            below.append(f'<text x="{px(x)}">{escape(label)}</text>')
        labels = _together(beside, "end", (LEFT - 6, 4)) + _together(below, "middle", (0, bottom + 16))
        names = text((LEFT + right) / 2, self.height - 6, self.x.label, "middle", "n")
        return lines.path("g") + labels + names + text(2, 11, self.y.label, "", "n")


class Pen:
    """Path data of relative steps, which are short; every step ends at a rounded place, so no error adds up."""

    def __init__(self, digits: int = 1) -> None:
        self._unit, self._at, self._last = 10**digits, (0, 0), ""
        self._parts: list[str] = []

    def to(self, command: str, point: Point) -> Pen:
        """Move ("m"), draw ("l"), or draw along one axis ("h", "v") to a point."""
        place = (round(point[0] * self._unit), round(point[1] * self._unit))
        place = {"h": (place[0], self._at[1]), "v": (self._at[0], place[1])}.get(command, place)
        steps = [(after - before) / self._unit for before, after in zip(self._at, place, strict=True)]
        self._at = place
        figures = [_short(step) for step in {"h": steps[:1], "v": steps[1:]}.get(command, steps)]
        again = command == self._last == "l"
        for n, figure in enumerate(figures):
            first = command if n == 0 and not again else ""
            self._parts.append(first or ("" if figure.startswith("-") else " "))
            self._parts.append(figure)
        self._last = command
        return self

    def add(self, data: str) -> None:
        """Path data that leave the pen where it is."""
        self._parts.append(data)
        self._last = ""

    def path(self, kind: str) -> str:
        """The element; nothing where nothing was drawn."""
        return f'<path class="{kind}" d="{"".join(self._parts)}"/>' if self._parts else ""


def boxes(corners: Iterable[tuple[Point, Point]], kind: str) -> str:
    """Filled boxes of one colour, each of (left, top) and (width, height), as one element."""
    pen = Pen()
    for (x, y), (width, height) in corners:
        pen.to("m", (x, y)).to("h", (x + width, y)).to("v", (x + width, y + height)).to("h", (x, y + height))
    return pen.path(kind)


def _short(step: float) -> str:
    """A number without the zero before its point."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{step:g}")


def _together(labels: Sequence[str], anchor: str, offset: Point) -> str:
    """Labels with what they share said once."""
    place = " ".join(map(px, offset))
    return f'<g class="{ANCHORS[anchor]}" transform="translate({place})">{"".join(labels)}</g>' if labels else ""


def picture(title: str, description: str, body: str, height: int = HEIGHT) -> str:
    """A whole inline SVG that screen readers can announce."""
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{body}</svg>"
    )


def captioned(drawing: str) -> str:
    """A picture for a figure that has a heading: its description becomes a caption that everybody can read."""
    head, _, rest = drawing.partition(' role="img"><title>')
    said, _, body = rest.partition("<desc>")[2].partition("</desc>")
    return f'{head} aria-hidden="true">{body}<figcaption>{said}</figcaption>'


def text(x: float, y: float, content: str, anchor: str = "", kind: str = "") -> str:
    """A piece of text; `anchor` is "", "middle" or "end"."""
    kinds = " ".join(filter(None, (kind, ANCHORS[anchor])))
    attributes = f' class="{kinds}"' if kinds else ""
    return f'<text x="{px(x)}" y="{px(y)}"{attributes}>{escape(content)}</text>' if content else ""


def rectangle(x: float, y: float, size: Point, kind: str) -> str:
    """A filled box of (width, height)."""
    return f'<rect class="{kind}" x="{px(x)}" y="{px(y)}" width="{px(size[0])}" height="{px(size[1])}"/>'


def px(value: float) -> str:
    """A coordinate with a tenth of a pixel, as short as it gets."""
    return f"{value:.1f}".removesuffix(".0")


def _spaced(axis: Axis, gap: float) -> list[tuple[float, str]]:
    """Ticks far enough from each other for their labels."""
    kept: list[tuple[float, str]] = []
    for value, label in axis.ticks:
        if not kept or axis(value) - axis(kept[-1][0]) >= gap:
            kept.append((value, label))
    return kept


def _step(span: float, count: int = 5) -> float:
    """A round step that cuts a span into about `count` parts."""
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    return power * next(step for step in (1, 2, 2.5, 5, 10) if step * power >= raw * 0.999)
