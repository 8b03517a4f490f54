"""The report's drawings as inline SVG: distribution, timeline, throughput, anatomy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loadgen_harness.metrics import percentile
from submissions import steadiness as steady
from submissions import svg
from submissions.numbers import THIN, duration, number, tick, time_unit

MARKED = (0.5, 0.9, 0.99, 0.999)
BAR_HEIGHT = 30
OUTLIERS = 40  # of them are marked, the slowest
Part = tuple[str, float]  # name and nanoseconds
Noun = tuple[str, str]  # what a latency is one of, singular and plural
SAMPLES: Noun = ("sample", "samples")
Corners = dict[str, list[tuple[svg.Point, svg.Point]]]  # by style: (left, top) and (width, height) of boxes
KINDS = {  # the style of a part, the same in every drawing
    "queueing": "f1",
    "batch wait": "f2",
    "compute": "f3",
    "to first token": "f3",
    "decode": "f4",
    "completion": "f5",
    "schedule delay": "f6",
}


@dataclass(frozen=True)
class Grain:
    """How fine drawings are: past `dots` points, `columns` show minimum, median and maximum."""

    dots: int = 400
    columns: int = 180
    curve: int = 140
    slices: int = 48
    digits: int = 1  # of a pixel
    gap: float = svg.GAP


FINE = Grain()
COARSE = Grain(dots=50, columns=28, curve=28, slices=24, digits=0, gap=0.28)  # for pages of hundreds of results


def distribution(
    latencies_ns: np.ndarray, limit_ns: float = 0.0, *, name: str = "latency", noun: Noun = SAMPLES, grain: Grain = FINE
) -> str:
    """Share of samples (on a scale that opens the tail) against latency, percentiles marked; "" for no samples."""
    if len(latencies_ns) == 0:
        return ""
    ordered = np.sort(latencies_ns).astype(float)
    count = len(ordered)
    scale, unit = time_unit(float(np.median(ordered)))
    high = max(ordered[-1], limit_ns if limit_ns < 4 * ordered[-1] else 0.0)
    x = svg.fitting(f"{name} ({unit})", max(ordered[0], 1.0) / scale, high / scale, tick)
    frame = svg.Frame(x, _tail_axis(count, noun[1]), digits=grain.digits, gap=grain.gap)
    shares = 1 - 10 ** -np.linspace(0, _tail(1 - 1 / (count + 1)), min(grain.curve, count))
    ranks = np.minimum((shares * count).astype(int), count - 1)
    curve = frame.path(zip(ordered[ranks] / scale, shares, strict=True), "l1")
    marks, said = _marks(frame, ordered, scale)
    body = frame.grid() + _limit(frame, limit_ns, scale) + curve + marks
    return svg.picture(f"Distribution of the {name}", f"{number(count)} {noun[1]}. {said}", body)


def timeline(
    seconds: np.ndarray, latencies_ns: np.ndarray, limit_ns: float = 0.0, *, noun: Noun = SAMPLES, grain: Grain = FINE
) -> str:
    """Latency against time since the start; extremes survive, however many samples there are, outliers are marked."""
    if len(seconds) == 0:
        return ""
    scale, unit = time_unit(float(np.median(latencies_ns)))
    values = latencies_ns / scale
    top = max(values.max(), limit_ns / scale if limit_ns < 4 * latencies_ns.max() else 0.0)
    low = float(values.min()) if values.min() > 0 and top / values.min() > 10**svg.DECADES_FOR_LOG else 0.0
    y = svg.fitting(f"latency ({unit})", low, float(top), tick)
    frame = svg.Frame(
        svg.exact("time since start (s)", 0.0, float(seconds.max()), tick), y, digits=grain.digits, gap=grain.gap
    )
    body, said = _over_time(frame, (seconds, values), grain, noun[0])
    warm, warmed = _warm_up(frame, seconds, latencies_ns)
    far, marked = _outliers(frame, seconds, values)
    body = warm + frame.grid() + _limit_across(frame, limit_ns, scale) + body + far
    worst = duration(float(latencies_ns.max()))
    said = f"{said}; {number(len(seconds))} {noun[1]}, slowest {worst}.{marked}{warmed}"
    return svg.picture("Latency over time", said, body)


def queue(seconds: np.ndarray, depths: np.ndarray, *, grain: Grain = FINE) -> str:
    """Samples that wait for a worker against time, as each one arrives; "" for none."""
    if len(seconds) == 0:
        return ""
    highest = float(depths.max())
    x = svg.exact("time since start (s)", 0.0, float(seconds.max()), tick)
    frame = svg.Frame(
        x, svg.linear("samples waiting", 0.0, max(highest, 1.0), tick), digits=grain.digits, gap=grain.gap
    )
    body, said = _over_time(frame, (seconds, depths.astype(float)), grain)
    mean = number(float(np.mean(depths)), 3)
    said = f"{said}. At most {number(highest)} samples wait, {mean} on average, as one arrives."
    return svg.picture("Samples waiting over time", said, frame.grid() + body)


def throughput(seconds: np.ndarray, *, grain: Grain = FINE) -> str:
    """Samples finished per second over the run, for scenarios whose samples are all issued at once."""
    if len(seconds) < 2 or seconds.max() <= 0:
        return ""
    bins = max(4, min(grain.slices, len(seconds) // 8))
    counts, edges = np.histogram(seconds, bins=bins, range=(0.0, float(seconds.max())))
    rates = counts / np.diff(edges)
    x = svg.exact("time since start (s)", 0.0, float(seconds.max()), tick)
    frame = svg.Frame(x, svg.linear("samples/s", 0.0, float(rates.max()), tick), digits=grain.digits, gap=grain.gap)
    steps = [point for n, rate in enumerate(rates) for point in ((edges[n], rate), (edges[n + 1], rate))]
    said = f"Between {number(float(rates.min()), 3)} and {number(float(rates.max()), 3)} samples/s in {bins} slices."
    return svg.picture("Throughput over time", said, frame.grid() + frame.path(steps, "l1"))


def anatomy(rows: Sequence[tuple[str, Sequence[Part]]]) -> str:
    """One stacked bar for each row of named parts in ns, every bar from zero; the legend names the parts."""
    totals = [sum(value for _, value in parts) for _, parts in rows]
    if not rows or max(totals) <= 0:
        return ""
    scale, unit = time_unit(max(totals))
    height = svg.TOP + svg.BOTTOM + len(rows) * (BAR_HEIGHT + 22) + 4
    x = svg.exact(f"latency ({unit})", 0.0, max(totals) / scale, tick)
    frame = svg.Frame(x, svg.Axis("", 0.0, 1.0, ()), height)
    tops = [float(svg.TOP + 22 + n * (BAR_HEIGHT + 22)) for n in range(len(rows))]
    corners, labels = _legend([name for name, _ in rows[0][1]])
    for row, bar_top in zip(rows, tops, strict=True):
        labels.append(_bar(row, bar_top, max(totals), corners))
    said = ". ".join(f"{name}: " + ", ".join(f"{p} {duration(v)}" for p, v in parts if v) for name, parts in rows)
    boxes = [svg.boxes(found, kind) for kind, found in corners.items()]
    return svg.picture("Latency anatomy", f"{said}.", frame.grid() + "".join(boxes + labels), height)


def batches(seconds: np.ndarray, sizes: np.ndarray, *, grain: Grain = FINE) -> str:
    """Samples in a batch against time, from one entry per sample: range and mean of the batches in time slices."""
    if len(seconds) == 0:
        return ""
    highest = float(seconds.max())
    slots = min(grain.columns, len(seconds))
    place = np.minimum((seconds * slots / (highest or 1.0)).astype(int), slots - 1)
    samples, formed = np.bincount(place, minlength=slots), np.bincount(place, 1 / sizes, minlength=slots)
    low, high = np.full(slots, np.inf), np.zeros(slots)
    np.minimum.at(low, place, sizes)
    np.maximum.at(high, place, sizes)
    used = samples > 0
    middle = ((np.arange(slots) + 0.5) * highest / slots)[used]
    means = samples[used] / formed[used]
    x = svg.exact("time since start (s)", 0.0, highest, tick)
    frame = svg.Frame(
        x, svg.linear("samples in a batch", 0.0, float(high.max()), tick), digits=grain.digits, gap=grain.gap
    )
    body = frame.bars(zip(middle, low[used], high[used], strict=True), "b1")
    body += frame.path(zip(middle, means, strict=True), "l1")
    mean = number(len(sizes) / float(np.sum(1 / sizes)), 3)
    said = f"Between {low.min():g} and {high.max():g} samples a batch, {mean} on average."
    return svg.picture("Batch sizes over time", said, frame.grid() + body)


def envelope(x: np.ndarray, y: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(middle, minimum, median, maximum) of `y` in equal slices of `x`, empty slices left out."""
    width = (float(x.max()) - float(x.min())) / columns or 1.0
    slot = np.minimum(((x - x.min()) / width).astype(int), columns - 1)
    order = np.argsort(slot, kind="stable")
    used, starts = np.unique(slot[order], return_index=True)
    groups = np.split(y[order], starts[1:])
    middle = x.min() + (used + 0.5) * width
    low, median, high = (np.array([pick(group) for group in groups]) for pick in (np.min, np.median, np.max))
    return middle, low, median, high


def _over_time(
    frame: svg.Frame, points: tuple[np.ndarray, np.ndarray], grain: Grain, one: str = "sample"
) -> tuple[str, str]:
    """Values against time as dots or, where there are many, as columns; and what one sees in a few words."""
    seconds, values = points
    if len(seconds) <= grain.dots:
        return frame.dots(zip(seconds, values, strict=True), "d1"), f"One dot for each {one}"
    middle, lows, medians, highs = envelope(seconds, values, grain.columns)
    bars = frame.bars(zip(middle, lows, highs, strict=True), "b1")
    line = frame.path(zip(middle, medians, strict=True), "l1")
    return bars + line, "Bars: minimum to maximum; line: median of short time slices"


def _warm_up(frame: svg.Frame, seconds: np.ndarray, latencies_ns: np.ndarray) -> tuple[str, str]:
    """A wash over the first samples where they differ from the others, and what it means."""
    order = np.argsort(seconds, kind="stable")
    found = steady.steadiness(latencies_ns[order])
    if not found.warm_up:
        return "", ""
    until = float(seconds[order][len(order) // steady.BLOCKS])
    left, top = frame.at(frame.x.low, frame.y.high)
    right, bottom = frame.at(until, frame.y.low)
    return svg.rectangle(left, top, (max(right - left, 3.0), bottom - top), "warm"), " The wash marks the warm-up."


def _outliers(frame: svg.Frame, seconds: np.ndarray, values: np.ndarray) -> tuple[str, str]:
    """Crosses on the slowest of the outliers, and how many outliers there are."""
    far = np.flatnonzero(steady.outliers(values))
    if not len(far):
        return "", ""
    slowest = far[np.argsort(values[far])][-OUTLIERS:]
    shown = "" if len(slowest) == len(far) else f", the slowest {len(slowest)} of them marked"
    points = zip(seconds[slowest], values[slowest], strict=True)
    said = f" Crosses: {number(len(far))} outlier{'' if len(far) == 1 else 's'}{shown}."
    return frame.crosses(points, "x1"), said


def _tail(share: float) -> float:
    return -math.log10(1 - min(share, 1 - 1e-12))


def _tail_axis(count: int, things: str) -> svg.Axis:
    """0, 50, 90, 99, … %, as far as `count` of them can tell."""
    shares = [0.0, 0.5, *(1 - 10.0**-nines for nines in range(1, 8))]
    highest = 1 - 1 / (count + 1)
    ticks = tuple((share, f"{share * 100:.7g}{THIN}%") for share in shares if share <= highest)
    return svg.Axis(f"share of {things}", 0.0, highest, ticks, _tail)


def _marks(frame: svg.Frame, ordered: np.ndarray, scale: float) -> tuple[str, str]:
    """Dots at the percentiles that `ordered` can support, each with its value."""
    shares = [share for share in MARKED if len(ordered) * (1 - share) >= 1]
    values = [float(percentile(ordered, share)) for share in shares]
    points = [(value / scale, share) for value, share in zip(values, shares, strict=True)]
    names = [f"p{share * 100:g} {duration(value)}" for value, share in zip(values, shares, strict=True)]
    labels = []
    for point, name in zip(points, names, strict=True):
        x, y = frame.at(*point)
        late, bottom = x > svg.WIDTH * 0.6, svg.HEIGHT - svg.BOTTOM
        place = (x - 8, y - 4) if late else (x + 8, y + 12 if y + 14 < bottom else y + 2)
        labels.append(svg.text(*place, name, "end" if late else "", "m"))
    return frame.dots(points, "p1") + "".join(labels), ", ".join(names) + "."


def _limit(frame: svg.Frame, limit_ns: float, scale: float) -> str:
    """An upright line at the latency limit, where it lies in the plot."""
    value = limit_ns / scale
    if not frame.x.low < value <= frame.x.high:
        return ""
    x, bottom = frame.at(value, frame.y.low)
    line = frame.path([(value, frame.y.low), (value, frame.y.high)], "lim")
    side, anchor = (-5, "end") if x > svg.WIDTH * 0.75 else (5, "")
    return line + svg.text(x + side, bottom - 7, f"limit {duration(limit_ns)}", anchor, "m")


def _limit_across(frame: svg.Frame, limit_ns: float, scale: float) -> str:
    """A level line at the latency limit."""
    value = limit_ns / scale
    if not frame.y.low < value <= frame.y.high:
        return ""
    line = frame.path([(frame.x.low, value), (frame.x.high, value)], "lim")
    return line + svg.text(svg.WIDTH - svg.RIGHT, svg.NAME_LINE, f"limit {duration(limit_ns)}", "end", "m")


def _bar(row: tuple[str, Sequence[Part]], top: float, peak: float, corners: Corners) -> str:
    """Adds a stacked bar to `corners`; its name above and values where they fit. `peak` ns fill the whole width."""
    name, parts = row
    inside, left = [], float(svg.LEFT)
    for part, value in parts:
        width = (svg.WIDTH - svg.RIGHT - svg.LEFT) * value / peak
        if value > 0:
            corners.setdefault(_kind(part), []).append(((left, top), (max(width, 0.6), BAR_HEIGHT)))
        if width > 58:
            inside.append(svg.text(left + width / 2, top + BAR_HEIGHT / 2 + 4, duration(value), "middle", "o"))
        left += width
    total = duration(sum(value for _, value in parts))
    return svg.text(svg.LEFT, top - 5, f"{name}: {total}") + "".join(inside)


def _kind(part: str) -> str:
    return KINDS.get(part, "f1")


def _legend(names: Sequence[str]) -> tuple[Corners, list[str]]:
    """Boxes of the colours and the names beside them, on a second line where one is too short."""
    corners: Corners = {}
    labels, left, top = [], float(svg.LEFT), 4.0
    for name in names:
        width = 28 + 6.6 * len(name)
        if left + width > svg.WIDTH:
            left, top = float(svg.LEFT), top + 15
        corners.setdefault(_kind(name), []).append(((left, top), (10, 10)))
        labels.append(svg.text(left + 15, top + 9, name))
        left += width
    return corners, labels
