"""Energy of whole run folders, ours and published ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from loadgen_harness.run import Run
from loadgen_harness.samples import DTYPE
from power.energy import energies, figure, findings, summarize
from power.figures import readings
from power.log import Sample, write_spl
from tests.power.folders import BEGIN, METER, steady, write_log, write_power

END = BEGIN + 2.0
COUNTER = {**METER, "estimated": False, "uncertainty": 0.05, "counting": True}


def without_count(samples: list[Sample]) -> list[Sample]:
    return [sample._replace(joules=None) for sample in samples]


def keys(run: Run) -> list[str]:
    return [fault.key for fault in findings(run)]


def test_an_estimate_is_shown_as_one(tmp_path: Path) -> None:
    folder = write_power(write_log(tmp_path, end=END), without_count(steady(21.0)))
    energy = summarize(Run(folder))
    assert energy is not None
    assert energy.text() == "estimated: 21\u201363 J"
    assert energy.per_text() == "estimated: 0.21\u20130.63 J per sample"
    assert energy.idle_text().startswith("idle estimated 10\u201332 W over ")
    assert energy.joules == pytest.approx(42)
    assert energy.mean_w == pytest.approx(21)
    assert energy.per_sample_j == pytest.approx(0.42)
    assert energy.per_token_j is None
    assert energy.idle_w == pytest.approx(21)
    assert energy.metric == pytest.approx(21)
    assert energy.metric_unit == "W"
    assert 19 <= energy.samples <= 21


def test_only_loadgens_window_counts_and_idle_stands_apart(tmp_path: Path) -> None:
    samples = [s._replace(watts=100.0 if BEGIN <= s.utc_s <= END else 10.0) for s in without_count(steady())]
    samples = [s for s in samples if not (BEGIN - 0.05 < s.utc_s < BEGIN + 0.05)] + [Sample(10**9, BEGIN, 100.0)]
    energy = summarize(Run(write_power(write_log(tmp_path, end=END), samples)))
    assert energy is not None
    assert energy.joules == pytest.approx(200, rel=0.03)
    assert energy.idle_w == pytest.approx(10)


def test_a_counter_gives_the_joules_and_beats_an_estimate(tmp_path: Path) -> None:
    folder = write_power(write_log(tmp_path, end=END), without_count(steady(99.0)))
    counted = [s._replace(joules=(s.joules or 0) * 1.02) for s in steady(50.0)]
    energy = summarize(Run(write_power(folder, counted, "rapl", COUNTER)))
    assert energy is not None
    assert (energy.meter, energy.counter) == ("rapl", True)
    assert energy.joules == pytest.approx(102)
    assert energy.text() == "102 J (rapl, package, 96.9\u2013107.1 J)"
    assert [each.meter for each in energies(Run(folder))] == ["rapl", "estimate"]


def test_streams_have_millijoules_per_query(tmp_path: Path) -> None:
    more = {"effective_scenario": "MultiStream", "generated_samples_per_query": 8, "result_query_count": 50}
    energy = summarize(Run(write_power(write_log(tmp_path, end=END, **more), without_count(steady(30.0)))))
    assert energy is not None
    assert energy.metric == pytest.approx(30 * 2 * 1000 / 50)
    assert energy.metric_unit == "mJ/query"
    assert energy.per_sample_j == pytest.approx(60 / 400)


def test_tokens_come_from_the_record_or_from_loadgens_rate(tmp_path: Path) -> None:
    folder = write_power(write_log(tmp_path, end=END, result_tokens_per_second=300.0), without_count(steady(30.0)))
    by_rate = summarize(Run(folder))
    table = np.zeros(100, dtype=DTYPE)
    table["tokens"] = 5
    np.save(folder / "samples.npy", table)
    by_record = summarize(Run(folder))
    assert by_rate and by_record
    assert by_rate.per_token_j == pytest.approx(0.1)
    assert by_record.per_token_j == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("samples", "key"),
    [
        (steady(step=1.5), "samples"),
        ([s for s in steady() if not 0.5 < s.utc_s - BEGIN < 1.2], "utc_s"),
        (steady(start=0.2), "utc_s"),
        (steady(stop=1.9), "utc_s"),
        ([s._replace(watts=math.nan) if i == 20 else s for i, s in enumerate(steady())], "watts"),
        ([s._replace(watts=-1.0) if i == 20 else s for i, s in enumerate(steady())], "watts"),
        ([s._replace(joules=(s.joules or 0) * 1.3) for s in steady()], "joules"),
        ([s._replace(joules=0.0) if i == 20 else s for i, s in enumerate(steady())], "joules"),
        ([s._replace(joules=None) if i == 20 else s for i, s in enumerate(steady())], "joules"),
        ([s._replace(utc_s=s.utc_s + 0.3) if i > 20 else s for i, s in enumerate(steady())], "utc_s"),
        ([], "samples"),
    ],
)
def test_bad_samples_give_a_fault_and_never_a_number(tmp_path: Path, samples: list[Sample], key: str) -> None:
    run = Run(write_power(write_log(tmp_path, end=END), samples, "rapl", COUNTER))
    assert key in keys(run)
    assert summarize(run) is None


def test_a_slow_reading_may_lag_its_counter_but_no_more(tmp_path: Path) -> None:
    """A board whose watts are means over the last second: 10 W before, 100 W inside the window."""
    levels = [10.0 + 90.0 * min(1.0, max(0.0, s.utc_s - BEGIN)) for s in steady()]
    joules = [10.0 * (s.utc_s - BEGIN + 1) + 90.0 * max(0.0, s.utc_s - BEGIN) for s in steady()]
    samples = [s._replace(watts=w, joules=j) for s, w, j in zip(steady(), levels, joules, strict=True)]
    about = {**COUNTER, "scope": "board", "averaging_s": 1.0}
    energy = summarize(Run(write_power(write_log(tmp_path / "slow", end=END), samples, "nvml", about)))
    assert energy is not None
    assert energy.joules == pytest.approx(200)
    quick = {**about, "averaging_s": 0.0}
    assert keys(Run(write_power(write_log(tmp_path / "quick", end=END), samples, "nvml", quick))) == ["joules"]


def test_a_run_without_a_window_is_a_fault(tmp_path: Path) -> None:
    run = Run(write_power(write_log(tmp_path, end=END, power_begin=None), steady()))
    assert keys(run) == ["power_begin"]
    assert summarize(run) is None
    turned = Run(write_power(write_log(tmp_path / "turned", end=BEGIN - 1), steady()))
    assert keys(turned) == ["power_end"]


def test_accuracy_runs_and_runs_without_power_are_silent(tmp_path: Path) -> None:
    accuracy = Run(write_power(write_log(tmp_path / "a", end=END, effective_test_mode="AccuracyOnly"), steady()))
    bare = Run(write_log(tmp_path / "b", end=END))
    for run in (accuracy, bare):
        assert keys(run) == []
        assert summarize(run) is None


def test_damaged_descriptions_are_faults(tmp_path: Path) -> None:
    folder = write_power(write_log(tmp_path, end=END), without_count(steady()))
    for text in ("{", "[]", "{}", json.dumps({"meters": {"estimate": {"scope": "wall"}}})):
        (folder / "power" / "meters.json").write_text(text)
        assert "samples" in keys(Run(folder))
        assert summarize(Run(folder)) is None
    (folder / "power" / "meters.json").unlink()
    (folder / "power" / "sampler.log").write_text("meter estimate broke: mend it.\n")
    assert "meter" in keys(Run(folder))


def test_a_derived_spl_is_never_taken_for_an_analyzer(tmp_path: Path) -> None:
    folder = write_log(tmp_path, end=END)
    write_spl(folder / "spl.txt", steady(), "estimate")
    assert summarize(Run(folder)) is None
    (folder / "spl.txt").write_text((folder / "spl.txt").read_text().replace("lgh-", ""))
    energy = summarize(Run(folder))
    assert energy is not None
    assert (energy.meter, energy.scope, energy.idle_w) == ("ptd", "wall", None)


def test_figures_have_no_exponent() -> None:
    assert [figure(v, 3) for v in (0, 0.001234, 1.0, 12.34, 123456)] == ["0", "0.00123", "1.00", "12.3", "123,000"]


def test_least_and_most_have_the_digits_of_figures() -> None:
    """1,004 W is not printed as 1,000 beside a table that says 1,004; readings that differ do so in print."""
    assert readings(586.2, 1004.4) == "586.2–1,004"
    assert readings(1000.1, 1000.2) == "1,000.1–1,000.2"
    assert readings(40.0, 40.0) == "40.00–40.00"
