"""A small SVG writer: axes, ticks, lines. (Matplotlib would break the download budget of the demo.)

Colours are CSS classes, so that one drawing reads in light and dark; the page's style sheet defines them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 440, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 28, 40
NAME_LINE = 12  # where the name of the upright axis stands
DECADES_FOR_LOG = 1.3
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

    def at(self, x: float, y: float) -> Point:
        """The pixel of a pair of values."""
        right, bottom = WIDTH - RIGHT, self.height - BOTTOM
        return LEFT + self.x(x) * (right - LEFT), bottom - self.y(y) * (bottom - TOP)

    def path(self, points: Iterable[Point], kind: str) -> str:
        """A line through values."""
        return f'<path class="{kind}" d="{_line([self.at(*point) for point in points])}"/>'

    def dots(self, points: Iterable[Point], kind: str) -> str:
        """One dot for each pair of values."""
        strokes = "".join(f"M{px(x)} {px(y)}h0" for x, y in (self.at(*point) for point in points))
        return f'<path class="{kind}" d="{strokes}"/>'

    def crosses(self, points: Iterable[Point], kind: str) -> str:
        """One small cross for each pair of values."""
        strokes = "".join(f"M{px(x - 3)} {px(y - 3)}l6 6m0-6l-6 6" for x, y in (self.at(*point) for point in points))
        return f'<path class="{kind}" d="{strokes}"/>'

    def bars(self, spans: Iterable[tuple[float, float, float]], kind: str) -> str:
        """One upright stroke for each (x, low, high)."""
        ends = ((self.at(x, low), self.at(x, high)) for x, low, high in spans)
        strokes = "".join(f"M{px(a[0])} {px(a[1])}V{px(min(b[1], a[1] - 1))}" for a, b in ends)
        return f'<path class="{kind}" d="{strokes}"/>'

    def grid(self) -> str:
        """Grid lines, tick labels and the names of both axes."""
        bottom, right = self.height - BOTTOM, WIDTH - RIGHT
        lines, labels = [], []
        for value, label in self.y.ticks:
            y = self.at(self.x.low, value)[1]
            lines.append(f"M{LEFT} {px(y)}H{right}")
            labels.append(text(LEFT - 6, y + 4, label, "end"))
        for value, label in _spaced(self.x):
            x = self.at(value, self.y.low)[0]
            lines.append(f"M{px(x)} {bottom}V{bottom + 4}")
            labels.append(text(x, bottom + 16, label, "middle"))
        names = text((LEFT + right) / 2, self.height - 6, self.x.label, "middle", "n") + text(
            2, 11, self.y.label, "", "n"
        )
        return f'<path class="g" d="{"".join(lines)}"/>{"".join(labels)}{names}'


def picture(title: str, description: str, body: str, height: int = HEIGHT) -> str:
    """A whole inline SVG that screen readers can announce."""
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{body}</svg>"
    )


def text(x: float, y: float, content: str, anchor: str = "", kind: str = "") -> str:
    """A piece of text; `anchor` is "", "middle" or "end"."""
    attributes = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{px(x)}" y="{px(y)}"{attributes}>{escape(content)}</text>'


def rectangle(x: float, y: float, size: Point, kind: str) -> str:
    """A filled box of (width, height)."""
    return f'<rect class="{kind}" x="{px(x)}" y="{px(y)}" width="{px(size[0])}" height="{px(size[1])}"/>'


def px(value: float) -> str:
    """A coordinate with a tenth of a pixel, as short as it gets."""
    return f"{value:.1f}".removesuffix(".0")


def _line(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{px(x)} {px(y)}" for x, y in points) if points else ""


def _spaced(axis: Axis, gap: float = 0.085) -> list[tuple[float, str]]:
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
