"""The drawings are well-formed, small, and keep what matters."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submissions import plots, power_plot, svg
from submissions.numbers import tick

RANDOM = np.random.default_rng(1)
STEPS = re.compile(r"([mlhv])([^mlhv]*)")
NUMBERS = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")


def lines(data: str) -> list[list[svg.Point]]:
    """The lines of path data in pixels: a browser's reading of relative moves and steps."""
    x = y = 0.0
    found: list[list[svg.Point]] = []
    for command, text in STEPS.findall(data):
        figures = iter(float(figure) for figure in NUMBERS.findall(text))
        for figure in figures:
            x += figure if command in "mlh" else 0.0
            y += figure if command == "v" else next(figures) if command in "ml" else 0.0
            if command == "m":
                found.append([])
            found[-1].append((x, y))
    return found


def boxes(root: ElementTree.Element, height: float) -> list[tuple[str, svg.Point, float]]:
    """Style, corner and width of the filled boxes of a height, in their order from the left."""
    found = []
    for path in root.iter("path"):
        for line in lines(path.get("d") or ""):
            (left, top), (right, _), (_, bottom) = line[:3] if len(line) == 4 else [(0.0, 0.0)] * 3
            if bottom - top == pytest.approx(height, abs=0.2):
                found.append((path.get("class") or "", (left, top), right - left))
    return sorted(found, key=lambda box: (box[1][1], box[1][0]))


def parsed(drawing: str) -> ElementTree.Element:
    """The drawing as XML, with a name and a description, and nothing outside its frame."""
    root = ElementTree.fromstring(drawing)
    assert root.findtext("title") and root.findtext("desc")
    for path in root.iter("path"):
        places = [place for line in lines(path.get("d") or "") for place in line]
        assert places
        assert all(-1 <= x <= svg.WIDTH + 1 and -1 <= y <= svg.HEIGHT + 60 for x, y in places)
    return root


def curve(drawing: str, kind: str) -> list[svg.Point]:
    """All points of a style in pixels."""
    [path] = [each for each in parsed(drawing).iter("path") if each.get("class") == kind]
    return [place for line in lines(path.get("d") or "") for place in line]


def scale(drawing: str, place: int) -> tuple[float, float, float, float]:
    """Of the upright (0) or the level (1) axis: pixel and value of its first and its last label."""
    labels = list(list(parsed(drawing).iter("g"))[place])
    ends = [labels[0], labels[-1]]
    pixels = [float(each.get("x" if place else "y") or 0) for each in ends]
    values = [float((each.text or "").removesuffix("%").replace("\u202f", "")) for each in ends]
    return pixels[0], values[0], pixels[1], values[1]


def read(drawing: str, place: int, pixel: float) -> float:
    """The value that a reader finds at a pixel of a linear axis."""
    first, low, last, high = scale(drawing, place)
    return low + (pixel - first) / (last - first) * (high - low)


@pytest.mark.parametrize("count", [1, 2, 64, 5_000])
@pytest.mark.parametrize("spread", [0.0, 0.2, 3.0])
def test_every_drawing_is_well_formed(count: int, spread: float) -> None:
    latencies = 1e6 * RANDOM.lognormal(0, spread, count)
    seconds = np.cumsum(latencies) / 1e9
    for limit in (0.0, 2e6):
        parsed(plots.distribution(latencies, limit))
        parsed(plots.timeline(seconds, latencies, limit))
    if count > 1:
        parsed(plots.throughput(seconds))
        parsed(power_plot.power(list(zip(seconds, latencies / 1e5, strict=True))))


def test_anatomy_names_its_parts_and_fills_its_width() -> None:
    root = parsed(plots.anatomy([("mean", [("queueing", 1e6), ("decode", 3e6)]), ("slow", [("a", 0.0), ("b", 8e6)])]))
    assert "queueing 1" in (root.findtext("desc") or "")
    widths = [width for _, _, width in boxes(root, 30)]
    assert max(widths) == pytest.approx(svg.WIDTH - svg.LEFT - svg.RIGHT, abs=0.1)
    assert widths[1] == pytest.approx(3 * widths[0], rel=0.02)


def test_a_legend_stays_inside() -> None:
    parts = [(name, 1e6) for name in plots.KINDS]
    root = parsed(plots.anatomy([("mean", parts)]))
    keys = boxes(root, 10)
    assert len(keys) == len(parts) == 7
    assert max(x + 15 + 6.6 * len(name) for (_, (x, _), _), (name, _) in zip(keys, parts, strict=True)) <= svg.WIDTH
    assert len({y for _, (_, y), _ in keys}) == 2
    assert [kind for kind, _, _ in keys] == [kind for kind, _, _ in boxes(root, 30)] == list(plots.KINDS.values())


@pytest.mark.parametrize("grain", [plots.FINE, plots.COARSE])
def test_percentile_marks_stand_at_their_values(grain: plots.Grain) -> None:
    """1, 2, … 1000 us: p50 is element 500, which is 501 us."""
    drawing = plots.distribution(np.arange(1, 1001) * 1000.0, grain=grain)
    marks = curve(drawing, "p1")[::2]  # a dot is a line of no length
    labels = [each.text or "" for each in parsed(drawing).iter("text") if (each.text or "").startswith("p")]
    assert [label.split()[0] for label in labels] == ["p50", "p90", "p99", "p99.9"]
    first = scale(drawing, 1)
    for (x, _), wanted in zip(marks, (501, 901, 991, 1000), strict=True):
        if first[1] > 0:  # a logarithmic axis
            low, high = np.log10(first[1]), np.log10(first[3])
            value = 10 ** (low + (x - first[0]) / (first[2] - first[0]) * (high - low))
        else:
            value = read(drawing, 1, x)
        assert value == pytest.approx(wanted, rel=0.05)
    heights = [y for _, y in marks]
    assert heights == sorted(heights, reverse=True)
    steps = np.diff([y for _, y in marks[1:]])  # 90, 99, 99.9 %: equally far apart
    assert steps[0] == pytest.approx(steps[1], abs=1.5)


def test_a_timeline_shows_each_sample_where_it_was() -> None:
    seconds, latencies = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1e6, 3e6, 2e6, 4e6])
    drawing = plots.timeline(seconds, latencies)
    seen = [(read(drawing, 1, x), read(drawing, 0, y)) for x, y in curve(drawing, "d1")]
    wanted = zip(seconds, latencies / (1e6 if "(ms)" in drawing else 1e3), strict=True)
    for (x, y), (second, latency) in zip(seen[::2], wanted, strict=True):
        assert (x, y) == (pytest.approx(second, abs=0.02), pytest.approx(latency, rel=0.02))


def test_throughput_steps_at_its_rates() -> None:
    """800 samples in the first second, 200 in the second one."""
    seconds = np.concatenate([np.linspace(0.001, 1.0, 800), np.linspace(1.005, 2.0, 200)])
    drawing = plots.throughput(seconds)
    rates = [read(drawing, 0, y) for _, y in curve(drawing, "l1")]
    assert rates[4] == pytest.approx(800, rel=0.1) and rates[-4] == pytest.approx(200, rel=0.2)


def test_a_limit_line_stands_at_the_limit() -> None:
    latencies = np.linspace(1e6, 9e6, 500)
    drawing = plots.timeline(np.linspace(0, 10, 500), latencies, 5e6)
    [line] = {round(read(drawing, 0, y), 1) for _, y in curve(drawing, "lim")}
    assert line == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("count", [1, 2, 64, 20_000])
def test_batch_sizes_are_few_points_and_keep_extremes(count: int) -> None:
    sizes = RANDOM.integers(1, 9, count)
    sizes[count // 2] = 64
    drawing = plots.batches(np.sort(RANDOM.random(count)), sizes)
    said = parsed(drawing).findtext("desc") or ""
    assert len(drawing) < 9_000
    assert "64 samples a batch" in said


def test_the_mean_batch_counts_batches() -> None:
    """One batch of 9 and one of 1: ten samples in two batches."""
    said = parsed(plots.batches(np.zeros(10), np.array([9] * 9 + [1]))).findtext("desc") or ""
    assert said.endswith("5 on average.")


@pytest.mark.parametrize("count", [50, 5000])
def test_an_estimate_is_a_band(count: int) -> None:
    """From 0.5 to 2 times 10 W, and no mean: the axis ends at 20, so the band reaches from a quarter to the top."""
    curve = [(n / count, 10.0) for n in range(count)]
    root = parsed(power_plot.power(curve, power_plot.Known(10.0, True, (0.5, 2.0))))
    (band,) = [line for path in root.iter("path") if path.get("class") == "e2" for line in lines(path.get("d") or "")]
    bottom, height = svg.HEIGHT - svg.BOTTOM, svg.HEIGHT - svg.BOTTOM - svg.TOP
    assert sorted({y for _, y in band}) == pytest.approx([svg.TOP, bottom - height / 4], abs=0.2)
    assert {path.get("class") for path in root.iter("path")} == {"g", "e2"}
    assert (root.findtext("desc") or "").endswith("On average 5.0–20.0 W.")


def test_nothing_to_draw_gives_no_drawing() -> None:
    nothing = np.empty(0)
    assert plots.distribution(nothing) == plots.timeline(nothing, nothing) == plots.throughput(nothing) == ""
    assert power_plot.power([]) == plots.anatomy([]) == plots.batches(nothing, nothing) == ""


def test_a_long_run_stays_small() -> None:
    latencies = 1e6 * RANDOM.lognormal(0, 1, 200_000)
    assert len(plots.timeline(np.cumsum(latencies) / 1e9, latencies)) < 12_000
    assert len(plots.distribution(latencies)) < 6_000


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.integers(1, 40))
def test_an_envelope_keeps_the_extremes(values: list[float], columns: int) -> None:
    y = np.array(values)
    middle, low, median, high = plots.envelope(np.arange(len(y), dtype=float), y, columns)
    assert len(middle) <= columns
    assert low.min() == y.min() and high.max() == y.max()
    assert (low <= median).all() and (median <= high).all()


@settings(max_examples=100)
@given(st.floats(1e-3, 1e6), st.floats(1.001, 1e5))
def test_axes_hold_their_values_and_have_ticks(low: float, ratio: float) -> None:
    for make in (svg.linear, svg.logarithmic, svg.fitting, svg.exact):
        axis = make("x", low, low * ratio, tick)
        assert 0 <= axis(low) <= axis(low * ratio) <= 1
        assert all(axis.low <= value * (1 + 1e-9) and value <= axis.high * (1 + 1e-9) for value, _ in axis.ticks)
        assert len(axis.ticks) <= 16
