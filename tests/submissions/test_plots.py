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


def test_nothing_to_draw_gives_no_drawing() -> None:
    nothing = np.empty(0)
    assert plots.distribution(nothing) == plots.timeline(nothing, nothing) == plots.throughput(nothing) == ""
    assert plots.power([]) == plots.anatomy([]) == ""


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
