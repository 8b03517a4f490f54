"""One picture of a measurement: panels of bars with 95 % intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.perf.ratios import Row
from tests.perf.report import figure

PANELS = (  # (part, its cases; none: all of them in one panel), two a line, the busiest last
    ("offline", "batch 4096"),
    ("offline", "batch 65536"),
    ("latency", "SingleStream p90"),
    ("latency", "MultiStream p90"),
    ("ceiling", "p99 at most 10 ms"),
    ("memory", "growth beyond LoadGen's and samples.npy"),
    ("busy", ""),
    ("models", ""),
    ("runtimes", ""),
    *(("client", f"{flight} in flight: requests/s") for flight in (1, 64, 1024)),
    *(("generation", f"{flight} in flight: {name}") for flight in (1, 4, 16) for name in ("TTFT", "TPOT", "tokens/s")),
    ("reader", "messages and sample sets"),
    ("reader", "an error a line"),
    ("power", "Server p99 at 1,000 queries/s"),
    ("power", "Offline"),
)
RATIOS = {"models": "Offline with models", "runtimes": "Offline in every runtime"}
COLOURS = {"C++": "#9aa5b1", "Python binding": "#d98e04", "bridge": "#2463a8"}
BAR_INCHES, FRAME_INCHES, WIDTH_INCHES = 0.24, 0.9, 7.5
WIDE = 20.0  # a spread past which an axis is logarithmic


@dataclass(frozen=True)
class Bar:
    """One figure with its interval."""

    label: str
    value: float
    low: float
    high: float
    colour: str


@dataclass(frozen=True)
class Panel:
    """Bars on one axis."""

    title: str
    bars: tuple[Bar, ...]


def panels(rows: Sequence[Row]) -> list[Panel]:
    """What of the rows is shown."""
    found = []
    for part, case in PANELS:
        own = [row for row in rows if row.part == part and case in ("", row.case)]
        if part in RATIOS:
            own = [row for row in own if row.yardstick]
            found.append(Panel(f"{RATIOS[part]}: LoadGen / bare loop", tuple(_ratio(row) for row in own)))
        elif own:
            bars = tuple(
                _bar(row, row.variant if case else f"{row.variant}: {row.case.removeprefix('p99 with ')}")
                for row in own
            )
            found.append(Panel(f"{part}: {case or 'p99 of Server at 1,000 queries/s'} [{own[0].unit}]", bars))
    return [panel for panel in found if panel.bars]


def _bar(row: Row, label: str) -> Bar:
    return Bar(label, row.median, row.low, row.high, _colour(row.variant))


def _ratio(row: Row) -> Bar:
    return Bar(f"{row.case}: {row.variant}", row.ratio, row.ratio_low, row.ratio_high, _colour(row.variant))


def _colour(variant: str) -> str:
    return next((colour for name, colour in COLOURS.items() if variant.startswith(name)), "#555555")


def draw(path: Path, rows: Sequence[Row], caption: str) -> None:
    """Write the picture, under a temporary name first; ModuleNotFoundError where matplotlib is not installed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = panels(rows)
    lines = [shown[begin : begin + 2] for begin in range(0, len(shown), 2)]
    heights = [FRAME_INCHES + BAR_INCHES * max(len(panel.bars) for panel in line) for line in lines]
    size = (2 * WIDTH_INCHES, sum(heights) + 0.5)
    picture, grid = pyplot.subplots(len(lines), 2, figsize=size, squeeze=False, height_ratios=heights)
    for line, axes_of_line in zip(lines, grid, strict=True):
        for axes, panel in zip(axes_of_line, line, strict=False):
            _fill(axes, panel)
        for axes in axes_of_line[len(line) :]:
            axes.set_visible(False)
    picture.suptitle(caption, fontsize=9)
    picture.tight_layout(rect=(0, 0, 1, 1 - 0.4 / size[1]))
    partial = path.with_name(f"{path.name}.partial")
    picture.savefig(partial, dpi=110, format="png")
    pyplot.close(picture)
    partial.replace(path)


def _fill(axes: Any, panel: Panel) -> None:
    values = [bar.value for bar in panel.bars]
    below = [max(bar.value - bar.low, 0.0) for bar in panel.bars]
    above = [max(bar.high - bar.value, 0.0) for bar in panel.bars]
    colours = [bar.colour for bar in panel.bars]
    drawn = axes.barh(range(len(values)), values, xerr=(below, above), color=colours, ecolor="#333333", capsize=2)
    axes.bar_label(drawn, labels=[f" {figure(value)}" for value in values], fontsize=7, padding=3)
    axes.set_yticks(range(len(values)), [bar.label for bar in panel.bars])
    if wide(values):
        axes.set_xscale("log")
    axes.margins(x=0.25)
    axes.invert_yaxis()
    axes.set_title(panel.title, fontsize=9)
    axes.tick_params(labelsize=7)


def wide(values: Iterable[float]) -> bool:
    """Whether the largest is so many times the smallest that a plain axis would hide it."""
    chosen = list(values)
    return min(chosen) > 0 and max(chosen) > WIDE * min(chosen)
