"""LoadGen's arithmetic against brute force, against its own logs and against a run of ours."""

from __future__ import annotations

import re
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen_harness import metrics
from loadgen_harness.launch import launch
from loadgen_harness.samples import DTYPE
from tests.fakes import tiny

TENTHS = st.sampled_from([Fraction(1, 2), Fraction(7, 10), Fraction(4, 5), Fraction(9, 10)])
LATENCIES = st.lists(st.integers(0, 10**12), min_size=1, max_size=60)


def exact_odds(queries: int, over: int, fraction: Fraction) -> Fraction:
    """P(at most `over` of `queries` are late)."""
    late = 1 - fraction
    return sum((comb(queries, k) * late**k * fraction ** (queries - k) for k in range(over + 1)), Fraction(0))


def brute_minimum(over: int, fraction: Fraction) -> int:
    queries = over + 1
    while exact_odds(queries, over, fraction) >= Fraction(1, 100):
        queries += 1
    return queries


@settings(max_examples=100, deadline=None)
@given(queries=st.integers(1, 80), over=st.integers(0, 20), fraction=TENTHS)
def test_odds_are_the_binomial_distribution(queries: int, over: int, fraction: Fraction) -> None:
    over = min(over, queries)
    exact = float(exact_odds(queries, over, fraction))
    assert metrics._odds(queries, over, float(fraction)) == pytest.approx(exact, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(over=st.integers(0, 5), fraction=TENTHS)
def test_minimum_is_the_smallest_that_passes(over: int, fraction: Fraction) -> None:
    assert metrics.early_stopping_minimum(over, float(fraction)) == brute_minimum(over, fraction)


@pytest.mark.parametrize(
    ("fraction", "minima"), [(0.9, (44, 64, 81, 97)), (0.97, (152, 219, 277, 332)), (0.99, (459, 662, 838, 1001))]
)
def test_known_minima(fraction: float, minima: tuple[int, ...]) -> None:
    assert tuple(metrics.early_stopping_minimum(over, fraction) for over in range(4)) == minima


@settings(max_examples=60, deadline=None)
@given(queries=st.integers(1, 3000), fraction=st.sampled_from([0.9, 0.97, 0.99]))
def test_allowance_inverts_minimum(queries: int, fraction: float) -> None:
    allowed = metrics.early_stopping_allowance(queries, fraction)
    if allowed is None:
        assert queries < metrics.early_stopping_minimum(0, fraction)
    else:
        assert metrics.early_stopping_minimum(allowed, fraction) <= queries
        assert queries < metrics.early_stopping_minimum(allowed + 1, fraction)


def test_allowance_of_a_long_run() -> None:
    """No overflow with 100,000 queries at p99: a little under the 1,000 that are late on average."""
    allowed = metrics.early_stopping_allowance(100_000, 0.99)
    assert allowed is not None
    assert 900 < allowed < 1000


@settings(max_examples=100, deadline=None)
@given(values=LATENCIES, fraction=st.floats(0, 1))
def test_percentile_is_an_element_of_the_sorted(values: list[int], fraction: float) -> None:
    rank = min(int(len(values) * fraction), len(values) - 1)
    assert metrics.percentile(np.array(values), fraction) == sorted(values)[rank]


def test_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no latencies"):
        metrics.percentile(np.array([]), 0.9)


@pytest.mark.parametrize(("queries", "late"), [(63, None), (64, 1), (80, 1), (81, 2), (97, 3)])
def test_estimate_leaves_out_the_allowed(queries: int, late: int | None) -> None:
    latencies = np.arange(queries)[::-1]
    wanted = None if late is None else queries - late
    assert metrics.early_stopping_estimate(latencies, 0.9) == wanted


def test_estimate_discards_what_loadgen_discarded(shared: Path) -> None:
    """LoadGen says how many queries it discarded: one less than the allowance, whose smallest it takes."""
    said = re.compile(r"queries \((\d+)\)\. .{0,9}Would discard (\d+) highest.*?stopping (\d+)\.\d+th")
    seen = {}
    for path in sorted((shared / "golden-v6.1").rglob("mlperf_log_detail.txt")):
        for queries, discards, percent in said.findall(path.read_text(encoding="utf-8")):
            seen[int(queries), int(percent) / 100] = int(discards)
    assert {(29_630, 0.9): 2841, (5984, 0.99): 41}.items() <= seen.items()
    for (queries, fraction_), discards in seen.items():
        assert metrics.early_stopping_allowance(queries, fraction_) == discards + 1


@pytest.mark.usefixtures("plugin")
def test_estimate_of_our_own_run(tmp_path: Path) -> None:
    """LoadGen takes its times a little outside of ours: 2 ms a query make that small."""
    run = launch(tiny(tmp_path / "run", options={"latency_us": "2000"}, overrides={"min_query_count": 100}))
    assert run.samples is not None
    own = metrics.early_stopping_estimate(run.samples["done"] - run.samples["issued"], 0.9)
    assert own == pytest.approx(run.log["early_stopping_latency_ss"], rel=0.2)


def rows(*columns: tuple[int, ...]) -> np.ndarray:
    """Samples of (issued, dequeued, started, first token, done, tokens), then computed and scheduled where given."""
    table = np.zeros(len(columns), DTYPE)
    names = ("issued", "dequeued", "started", "first_token", "done", "tokens", "computed", "scheduled")
    for name, values in zip(names, zip(*columns, strict=True), strict=False):
        table[name] = values
    return table


def test_anatomy_adds_up() -> None:
    parts = metrics.anatomy(rows((5, 10, 30, 0, 100, 0, 90, 0), (50, 70, 70, 0, 110, 0, 106, 44)))
    assert parts.schedule_ns == (3, 6)  # unknown for the first
    assert parts.queueing_ns == (12.5, 20)
    assert parts.batching_ns == (10, 20)
    assert parts.compute_ns == (48, 60)
    assert parts.completion_ns == (7, 10)
    assert parts.total_ns == (80.5, 95)
    spans = (parts.schedule_ns, parts.queueing_ns, parts.batching_ns, parts.compute_ns, parts.completion_ns)
    assert parts.total_ns[0] == sum(mean for mean, _ in spans)


def test_token_times() -> None:
    """Rows without tokens, or with a single one, have no time per token after the first."""
    found = metrics.token_times(rows((10, 0, 0, 40, 100, 4), (0, 0, 0, 5, 5, 1), (0, 0, 0, 0, 9, 0)))
    assert found.ttft_ns.tolist() == [30]
    assert found.tpot_ns.tolist() == [20]
    assert found.tokens.tolist() == [4]


def test_the_first_token_counts_from_the_schedule() -> None:
    """What LoadGen issues late is the system's delay, of the first token as of the whole answer."""
    found = metrics.token_times(rows((10, 0, 0, 40, 100, 4, 100, 3), (10, 0, 0, 40, 100, 4, 100, 0)))
    assert found.ttft_ns.tolist() == [37, 30]
