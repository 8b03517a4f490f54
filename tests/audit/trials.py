"""Folders of compliance tests as LoadGen leaves them: both logs of a performance run, and logged responses."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness.run import Run
from loadgen_harness.types import Score
from tests.audit import folders
from tests.audit.folders import AUDIT_WARNING

ENTRIES = [folders.response(index, np.float32(index).tobytes()) for index in range(10)]
SCORE_LINES = {
    "SingleStream": (
        "early_stopping_latency_ss",
        "Early Stopping Result:\n * Early stopping 90.0th percentile estimate: {}",
    ),
    "MultiStream": (
        "early_stopping_latency_ms",
        "Early Stopping Result:\n * Early stopping 99.0th percentile estimate: {}",
    ),
    "Server": ("result_completed_samples_per_sec", "Completed samples per second    : {}"),
    "Offline": ("result_samples_per_second", "Samples per second: {}"),
}
LIMIT = 50


def accurate(folder: Path, entries: Sequence[Mapping[str, Any]] = ENTRIES) -> Run:
    """An accuracy run of ten samples, or of the given ones."""
    return folders.write(folder / "accuracy", folders.common("Server", "AccuracyOnly"), responses=entries)


def reference(folder: Path, scenario: str = "Server", **changes: Any) -> Run:
    """The submission's performance run."""
    return summed(folders.write(folder / "reference", {**folders.performance(scenario), **changes}))


def audited(folder: Path, test: str, responses: Sequence[Mapping[str, Any]] | None = None, **changes: Any) -> Run:
    """The test's run; `scenario` and values of the detail log may be given."""
    scenario = changes.pop("scenario", "Server")
    values = folders.audited(folders.performance(scenario), test, **changes)
    return summed(folders.write(folder / "audit", values, warnings=[AUDIT_WARNING], responses=responses))


def summed(run: Run, **changes: str) -> Run:
    """The run with the summary that goes with its detail log; `changes` replaces what follows a line's colon."""
    key, form = SCORE_LINES[run.scenario]
    figures = {"Scenario": run.scenario, "Result is": run.log.get("result_validity", ""), "score": run.log.get(key, "")}
    figures = {**figures, **{name.replace("_", " "): value for name, value in changes.items()}}
    lines = ["MLPerf Results Summary", "SUT name : PySUT", f"Scenario : {figures['Scenario']}"]
    lines += [form.format(figures["score"]), f"Result is : {figures['Result is']}"]
    return rewrite(run, "\n".join(lines) + "\n", "mlperf_log_summary.txt")


def mean_score(responses: Mapping[int, bytes]) -> list[Score]:
    """The mean response, a float32, as an accuracy."""
    values = [float(np.frombuffer(data, np.float32)[0]) for data in responses.values()]
    return [Score("acc", float(np.mean(values)), 0, 100, len(values), "exact")]


def spoken(*ids: int, dtype: str = "<i4", index: int = 0, **changes: Any) -> dict[str, Any]:
    """A token response whose first token and count are those of the output; `first` and `count` state others."""
    data = np.array(ids, dtype).tobytes()
    head = np.array([changes.get("first", ids[0])], dtype).tobytes()
    return folders.response(index, data, token_data=head, token_count=changes.get("count", len(ids)))


def talked(folder: Path, test: str, responses: Sequence[Mapping[str, Any]], scenario: str = "Server") -> Run:
    """The run of a test of tokens, with the responses it logged."""
    values = folders.talking() if scenario == "Server" else folders.performance(scenario)
    changes = {"effective_performance_issue_unique": True} if test in ("TEST07", "TEST09") else {}
    log = folders.audited(values, test, **{**changes, "effective_accuracy_log_sampling_target": LIMIT})
    return folders.write(folder / "audit", log, warnings=[AUDIT_WARNING], responses=responses)


def logged(count: int) -> dict[str, float]:
    """Settings of a test that wants `count` different samples logged."""
    return {"accuracy_log_sampling_target": LIMIT, "min_query_count": count, "performance_issue_unique": 1}


def recommended(request: int, chances: Sequence[float], labels: Sequence[float] | None = None) -> dict[str, Any]:
    """What dlrm-v3 answers to a request of time step 3; with labels as the accuracy run logs it, weights of 1."""
    numbers = [3.0, float(request), *chances]
    if labels is not None:
        numbers += [*labels, *([1.0] * len(chances)), float(len(chances))]
    return folders.response(request, np.array(numbers, "<f4").tobytes())


def rewrite(run: Run, text: str, name: str = "mlperf_log_accuracy.json") -> Run:
    """The run with another text in one of its files."""
    run.file(name).write_text(text)
    return Run(run.path)


def entries_of(run: Run) -> list[dict[str, Any]]:
    """The entries of a run's accuracy log as they stand there."""
    found: list[dict[str, Any]] = json.loads(run.file("mlperf_log_accuracy.json").read_text())
    return found
