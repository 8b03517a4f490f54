"""Repeated runs: which may be taken together, and their means."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from power.repeated import QUANTITIES, Quantity, gather
from tests.power import measured

BY_FIELD = {quantity.field: quantity for quantity in QUANTITIES}
SPEC = {"benchmark": "digits", "scenario": "Server", "backend": "onnxruntime"}


def quantity(field: str) -> Quantity:
    return BY_FIELD[field]


def test_the_figures_of_one_run_by_hand(tmp_path: Path) -> None:
    """50 W for 2 s are 100 J for 100 samples."""
    found = gather([measured.run(tmp_path / "a", {"nvml": 50.0})])
    wanted = {
        "joules": 100.0,
        "mean_w": 50.0,
        "idle_w": 50.0,
        "per_query_j": 1.0,
        "per_sample_j": 1.0,
        "samples_per_j": 1.0,
        "wh_per_1000_queries": 1000 / 3600,
        "wh_per_1000_samples": 1000 / 3600,
        "metric": 50.0,
    }
    for field, value in wanted.items():
        mean = found.mean(quantity(field))
        assert mean is not None
        assert mean.amount.value == pytest.approx(value, rel=1e-3)
        assert mean.amount.low < value < mean.amount.high
    assert found.mean(quantity("tokens_per_j")) is None
    hours = found.hours_per("samples_done")
    assert hours is not None
    assert hours.amount.value == pytest.approx(2 / 3600 / 100)


def test_the_metric_of_single_stream_has_the_official_unit(tmp_path: Path) -> None:
    found = gather([measured.run(tmp_path / "a", {"nvml": 50.0}, effective_scenario="SingleStream")])
    mean = found.mean(quantity("metric"))
    assert mean is not None
    assert (found.first.metric_unit, mean.amount.value) == ("mJ/query", pytest.approx(1000.0))


def test_the_mean_of_three_runs(tmp_path: Path) -> None:
    runs = [measured.run(tmp_path / str(watts), {"nvml": watts}, spec=SPEC) for watts in (40.0, 50.0, 60.0)]
    mean = gather(runs).mean(quantity("joules"))
    assert mean is not None and mean.runs is not None
    assert mean.amount.value == pytest.approx(100, rel=1e-3)
    assert mean.runs.high == pytest.approx(100 + 4.3027 * 20 / 3**0.5, rel=1e-3)  # deviation 20, t of 2 degrees
    assert mean.amount.high > mean.runs.high


@pytest.mark.parametrize(
    ("changes", "log", "key"),
    [
        ({"benchmark": "smollm2"}, {}, "benchmark"),
        ({"scenario": "Offline"}, {}, "scenario"),
        ({"precision": "int8"}, {}, "precision"),
        ({}, {"effective_scenario": "Offline"}, "LoadGen's scenario"),
    ],
)
def test_mixed_runs_are_refused(changes: dict[str, str], log: dict[str, str], key: str, tmp_path: Path) -> None:
    one = measured.run(tmp_path / "one", {"nvml": 50.0}, spec=SPEC)
    two = measured.run(tmp_path / "two", {"nvml": 50.0}, spec={**SPEC, **changes}, **log)
    with pytest.raises(BadInput, match=f"two is no repetition of .*one: {key} is"):
        gather([one, two])


def test_mixed_meters_are_refused(tmp_path: Path) -> None:
    one = measured.run(tmp_path / "one", {"nvml": 50.0}, spec=SPEC)
    two = measured.run(tmp_path / "two", {"estimate": 50.0}, spec=SPEC)
    with pytest.raises(BadInput, match="meter is 'estimate' instead of 'nvml'"):
        gather([one, two])


def test_a_run_without_energy_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no run was given"):
        gather([])
    with pytest.raises(BadInput, match="there is no log"):
        gather([measured.Run(tmp_path)])
    with pytest.raises(BadInput, match="no meter ran beside it; run again with --meters"):
        gather([measured.run(tmp_path / "bare", {})])
    with pytest.raises(BadInput, match="accuracy run is not timed"):
        gather([measured.run(tmp_path / "accuracy", {"nvml": 5.0}, effective_test_mode="AccuracyOnly")])
    with pytest.raises(BadInput, match="no power_begin"):
        gather([measured.run(tmp_path / "open", {"nvml": 5.0}, power_end=None)])
    with pytest.raises(BadInput, match=r"power/nvml.csv, .*found .*wanted"):
        gather([measured.run(tmp_path / "negative", {"nvml": -5.0})])


def test_a_query_that_holds_all_samples_has_no_figure(tmp_path: Path) -> None:
    found = gather([measured.run(tmp_path / "a", {"nvml": 50.0}, effective_scenario="Offline")])
    assert found.mean(quantity("per_query_j")) is None and found.mean(quantity("wh_per_1000_queries")) is None
    mean = found.mean(quantity("wh_per_1000_samples"))
    assert mean is not None and mean.amount.value == pytest.approx(1000 / 3600, rel=1e-3)


def test_the_same_meter_over_other_parts_is_refused(tmp_path: Path) -> None:
    """One board and two: no mean over the two."""
    one, two = (measured.run(tmp_path / name, {"nvml": 50.0}, spec=SPEC) for name in ("one", "two"))
    about = two.path / "power" / "meters.json"
    about.write_text(about.read_text().replace('["gpu/0"]', '["gpu/0", "gpu/1"]'))
    with pytest.raises(BadInput, match=r"parts is \('gpu/0', 'gpu/1'\) instead of \('gpu/0',\)"):
        gather([one, two])
