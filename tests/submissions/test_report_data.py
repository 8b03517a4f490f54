"""The report for programs: figures are the run's own, columns are stable, spreadsheets compute nothing."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.finding import Finding, Severity
from loadgen_harness.run import Run
from loadgen_harness.samples import DTYPE
from loadgen_harness.types import Scenario, Score, Target
from submissions import report_data
from submissions.record import RunResult
from submissions.report import report
from tests.submissions.folders import DIGITS, Made, golden, make

ROOT = Path(__file__).resolve().parents[2]
SCORE = Score("accuracy", 98.1, 97.7, 98.5, 5000, "Wilson")
TARGET = Target("accuracy", 97.812, 98.8)
TAX = {
    "benchmark": "digits",
    "layout": "native, thread, batch ≤ 8",
    "seconds": 2.0,
    "samples": 600,
    "mean_ns": 41_000.0,
    "p99_ns": 212_000.0,
    "ceiling": 1_234_567.0,
    "gil": {},
}
POWERED = Made(Scenario.SINGLE_STREAM, 2000, 2.0, watts=14)  # four seconds


def shown(path: Path, made: Made, **more: Any) -> RunResult:
    return RunResult(make(path, made), DIGITS, (SCORE,), (TARGET,), **more)


def lines(results: list[dict[str, Any]]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report_data.table(results))))


def test_figures_are_those_of_the_log(tmp_path: Path) -> None:
    finding = Finding("duration", Severity.ERROR, "d", "k", "1", "2", "c", "f")
    tested = {"TEST01": True, "TEST04": False}
    made = Made(Scenario.SINGLE_STREAM, 700, 0.4, tax=TAX)
    found = report_data.result(shown(tmp_path / "r", made, verdicts=tested, findings=(finding,)), "r")
    run = Run(tmp_path / "r")
    table = run.samples
    assert table is not None
    latency = np.sort(table["done"] - table["scheduled"]) / 1e9
    assert found["metric"] == {
        "name": found["metric"]["name"],
        "value": pytest.approx(run.log["early_stopping_latency_ss"] / 1e9),
        "unit": "s",
    }
    spread = found["latency_s"]
    assert (spread["p50"], spread["p90"], spread["p99"]) == tuple(
        pytest.approx(latency[int(700 * share)]) for share in (0.5, 0.9, 0.99)
    )
    assert spread["max"] == pytest.approx(latency[-1]) and "p99_9" not in spread  # of 700 that would be the maximum
    assert found["throughput_samples_per_s"] == pytest.approx(700e9 / (table["done"].max() - table["issued"].min()))
    assert found["accuracy"][0]["met"] is True and found["accuracy"][0]["target"] == 97.812
    assert (found["errors"], found["warnings"], found["compliance_failed"]) == (1, 0, ["TEST04"])
    assert found["tax"]["mean_s"] == pytest.approx(41e-6) and found["tax"]["p99_s"] == pytest.approx(212e-6)
    assert found["settings"]["min_duration_ms"] == 2000 and found["locked"] == ["min_duration_ms"]


@pytest.mark.parametrize(
    ("scenario", "unit", "key"),
    [
        ("SingleStream", "s", "early_stopping_latency_ss"),
        ("MultiStream", "s", "early_stopping_latency_ms"),
        ("Offline", "samples/s", "result_samples_per_second"),
    ],
)
def test_the_golden_tree_s_metric(shared: Path, tmp_path: Path, scenario: str, unit: str, key: str) -> None:
    run = golden(shared, tmp_path / "run", scenario, "performance")
    found = report_data.result(RunResult(run, DIGITS), "x")
    official = run.log[key]
    assert found["metric"]["unit"] == unit
    assert found["metric"]["value"] == pytest.approx(official / 1e9 if unit == "s" else official)
    assert found["valid"] is True
    assert found["latency_s"] is None  # no record of ours: nothing is made up


def test_a_row_has_the_json_s_figures_under_stable_names(tmp_path: Path) -> None:
    results = [
        report_data.result(shown(tmp_path / "a", Made(Scenario.SERVER, 300, 2.0, valid=False)), "a"),
        report_data.result(shown(tmp_path / "b", Made(Scenario.INTERACTIVE, 200, 300, tokens=28)), "b"),
    ]
    first, second = lines(results)
    assert list(first) == [name for name, _, _ in report_data.COLUMNS]
    assert list(first)[:17] == [
        *("format", "run", "benchmark", "scenario", "mode", "division", "round", "backend", "device", "precision"),
        *("started", "valid", "invalid_reasons", "metric", "metric_value", "metric_unit", "duration_s"),
    ]
    assert (first["format"], first["run"], first["scenario"], first["valid"]) == ("1", "a", "Server", "false")
    assert "minimum duration" in first["invalid_reasons"]
    assert float(first["latency_p99_s"]) == results[0]["latency_s"]["p99"]
    assert first["first_token_p99_s"] == "" and float(second["first_token_p99_s"]) > 0
    assert first["energy_j"] == first["tax_mean_s"] == ""
    document = json.loads(report_data.document(results, {"rounds": ["mini"]}))
    assert document["format"] == report_data.FORMAT == 1 and document["kind"] == report_data.KIND
    assert document["results"][0]["latency_s"] == results[0]["latency_s"]


def test_the_documentation_has_every_column() -> None:
    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)` )?\| ([^|]+) \|$", text, re.M)
    assert listed == list(report_data.COLUMNS), "docs/report.md: its table is COLUMNS of submissions/report_data.py"


def test_every_column_finds_its_place_and_says_its_unit(tmp_path: Path) -> None:
    made = Made(Scenario.INTERACTIVE, 2000, 2.0, tokens=28, watts=14, tax=TAX)
    found = report_data.result(shown(tmp_path / "r", made), "r")
    places = {name: place.partition(".")[::2] for name, place, _ in report_data.COLUMNS if place}
    holes = {name for name, (key, _) in places.items() if key not in found}
    assert holes == set()
    optional = {"host_peak_bytes", "device_peak_bytes"}
    inner = {name: (key, rest.removeprefix("0.")) for name, (key, rest) in places.items() if rest}
    one = {key: each[0] if isinstance(each, list) and each else each for key, each in found.items()}
    missing = {name for name, (key, rest) in inner.items() if rest.split(".")[0] not in one[key]} - optional
    assert missing == set()
    timed = [name for name, place, _ in report_data.COLUMNS if "_s." in place and not name.startswith(("samples",))]
    assert timed and all(name.endswith("_s") for name in timed)


def test_an_estimate_has_ends_and_no_middle(tmp_path: Path) -> None:
    found = report_data.result(shown(tmp_path / "r", POWERED), "r")
    spent = found["energy"]
    assert spent["kind"] == "estimated" and spent["official"] is False
    assert 0 < spent["energy_low_j"] < spent["energy_high_j"]
    middles = ("energy_j", "mean_w", "max_w", "idle_w", "per_query_j", "per_sample_j", "per_token_j")
    assert [spent[key] for key in middles] == [None] * 7
    [row] = lines([found])
    assert row["energy_kind"] == "estimated" and row["energy_j"] == row["energy_per_sample_j"] == ""


def test_a_measurement_has_both(tmp_path: Path) -> None:
    run = make(tmp_path / "r", POWERED)
    (run.path / "power" / "estimate.csv").rename(run.path / "power" / "rapl.csv")
    meters = (run.path / "power" / "meters.json").read_text()
    (run.path / "power" / "meters.json").write_text(
        meters.replace('"estimate"', '"rapl"').replace('"estimated": true', '"estimated": false')
    )
    spent = report_data.result(RunResult(Run(run.path), DIGITS), "r")["energy"]
    assert spent["kind"] == "measured" and spent["energy_low_j"] <= spent["energy_j"] <= spent["energy_high_j"]
    assert spent["per_sample_j"] == pytest.approx(spent["energy_j"] / 2000)


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@SUM(A1)", "\tx", "\rx", "\nx", "=cmd|' /C calc'!A0"])
def test_a_spreadsheet_computes_no_text(tmp_path: Path, name: str) -> None:
    result = report_data.result(shown(tmp_path / "r", Made(Scenario.OFFLINE, 20, 2.0)), name)
    result["invalid_reasons"] = [name, "more"]
    result["steadiness"] = {"warm_up": -0.25, "drift": None, "outliers": 0}
    [row] = lines([result])
    assert row["run"] == f"'{name}" and row["invalid_reasons"].startswith("'")
    assert float(row["warm_up_share"]) == -0.25  # a number stays one


def test_what_json_cannot_say_is_null(tmp_path: Path) -> None:
    result = report_data.result(shown(tmp_path / "r", Made(Scenario.OFFLINE, 20, 2.0)), "r")
    result["duration_s"], result["drift"] = float("nan"), np.float32("inf")
    assert "NaN" not in report_data.document([result], {}) and "Infinity" not in report_data.document([result], {})
    assert lines([result])[0]["duration_s"] == ""


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [
        (98.0, Target("m", 97.0, 98.0), True),
        (96.9, Target("m", 97.0, 98.0), False),
        (5.0, replace(Target("m", 6.0, 6.0), higher_is_better=False), True),
        (6.1, replace(Target("m", 6.0, 6.0), higher_is_better=False), False),
        (9.0, replace(Target("m", 5.0, 6.0), upper=8.0), False),
    ],
)
def test_targets(value: float, target: Target, expected: bool) -> None:
    assert report_data.met(replace(SCORE, value=value), target) is expected


def test_names_are_folders_below_what_all_share(tmp_path: Path) -> None:
    runs = [make(tmp_path / "x" / name, Made(Scenario.OFFLINE, 20, 2.0)) for name in ("a/performance", "b/performance")]
    assert list(report_data.names(runs)) == ["a/performance", "b/performance"]
    assert list(report_data.names(runs[:1])) == ["performance"]


def test_damaged_and_empty_runs_are_told_with_what_is_left(tmp_path: Path) -> None:
    broken = make(tmp_path / "broken", Made(Scenario.SERVER, 100, 2.0))
    (broken.path / "samples.npy").write_bytes(b"no array")
    empty = make(tmp_path / "empty", Made(Scenario.SERVER, 100, 2.0))
    np.save(empty.path / "samples.npy", np.zeros(0, DTYPE))
    results = [RunResult(Run(each.path), DIGITS) for each in (broken, empty)]
    page = report([each.run for each in results], results, tmp_path / "report.html")
    document = json.loads(page.with_suffix(".json").read_text())
    assert [each["latency_s"] for each in document["results"]] == [None, None]
    assert all(each["metric"]["value"] > 0 for each in document["results"])
    assert document["damage"][0]["run"] == "broken" and "samples.npy" in document["damage"][0]["sentence"]
    assert report_data.written(page.with_suffix(".json"))
    assert not report_data.written(page) and not report_data.written(tmp_path / "none.json")
