"""The drawing of an energy label: one SVG that reads in light, dark, print and on a phone, its text being text."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from html import escape
from typing import Literal

WIDTH, EDGE = 480, 28
INNER = WIDTH - 2 * EDGE
LETTER = 0.6  # of the font size: how wide a letter is at most on average, in the widest font of the list
STARS = 5
FONTS = "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans','Liberation Sans',Arial,sans-serif"
NAMES = ("page", "ink", "soft", "rule", "mark", "warn")
LIGHT = dict(zip(NAMES, ("#ffffff", "#14181d", "#4b5560", "#b9c1ca", "#1a7044", "#9a3412"), strict=True))
DARK = dict(zip(NAMES, ("#14181d", "#eef1f5", "#b1bac5", "#47515d", "#6fcf97", "#fdba74"), strict=True))
PAINT = (
    ".page{{fill:{page};stroke:{rule}}}.rule{{stroke:{rule}}}.ink{{fill:{ink}}}.soft{{fill:{soft}}}"
    ".mark{{fill:{mark}}}.star{{fill:{mark};stroke:{mark}}}.empty{{fill:none;stroke:{mark}}}"
    ".warn{{fill:{warn}}}.on{{fill:{page}}}"
)
Theme = Literal["", "light", "dark"]


@dataclass(frozen=True)
class Label:
    """What the label shows; `main` is number, unit, interval; `stars` is 0 without a set to be rated in."""

    model: str
    task: str
    system: str
    day: str
    main: tuple[str, str, str]
    rows: tuple[tuple[str, str], ...]
    stars: int
    rating: str
    notes: tuple[str, ...]  # meter and scope, system, grid
    word: str  # "estimated", "" for a measurement
    footer: str


class _Sheet:
    """Pieces of the drawing from top to bottom; `y` is how far it got."""

    def __init__(self) -> None:
        self.y = 0.0
        self.pieces: list[str] = []

    def down(self, pixels: float) -> None:
        """Leave room."""
        self.y += pixels

    def text(self, content: str, size: float, *, kind: str = "ink", bold: bool = False) -> None:
        """Lines of text, broken where they would pass the edge."""
        for line in wrapped(content, size, INNER):
            self.y += size * 1.3
            self.put(line, (EDGE, self.y - size * 0.3), size=size, kind=kind, bold=bold)

    def put(
        self, content: str, at: tuple[float, float], *, size: float, kind: str = "ink", bold: bool = False,
        end: bool = False,
    ) -> None:  # fmt: skip
        """One line of text at a place, ending there with `end`."""
        more = (' font-weight="700"' if bold else "") + (' text-anchor="end"' if end else "")
        self.pieces.append(
            f'<text class="{kind}" x="{at[0]:g}" y="{at[1]:.1f}" font-size="{size:g}"{more}>{escape(content)}</text>'
        )

    def rule(self) -> None:
        """A line across, with room around it."""
        self.down(12)
        self.pieces.append(f'<path class="rule" d="M{EDGE} {self.y:.1f}H{WIDTH - EDGE}"/>')
        self.down(10)


def draw(label: Label, theme: Theme = "") -> str:
    """The whole SVG; without a theme it follows the reader's own, and prints light."""
    sheet = _Sheet()
    _head(sheet, label)
    if label.word:
        _warning(sheet, label.word)
    _main(sheet, label)
    if label.stars:
        _stars(sheet, label)
    _rows(sheet, label)
    sheet.rule()
    for note in label.notes:
        sheet.text(note, 13, kind="soft")
    sheet.down(8)
    sheet.text(label.footer[0].upper() + label.footer[1:], 13, bold=True)
    height = math.ceil(sheet.y + EDGE - 6)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        f' role="img" aria-labelledby="title desc" lang="en" style="max-width:100%;height:auto">'
        f'<title id="title">{escape(f"Energy label of {label.model}")}</title>'
        f'<desc id="desc">{escape(describe(label))}</desc><style>{style(theme)}</style>'
        f'<rect class="page" x="0.75" y="0.75" width="{WIDTH - 1.5}" height="{height - 1.5}" rx="14"'
        f' stroke-width="1.5"/>'
        f"{''.join(sheet.pieces)}</svg>\n"
    )


def style(theme: Theme) -> str:
    """Colours of one theme, or of the reader's."""
    base = f"text{{font-family:{FONTS};font-variant-numeric:tabular-nums}}"
    if theme:
        return base + PAINT.format(**(DARK if theme == "dark" else LIGHT))
    dark = f"@media screen and (prefers-color-scheme:dark){{{PAINT.format(**DARK)}}}"
    return base + PAINT.format(**LIGHT) + dark


def describe(label: Label) -> str:
    """The label in words, for those who cannot see it."""
    number, unit, interval = label.main
    rows = "; ".join(f"{name}: {value}" for name, value in label.rows)
    word = f"{label.word}, not measured: " if label.word else ""
    rated = f" {label.rating}." if label.rating else ""
    return (
        f"{word}{label.model}, {label.task}, on {label.system}: {number} {unit}, {interval}.{rated} {rows}."
        f" {'. '.join(label.notes)}. {label.day}. {label.footer}."
    )


def wrapped(content: str, size: float, width: float) -> list[str]:
    """Lines that fit the width, as far as that can be told without the reader's font."""
    return textwrap.wrap(content, max(8, int(width / (LETTER * size))), break_on_hyphens=False) or [""]


def _head(sheet: _Sheet, label: Label) -> None:
    sheet.down(20)
    sheet.text("ENERGY LABEL", 13, kind="mark", bold=True)
    sheet.put(label.day, (WIDTH - EDGE, sheet.y - 4), size=13, kind="soft", end=True)
    sheet.down(4)
    sheet.text(label.model, 24 if len(label.model) <= 28 else 18, bold=True)
    sheet.text(label.task, 15, kind="soft")


def _warning(sheet: _Sheet, word: str) -> None:
    """The word that this is no measurement, larger than anything but the figure, white on colour."""
    lines = [word.upper(), *wrapped("No meter measured this run.", 13, INNER - 24)]
    sheet.down(12)
    height = 18 + 26 + 17 * (len(lines) - 1)
    sheet.pieces.append(f'<rect class="warn" x="{EDGE}" y="{sheet.y:.1f}" width="{INNER}" height="{height}" rx="6"/>')
    size = 22 if len(word) < 20 else 15
    sheet.put(lines[0], (EDGE + 12, sheet.y + 31), size=size, kind="on", bold=True)
    for number, line in enumerate(lines[1:]):
        sheet.put(line, (EDGE + 12, sheet.y + 51 + 17 * number), size=13, kind="on")
    sheet.down(height)


def _main(sheet: _Sheet, label: Label) -> None:
    number, unit, interval = label.main
    sheet.rule()
    size = 46 if len(number) < 9 else 32
    sheet.down(size * 0.95)
    sheet.put(number, (EDGE, sheet.y), size=size, bold=True)
    if len(number) * size * LETTER + len(unit) * 20 * LETTER + 10 < INNER:
        sheet.put(unit, (EDGE + len(number) * size * LETTER + 10, sheet.y), size=20)
    else:
        sheet.down(6)
        sheet.text(unit, 20)
    sheet.down(6)
    sheet.text(interval, 14, kind="soft")


def _stars(sheet: _Sheet, label: Label) -> None:
    sheet.down(8)
    for number in range(STARS):
        kind = "star" if number < label.stars else "empty"
        middle = (EDGE + 15 + 36 * number, sheet.y + 16)
        sheet.pieces.append(
            f'<path class="{kind}" stroke-width="1.6" stroke-linejoin="round" d="{_star(middle, 15)}"/>'
        )
    sheet.down(34)
    sheet.text(label.rating, 12, kind="soft")


def _star(middle: tuple[float, float], radius: float) -> str:
    points = []
    for corner in range(10):
        angle = math.pi * (corner / 5 - 0.5)
        reach = radius if corner % 2 == 0 else radius * 0.42
        points.append(f"{middle[0] + reach * math.cos(angle):.1f} {middle[1] + reach * math.sin(angle):.1f}")
    return f"M{'L'.join(points)}Z"


def _rows(sheet: _Sheet, label: Label) -> None:
    """Name on the left and figure on the right; below each other where they would touch."""
    sheet.rule()
    for name, value in label.rows:
        sheet.down(22)
        sheet.put(name, (EDGE, sheet.y - 5), size=14, kind="soft")
        if (len(name) + len(value) + 2) * 14 * LETTER > INNER:
            sheet.down(20)
        sheet.put(value, (WIDTH - EDGE, sheet.y - 5), size=14, bold=True, end=True)
