"""Results of MLPerf Endpoints inside a tree: judged by the round's figures, their audits and their accuracy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audit.finding import Finding, Severity
from loadgen_harness import rounds
from submissions import inferred
from submissions.check import check, subjects

pytest.importorskip("yaml", reason="config.yaml is read with PyYAML")
V61 = rounds.load("v6.1")
RESULT = Path("closed/Acme/results/box/wan-2.2-t2v-a14b/offline")
CONFIG = f"""
type: offline
model_params: {{name: wan}}
datasets: [{{name: vbench, type: performance, samples: 248}}]
settings:
  load_pattern: {{type: max_throughput}}
  runtime:
    min_duration_ms: 600000
    max_duration_ms: 0
    n_samples_to_issue: 248
    dataloader_random_seed: {V61.seeds.sample_index}
    scheduler_random_seed: {V61.seeds.schedule}
"""
SUMMARY: dict[str, Any] = {
    "version": "0.4",
    "state": "complete",
    "complete": True,
    "n_samples_issued": 248,
    "n_samples_completed": 248,
    "n_samples_failed": 0,
    "duration_ns": 900_000_000_000,
    "qps": 248 / 900,
    "tps": None,
    "latency": {"min": 1e9, "max": 899e9, "avg": 450e9, "percentiles": {"99.0": 890e9}},
}
SCORES: dict[str, Any] = {"accuracy_scores": [{"dataset_name": "vbench", "score": 70.1, "total_samples": 248}]}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    home = tmp_path / "closed/Acme"
    place = tmp_path / RESULT
    for folder in ("performance", "accuracy", "audit"):
        (place / folder).mkdir(parents=True)
    (place / "config.yaml").write_text(CONFIG)
    (place / "performance/result_summary.json").write_text(json.dumps(SUMMARY))
    (place / "accuracy/accuracy_results.json").write_text(json.dumps(SCORES))
    (place / "audit/audit_output_caching_test.json").write_text('{"test": "output_caching_test", "passed": true}')
    (place / "README.md").write_text("How to repeat it.")
    (place / "measurements.json").write_text(json.dumps({key: "x" for key in MEASUREMENTS}))
    (home / "src").mkdir()
    return tmp_path


MEASUREMENTS = (
    "input_data_types",
    "retraining",
    "starting_weights_filename",
    "weight_data_types",
    "weight_transformations",
)


def found(tree: Path) -> list[tuple[str, str]]:
    """What is wrong with the result itself."""
    all_of_it: list[Finding] = list(check(tree, V61))
    return [
        (f.check, f.key)
        for f in all_of_it
        if str(RESULT) in f.file and f.severity is Severity.ERROR and f.check != "suite"
    ]


def test_a_good_result_has_no_fault_and_its_figure(tree: Path) -> None:
    assert found(tree) == []
    (one,) = subjects(tree, V61)
    assert inferred.result(one) == inferred.Official(248 / 900, "Samples/s", "result_samples_per_second")


def rewrite(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(tree: Path) -> None:
        path = tree / RESULT / name
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return edit


def configure(old: str, new: str) -> Callable[[Path], None]:
    def edit(tree: Path) -> None:
        path = tree / RESULT / "config.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return edit


FAULTS: dict[str, tuple[Callable[[Path], Any], set[tuple[str, str]]]] = {
    "the harness's own seed": (
        configure(str(V61.seeds.schedule), "42"), {("seeds", "effective_schedule_rng_seed")},
    ),
    "a short run": (
        configure("min_duration_ms: 600000", "min_duration_ms: 60000"),
        {("duration-setting", "effective_min_duration_ms")},
    ),
    "failed requests": (
        rewrite("performance/result_summary.json", lambda c: c.update(n_samples_failed=3)),
        {("validity", "result_validity"), ("loadgen-errors", "num_errors")},
    ),
    "interrupted": (
        rewrite("performance/result_summary.json", lambda c: c.update(state="interrupted")),
        {("validity", "result_validity"), ("loadgen-errors", "num_errors")},
    ),
    "accuracy below the target": (
        rewrite("accuracy/accuracy_results.json", lambda c: c["accuracy_scores"][0].update(score=0.0)),
        {("accuracy", "vbench_score")},
    ),
    "a part of the data set": (
        rewrite("accuracy/accuracy_results.json", lambda c: c["accuracy_scores"][0].update(total_samples=50)),
        {("accuracy-sample-count", "total_samples")},
    ),
    "an audit that failed": (
        rewrite("audit/audit_output_caching_test.json", lambda c: c.update(passed=False)),
        {("compliance", "audit_output_caching_test")},
    ),
    "an audit that is missing": (
        lambda tree: shutil.rmtree(tree / RESULT / "audit"),
        {("compliance", "audit_output_caching_test")},
    ),
    "no accuracy": (
        lambda tree: shutil.rmtree(tree / RESULT / "accuracy"),
        {("structure", "file")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(tree: Path, name: str) -> None:
    break_, wanted = FAULTS[name]
    break_(tree)
    assert set(found(tree)) == wanted


def test_online_is_server(tree: Path) -> None:
    (tree / RESULT).rename((tree / RESULT).parent / "online")
    assert [each.scenario.value for each in subjects(tree, V61)] == ["Server"]
