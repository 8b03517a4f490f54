"""run.json against the files beside it: a rewritten one is found as far as anything tells of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit import record, rules
from audit.case import Case, Claim
from audit.finding import Severity
from loadgen_harness.run import Run
from loadgen_harness.samples import DTYPE
from loadgen_harness.types import Limits
from tests.audit import folders

SETTINGS: dict[str, Any] = {
    "scenario": "Server",
    "mode": "PerformanceOnly",
    "min_duration_ms": 2000,
    "server_target_qps": 123.456789,
    "sample_concatenate_permutation": False,
    "use_token_latencies": True,
    "ttft_latency": 5,
    "qsl_rng_seed": 2**63 + 1,
}
LOGGED = {
    "requested_scenario": "Server",
    "requested_test_mode": "PerformanceOnly",
    "requested_min_duration_ms": 2000,
    "requested_server_target_qps": 123.457,
    "requested_sample_concatenate_permutation": False,
    "requested_use_token_latencies": True,
    "requested_server_ttft_latency": 5,
    "requested_qsl_rng_seed": 2**63 + 1,
    "result_query_count": 6,
    "generated_samples_per_query": 2,
    "power_begin": "11-22-2026 05:00:10.000",
    "power_end": "11-22-2026 05:00:20.000",
}
META: dict[str, Any] = {
    "settings": SETTINGS,
    "started": "2026-11-22T05:00:04.000+00:00",
    "wall_s": 18.0,
    "samples_left_out": 0,
}


def made(folder: Path, meta: dict[str, Any], rows: int = 12, **logged: Any) -> Run:
    """A run of ours whose run.json also says `meta`; its digests are right."""
    run = folders.write(folder, {**folders.performance("Server"), **LOGGED, **logged})
    run.file("user.conf").write_text("*.Server.target_qps = 123.456789\n")
    run = folders.own(run, np.zeros(rows, DTYPE), scenario="Server")
    path = run.file("run.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **META, **meta}))
    return Run(folder)


def found(run: Run) -> list[tuple[str, str]]:
    """(key, found) of what the checks of run.json say."""
    case = Case(run, folders.benchmark(), folders.ROUND, Claim.of(run), Limits())
    findings = [finding for check in record.CHECKS for finding in check(case)]
    assert all((each.check, each.severity, each.file) == ("record", Severity.ERROR, "run.json") for each in findings)
    return [(each.key, each.found) for each in findings]


def test_a_true_record_has_no_finding(tmp_path: Path) -> None:
    assert found(made(tmp_path / "run", {})) == []
    assert record.CHECKS[0] in rules.CHECKS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scenario", "Offline"),
        ("mode", "AccuracyOnly"),
        ("min_duration_ms", 600_000),
        ("server_target_qps", 124.0),
        ("sample_concatenate_permutation", True),
        ("use_token_latencies", False),
        ("ttft_latency", 6),
        ("qsl_rng_seed", 2**63),
    ],
)
def test_another_setting_than_the_logs(tmp_path: Path, key: str, value: object) -> None:
    run = made(tmp_path / "run", {"settings": {**SETTINGS, key: value}})
    assert found(run) == [(f"settings.{key}", str(value))]


def test_token_latencies_that_the_log_never_had(tmp_path: Path) -> None:
    """LoadGen logs that setting only where it is on."""
    bare = made(tmp_path / "bare", {}, requested_use_token_latencies=None)
    text = bare.file("mlperf_log_detail.txt").read_text()
    kept = [line for line in text.splitlines() if "requested_use_token_latencies" not in line]
    bare.file("mlperf_log_detail.txt").write_text("\n".join(kept) + "\n")
    assert found(Run(bare.path)) == [("settings.use_token_latencies", "True")]


def test_what_an_audit_config_sets_is_not_the_runs_own(tmp_path: Path) -> None:
    run = made(tmp_path / "run", {"settings": {**SETTINGS, "min_duration_ms": 5, "ttft_latency": 6}})
    run.file("audit.config").write_text("*.*.min_duration = 1\n*.*.min_duration_ms = 2000\n")
    digests = {**run.meta["digests"], "audit.config": ""}
    run.file("run.json").write_text(json.dumps({**run.meta, "digests": digests}))
    assert found(Run(run.path)) == [("settings.ttft_latency", "6")]


@pytest.mark.parametrize(
    ("meta", "fits"),
    [
        ({"started": "2026-11-22T05:00:12.000+00:00"}, True),  # a clock may be set a little
        ({"started": "2026-11-22T05:00:16.000+00:00"}, False),
        ({"started": "2026-11-22T06:00:04.000+01:00"}, True),
        ({"started": "2026-11-21T05:00:04.000+00:00"}, False),
        ({"wall_s": 10.0}, False),
        ({"wall_s": float("inf")}, True),  # makes no sense: nothing is told by it
        ({"started": "yesterday"}, True),
        ({"started": "9999-12-31T23:59:59-12:00"}, False),
        ({"started": "0001-01-01T00:00:00+12:00", "wall_s": 9e8}, False),
    ],
)
def test_the_run_lay_around_loadgens_window(tmp_path: Path, meta: dict[str, Any], fits: bool) -> None:
    assert [key for key, _ in found(made(tmp_path / "run", meta))] == ([] if fits else ["started, wall_s"])


def test_samples_left_out_are_those_without_a_row(tmp_path: Path) -> None:
    """Else a made-up number would switch off every figure that is recomputed from samples.npy."""
    assert found(made(tmp_path / "limit", {"samples_left_out": 2}, rows=10)) == []
    assert found(made(tmp_path / "made", {"samples_left_out": 1})) == [("samples_left_out", "1")]
    assert found(made(tmp_path / "fewer", {"samples_left_out": 1}, rows=10)) == [("samples_left_out", "1")]


@pytest.mark.parametrize("name", ["mlperf_log_detail.txt", "samples.npy", "user.conf", "power/nvml.csv"])
def test_a_file_without_its_digest(tmp_path: Path, name: str) -> None:
    run = made(tmp_path / "run", {})
    run.file("power").mkdir()
    run.file("power/nvml.csv").write_text("")
    told = {**run.meta["digests"], "power/nvml.csv": ""}
    path = run.file("run.json")
    path.write_text(json.dumps({**run.meta, "digests": {key: told[key] for key in told if key != name}}))
    assert found(Run(run.path)) == [(f"digests.{name}", "missing")]
    path.write_text(json.dumps({**run.meta, "digests": None}))
    assert (f"digests.{name}", "missing") in found(Run(run.path))
    path.unlink()
    assert found(Run(run.path)) == [], "somebody else's logs"


@pytest.mark.parametrize("odd", [None, [], 7, "x"])
def test_odd_content_is_no_crash(tmp_path: Path, odd: object) -> None:
    found(made(tmp_path / "run", dict.fromkeys(("settings", "started", "wall_s", "samples_left_out"), odd)))
