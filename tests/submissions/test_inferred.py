"""The official figure of a result: read from its log, or inferred from another scenario's where that is allowed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from audit import known
from audit.finding import Severity
from loadgen_harness import rounds
from loadgen_harness.types import Division, Scenario
from submissions import inferred, layout
from submissions.subject import Subject
from tests.audit import folders

SINGLE: Mapping[str, Any] = {
    "effective_scenario": "SingleStream",
    "effective_samples_per_query": 1,
    "early_stopping_latency_ss": 20_336_000,
    "early_stopping_latency_ms": 20_716_250,
    "result_qps_without_loadgen_overhead": 49.42,
}
MULTI: Mapping[str, Any] = {
    "effective_scenario": "MultiStream",
    "effective_samples_per_query": 8,
    "early_stopping_latency_ms": 101_530_000,
    "result_mean_query_latency_ns": 100_263_000,
}
SERVER: Mapping[str, Any] = {
    "effective_scenario": "Server",
    "requested_use_token_latencies": True,
    "result_completed_samples_per_sec": 3.5,
    "result_completed_tokens_per_second": 9897.52,
}


def subject(
    tree: Path, scenario: str, log: Mapping[str, Any], *, kind: str = "edge", round_: str = "v6.1", name: str = "resnet"
) -> Subject:
    """One result of a tree whose performance log holds `log`."""
    home = layout.submitter(tree, Division.CLOSED, "Acme")
    place = home.result("box", name, scenario)
    folders.write(place.performance.path, {"effective_test_mode": "PerformanceOnly", **log})
    home.systems.mkdir(exist_ok=True)
    home.system("box").write_text(json.dumps({"system_type": kind}))
    chosen = rounds.load(round_)
    benchmark = known.benchmarks(chosen)[name]
    rules = chosen.rules(benchmark.name)
    return Subject(place, tree, benchmark, Scenario(scenario), rules, chosen, Division.CLOSED)


@pytest.mark.parametrize(
    ("scenario", "log", "value", "unit", "source"),
    [
        ("SingleStream", SINGLE, 20.336, "Latency (ms)", ""),
        ("MultiStream", SINGLE, 165.73, "Latency (ms)", "SingleStream"),
        ("Offline", SINGLE, 49.42, "Samples/s", "SingleStream"),
        ("multistream", MULTI, 101.53, "Latency (ms)", ""),
        ("Offline", MULTI, 79.79, "Samples/s", "MultiStream"),
    ],
)
def test_the_figures_of_the_study(
    tmp_path: Path, scenario: str, log: Mapping[str, Any], value: float, unit: str, source: str
) -> None:
    found = inferred.result(subject(tmp_path, scenario, log))
    assert found is not None and round(found.value, 3) == pytest.approx(value, abs=0.001)
    assert (found.unit, found.inferred_from) == (unit, source)


def test_interactive_is_measured_although_its_log_says_server(tmp_path: Path) -> None:
    one = subject(tmp_path, "Interactive", SERVER, kind="datacenter", name="llama2-70b-99.9")
    found = inferred.result(one)
    assert found == inferred.Official(9897.52, "Tokens/s", "result_completed_tokens_per_second")
    assert list(inferred.check(one)) == []


def test_an_inferred_result_is_named_in_a_note(tmp_path: Path) -> None:
    (note,) = inferred.check(subject(tmp_path, "MultiStream", SINGLE))
    assert note.severity is Severity.NOTE
    assert note.found == "165.73 Latency (ms) inferred from SingleStream: 8 x the early-stopping p99 estimate"


def test_the_datacenter_suite_infers_nothing(tmp_path: Path) -> None:
    (finding,) = inferred.check(subject(tmp_path, "MultiStream", SINGLE, kind="datacenter"))
    assert (finding.check, finding.key, finding.severity) == ("inferred", "system_type", Severity.ERROR)
    assert list(inferred.check(subject(tmp_path / "b", "Offline", SINGLE, kind="datacenter,edge")))


@pytest.mark.parametrize("estimate", [0, None, "many", math.inf, math.nan])
def test_without_an_estimate_nothing_is_inferred(tmp_path: Path, estimate: object) -> None:
    log = {**SINGLE, "early_stopping_latency_ms": estimate}
    (finding,) = inferred.check(subject(tmp_path, "MultiStream", log))
    assert (finding.key, finding.severity) == ("early_stopping_latency_ms", Severity.ERROR)


@pytest.mark.parametrize(("scenario", "log"), [("SingleStream", MULTI), ("MultiStream", SERVER), ("Offline", SERVER)])
def test_no_other_scenario_is_inferred(tmp_path: Path, scenario: str, log: Mapping[str, Any]) -> None:
    one = subject(tmp_path, scenario, log)
    assert inferred.source(one) == "" and list(inferred.check(one)) == []


def test_a_result_without_a_log_has_no_figure(tmp_path: Path) -> None:
    one = subject(tmp_path, "Offline", {})
    one.place.performance.detail.unlink()
    assert inferred.result(one) is None and list(inferred.check(one)) == []
