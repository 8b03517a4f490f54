"""The statistics of a matrix: intervals, the exact sign-flip test, the false discovery rate, and the files written."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen_harness.run import Run
from loadgen_harness.types import Score
from submissions import comparison, comparison_report
from submissions.comparison import Comparison, Way, benjamini_hochberg, compare, sign_flip_p
from tests.audit import folders
from tests.power import measured

VALUES = st.lists(st.integers(-50, 50), min_size=1, max_size=7)


def run(folder: Path, rate: float) -> Run:
    """A valid Offline run of this rate."""
    folder.mkdir(parents=True)
    values = folders.performance("Offline") | {"result_samples_per_second": rate}
    return folders.own(folders.write(folder, values), scenario="Offline", benchmark="toy")


def way(tmp_path: Path, label: str, rates: list[float], **more: object) -> Way:
    runs = {number: run(tmp_path / label / str(number), rate) for number, rate in enumerate(rates)}
    return Way(label, runs, **more)  # type: ignore[arg-type]


@given(VALUES)
def test_sign_flip_is_the_share_of_sign_patterns(values: list[int]) -> None:
    signs = itertools.product((1, -1), repeat=len(values))
    sums = [abs(sum(sign * value for sign, value in zip(each, values, strict=True))) for each in signs]
    expected = sum(each >= abs(sum(values)) for each in sums) / len(sums)
    assert sign_flip_p(np.array(values, float)) == pytest.approx(expected)


def test_sign_flip_of_one_sided_data_is_the_smallest_possible() -> None:
    assert sign_flip_p(np.full(10, 0.1)) == comparison.smallest_p(10) == 2 / 1024
    assert sign_flip_p(np.full(20, 0.1)) < 0.001
    assert sign_flip_p(np.array([])) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_benjamini_hochberg_keeps_the_order_and_never_lowers(p_values: list[float]) -> None:
    adjusted = benjamini_hochberg(p_values)
    assert all(a >= p - 1e-12 and a <= 1 for a, p in zip(adjusted, p_values, strict=True))
    order = np.argsort(p_values)
    assert all(adjusted[a] <= adjusted[b] + 1e-12 for a, b in itertools.pairwise(order))


def test_benjamini_hochberg_against_a_worked_example() -> None:
    # p x m / rank, then the running minimum from the largest: 0.04 x 4 / 3 = 0.053 becomes 0.05 x 4 / 4 = 0.05
    assert benjamini_hochberg([0.01, 0.04, 0.02, 0.05]) == pytest.approx([0.04, 0.05, 0.04, 0.05])


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    """Three ways in ten rounds on a machine that drifts: b is as fast as a, c is twice as fast; d never ran."""
    drift = [100 * (1 + 0.05 * math.sin(n)) for n in range(10)]
    noise = [0.99, 1.01, 1.02, 0.98, 1.005, 0.995, 1.01, 0.99, 1.0, 1.001]
    score = Score("accuracy", 80.0, 72.0, 86.0, 136, "Wilson")
    ways = [
        way(tmp_path, "a fp32", drift, scores=(score,), agreement="136 of 136"),
        way(tmp_path, "b fp32", [d * n for d, n in zip(drift, noise, strict=True)]),
        way(tmp_path, "c int8", [2 * d * n for d, n in zip(drift, noise, strict=True)]),
        way(tmp_path, "d", [], faults=("it | broke",)),
    ]
    return compare(ways, "a fp32")


def test_what_is_real_and_what_is_noise(found: Comparison) -> None:
    assert found.main.key == "rate"
    assert {label: each.verdict for label, each in found.to_baseline.items()} == {"b fp32": "noise", "c int8": "real"}
    double = found.to_baseline["c int8"]
    assert double.low <= double.ratio <= double.high and double.ratio == pytest.approx(2, rel=0.02)
    assert [each.way for each in found.ranked] == ["c int8", found.ranked[1].way]
    assert [each.verdict for each in found.ranked] == ["real", "noise"]
    assert {each.ratio >= 1 or each.high >= 1 for each in found.ranked} == {True}


def test_few_rounds_are_said_to_be_few(tmp_path: Path) -> None:
    ways = [way(tmp_path, "a", [1.0] * 4), way(tmp_path, "b", [2.0] * 4)]
    assert compare(ways, "a").to_baseline["b"].verdict == "too few rounds"


def test_rounds_that_only_one_side_has_do_not_count(tmp_path: Path) -> None:
    a, b = way(tmp_path, "a", [1.0] * 8), way(tmp_path, "b", [2.0] * 8)
    b = Way("b", {number: each for number, each in b.runs.items() if number != 3})
    assert compare([a, b], "a").to_baseline["b"].n == 7


def test_nothing_valid_at_all() -> None:
    empty = compare([Way("a", {}, faults=("broke",)), Way("b", {})], "a")
    assert empty.to_baseline == {} and empty.ranked == ()
    assert comparison_report.row(empty, empty.ways[0])[3] == "no valid run"


def test_files(found: Comparison, tmp_path: Path) -> None:
    page = comparison_report.write(found, {"title": "toy <matrix>", "machine": "m"}, tmp_path)
    text = (tmp_path / "matrix.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1 and len(table) == 2 + 4
    assert table[2].startswith("| c int8 |") and "| real |" in table[2]
    assert "it \\| broke" in text
    assert "toy &lt;matrix&gt;" in page.read_text()
    assert ElementTree.parse(tmp_path / "matrix.svg").getroot().tag.endswith("svg")
    record = json.loads((tmp_path / "matrix.json").read_text())
    assert record["ways"][0]["label"] == "c int8"
    assert record["ways"][0]["figures"]["rate"]["n"] == 10
    assert not list(tmp_path.glob("*.partial"))


def metered(tmp_path: Path, meters: list[dict[str, float]]) -> Comparison:
    """Ways a, b, … of three rounds each, with the meters that saw so many watts."""
    ways = [
        Way(label, {number: measured.run(tmp_path / label / str(number), each) for number in range(3)})
        for label, each in zip("abc", meters, strict=False)
    ]
    return compare(ways, "a")


def test_joules_of_the_same_parts_are_compared(tmp_path: Path) -> None:
    both = metered(tmp_path, [{"nvml": 40.0, "rapl": 10.0}, {"rapl": 10.0, "nvml": 30.0}])
    assert both.refused == ()
    assert both.figures["b"]["energy"].median == pytest.approx(0.8, rel=1e-3)


@pytest.mark.parametrize(
    ("meters", "sentence"),
    [
        ([{"nvml": 40.0}, {"ipmi": 90.0}], "a of gpu/0 (nvml) and b of wall (ipmi)"),
        ([{"nvml": 40.0, "rapl": 9.0}, {}, {"nvml": 30.0}], "a of gpu/0, cpu/0 (nvml + rapl) and c of gpu/0 (nvml)"),
    ],
)
def test_joules_of_other_parts_are_not(tmp_path: Path, meters: list[dict[str, float]], sentence: str) -> None:
    apart = metered(tmp_path, meters)
    assert [sentence in line for line in apart.refused] == [True]
    assert not any("energy" in table for table in apart.figures.values())
    comparison_report.write(apart, {"title": "t"}, tmp_path)
    for name in ("matrix.md", "matrix.html", "matrix.json"):
        text = (tmp_path / name).read_text()
        assert "Energy is not compared" in text and "J/sample" not in text


def test_a_round_with_another_meter_spoils_its_own_way_too(tmp_path: Path) -> None:
    rounds = {0: measured.run(tmp_path / "0", {"nvml": 40.0}), 1: measured.run(tmp_path / "1", {"ipmi": 40.0})}
    assert "a of gpu/0 (nvml) and a of wall (ipmi)" in compare([Way("a", rounds)], "a").refused[0]


def test_an_estimate_is_compared_with_nothing(tmp_path: Path) -> None:
    mixed = metered(tmp_path, [{"nvml": 40.0}, {"estimate": 30.0}])
    assert mixed.refused == () and "energy" not in mixed.figures["b"]


def test_bars_without_rows_are_no_picture() -> None:
    assert comparison_report.bars("x", []) == ""
