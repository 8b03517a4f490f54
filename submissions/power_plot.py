"""The drawing of a meter's watts: a line for a measurement; for an estimate the range it lies in, and no middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from power.figures import ends
from submissions import svg
from submissions.numbers import number, tick
from submissions.plots import FINE, Grain, envelope


@dataclass(frozen=True)
class Known:
    """What a meter's energy says of its mean watts; of an `estimated` one nothing but the ends of its interval is told.

    `ends` are shares of the readings, 0.6 and 1.4 where they err by 40 %; they hold for the mean too.
    """

    mean_w: float | None = None
    estimated: bool = False
    ends: tuple[float, float] = (1.0, 1.0)


MEASURED = Known()


def power(curve: Sequence[tuple[float, float]], known: Known = MEASURED, *, grain: Grain = FINE) -> str:
    """Watts against seconds since the start; "" for fewer than two readings."""
    if len(curve) < 2:
        return ""
    seconds, watts = (np.array(column, dtype=float) for column in zip(*curve, strict=True))
    frame = svg.Frame(
        svg.exact("time since start (s)", min(0.0, float(seconds.min())), float(seconds.max()), tick),
        svg.linear("power (W)", 0.0, float(watts.max()) * known.ends[1], tick),
        digits=grain.digits,
        gap=grain.gap,
    )
    drawn = _range if known.estimated else _line
    body, said = drawn(frame, (seconds, watts), known, grain)
    return svg.picture("Power", said, frame.grid() + body)


def _range(frame: svg.Frame, curve: tuple[np.ndarray, np.ndarray], known: Known, grain: Grain) -> tuple[str, str]:
    """A band between the ends of each reading: no line that could be taken for a figure."""
    seconds, watts = curve
    lows = highs = watts
    if len(seconds) > grain.dots:
        seconds, lows, _, highs = envelope(seconds, watts, grain.columns)
    lows, highs = lows * known.ends[0], highs * known.ends[1]
    edge = [*zip(seconds, highs, strict=True), *zip(seconds[::-1], lows[::-1], strict=True)]
    low, high = known.ends
    mean = "" if known.mean_w is None else f" On average {ends(known.mean_w * low, known.mean_w * high)} W."
    return frame.path(edge, "e2"), f"Estimated, not measured: the power lies somewhere in the band.{mean}"


def _line(frame: svg.Frame, curve: tuple[np.ndarray, np.ndarray], known: Known, grain: Grain) -> tuple[str, str]:
    """What a meter read, and its mean: that of its energy, where there is one."""
    seconds, watts = curve
    mean = known.mean_w
    if mean is None:
        mean = float(np.sum((watts[1:] + watts[:-1]) / 2 * np.diff(seconds)) / ((seconds[-1] - seconds[0]) or 1.0))
    if len(seconds) > grain.dots:
        middle, lows, medians, highs = envelope(seconds, watts, grain.columns)
        body = frame.bars(zip(middle, lows, highs, strict=True), "b2")
        body += frame.path(zip(middle, medians, strict=True), "l2")
    else:
        body = frame.path(zip(seconds, watts, strict=True), "l2")
    said = f"mean {number(mean, 3)} W"
    body += frame.path([(frame.x.low, mean), (frame.x.high, mean)], "lim")
    body += svg.text(svg.WIDTH - svg.RIGHT, svg.NAME_LINE, said, "end", "m")
    return body, f"{said.capitalize()}, peak {number(float(watts.max()), 3)} W."
