"""Our own record of every sample is held against LoadGen's log, and every file against its digest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audit.case import Claim
from audit.finding import Severity
from audit.rules import check, truncated
from loadgen_harness.types import Scenario
from tests.audit import folders
from tests.audit.folders import MS, ROUND


def checks(folder: Path, scenario: str, table: np.ndarray) -> list[str]:
    """The checks that speak about a valid log with this record beside it."""
    run = folders.own(folders.write(folder, folders.performance(scenario)), table, scenario=scenario)
    return [finding.check for finding in check(run, folders.benchmark(), ROUND)]


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Server", "Offline"])
def test_missing_rows_are_found(tmp_path: Path, scenario: str) -> None:
    assert checks(tmp_path, scenario, folders.samples(scenario, 299)) == ["sample-count"]


@pytest.mark.parametrize(("scenario", "extra_ms"), [("SingleStream", 2), ("MultiStream", 2), ("Server", 8)])
def test_slower_samples_than_loadgen_saw_are_found(tmp_path: Path, scenario: str, extra_ms: int) -> None:
    table = folders.samples(scenario)
    table["done"] += extra_ms * MS
    assert checks(tmp_path, scenario, table) == ["percentile-recomputed"]


def test_much_faster_samples_than_loadgen_saw_are_a_warning(tmp_path: Path) -> None:
    table = folders.samples("SingleStream")
    table["done"] -= 4 * MS
    run = folders.own(folders.write(tmp_path, folders.performance("SingleStream")), table, scenario="SingleStream")
    findings = list(check(run, folders.benchmark(), ROUND))
    assert [(f.check, f.severity) for f in findings] == [("percentile-recomputed", Severity.WARNING)]


def test_early_stopping_is_recomputed(tmp_path: Path) -> None:
    table = folders.samples("Server")
    table["done"][:29] = table["issued"][:29] + 60 * MS  # 29 of 300 over the limit: more than early stopping allows
    assert checks(tmp_path, "Server", table) == ["early-stopping-recomputed"]


def test_times_out_of_order_are_found(tmp_path: Path) -> None:
    table = folders.samples("Offline")
    table["started"][5] = table["done"][5] + 1
    assert checks(tmp_path, "Offline", table) == ["sample-times"]


def test_an_edited_file_and_a_missing_one_are_found(tmp_path: Path) -> None:
    run = folders.write(tmp_path, folders.performance("Offline"), responses=[])
    run = folders.own(run, folders.samples("Offline"), scenario="Offline")
    run.file("mlperf_log_accuracy.json").unlink()
    np.save(run.file("samples.npy"), np.concatenate([folders.samples("Offline"), folders.samples("Offline")[:0]]))
    run.file("samples.npy").write_bytes(run.file("samples.npy").read_bytes() + b" ")
    findings = list(check(run, folders.benchmark(), ROUND, Claim(Scenario.OFFLINE)))
    assert sorted((f.check, f.key) for f in findings) == [
        ("digest", "mlperf_log_accuracy.json"),
        ("digest", "samples.npy"),
    ]


def test_a_record_that_stopped_at_its_limit_is_not_held_against_the_run(tmp_path: Path) -> None:
    run = folders.own(
        folders.write(tmp_path, folders.performance("Server")), folders.samples("Server", 10), scenario="Server"
    )
    text = run.file("run.json").read_text().replace('"format": 1', '"format": 1, "samples_left_out": 290')
    run.file("run.json").write_text(text)
    assert list(check(type(run)(tmp_path), folders.benchmark(), ROUND)) == []


def test_a_truncated_accuracy_log_is_no_damage(tmp_path: Path) -> None:
    run = folders.write(tmp_path, folders.common("Offline", "AccuracyOnly"))
    run.file("mlperf_log_accuracy.json").write_text('[\n{ "seq_id" : 0' + "\n\n...\n\n" + "}\n]\n")
    assert truncated(run)
    assert list(check(run, folders.benchmark(), ROUND)) == []
    run.file("mlperf_log_accuracy.json").write_text("[{")
    assert [f.check for f in check(type(run)(tmp_path), folders.benchmark(), ROUND)] == ["readable"]
