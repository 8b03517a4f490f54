"""The drawings are well-formed, small, and keep what matters."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submissions import plots, svg
from submissions.numbers import tick

RANDOM = np.random.default_rng(1)
NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")


def parsed(drawing: str) -> ElementTree.Element:
    """The drawing as XML, with a name and a description, and nothing outside its frame."""
    root = ElementTree.fromstring(drawing)
    assert root.findtext("title") and root.findtext("desc")
    for path in root.iter("path"):
        figures = [float(figure) for figure in NUMBERS.findall(path.get("d") or "")]
        assert all(-1 <= figure <= svg.WIDTH + 1 for figure in figures)
    return root


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
        parsed(plots.power(list(zip(seconds, latencies / 1e5, strict=True))))


def test_anatomy_names_its_parts_and_fills_its_width() -> None:
    root = parsed(plots.anatomy([("mean", [("queueing", 1e6), ("decode", 3e6)]), ("slow", [("a", 0.0), ("b", 8e6)])]))
    assert "queueing 1" in (root.findtext("desc") or "")
    widths = [float(box.get("width") or 0) for box in root.iter("rect") if box.get("height") == "30"]
    assert max(widths) == pytest.approx(svg.WIDTH - svg.LEFT - svg.RIGHT, abs=0.1)


def test_a_legend_stays_inside() -> None:
    parts = [(name, 1e6) for name in plots.KINDS]
    root = parsed(plots.anatomy([("mean", parts)]))
    boxes = [box for box in root.iter("rect") if box.get("height") == "10"]
    assert len(boxes) == len(parts) == 7
    ends = [float(box.get("x") or 0) + 15 + 6.6 * len(name) for box, (name, _) in zip(boxes, parts, strict=True)]
    assert max(ends) <= svg.WIDTH
    assert len({box.get("y") for box in boxes}) == 2
    bars = [box.get("class") for box in root.iter("rect") if box.get("height") == "30"]
    assert bars == list(plots.KINDS.values())


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


def test_nothing_to_draw_gives_no_drawing() -> None:
    nothing = np.empty(0)
    assert plots.distribution(nothing) == plots.timeline(nothing, nothing) == plots.throughput(nothing) == ""
    assert plots.power([]) == plots.anatomy([]) == plots.batches(nothing, nothing) == ""


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
