"""What a backend says of itself becomes Findings: nothing that a reader must know is silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.finding import Finding, Severity
from audit.rules import check
from tests.audit import folders
from tests.audit.folders import ROUND


def found(folder: Path, load: object = None, **backend: str) -> list[Finding]:
    """Findings about run.json's `backend` and `load` of an otherwise good run."""
    run = folders.own(
        folders.write(folder, folders.performance("Offline")), folders.samples("Offline"), scenario="Offline"
    )
    record = json.loads(run.file("run.json").read_text())
    run.file("run.json").write_text(json.dumps({**record, "backend": backend, "load": load}))
    return list(check(type(run)(run.path), folders.benchmark(), ROUND))


def test_a_plain_account_is_in_order(tmp_path: Path) -> None:
    said = {"name": "x", "precision": "fp32 (AVX-512)", "wanted_precision": "fp32", "prefix_cache": "off: by request"}
    assert found(tmp_path, **said, tokens="engine", retries="0", recompiled="0") == []


@pytest.mark.parametrize(
    ("key", "text", "severity"),
    [
        ("fallback", "3 of 40 nodes on CPUExecutionProvider", Severity.WARNING),
        ("prefix_cache", "on", Severity.ERROR),
        ("prefix_cache", "unknown: the server does not say", Severity.WARNING),
        ("response_cache", "unknown", Severity.WARNING),
        ("response_cache", "on", Severity.ERROR),
        ("tokens_without_id", "3", Severity.WARNING),
        ("tls", "not verified", Severity.WARNING),
        ("tokens", "responses", Severity.WARNING),
        ("retries", "2", Severity.WARNING),
        ("recompiled", "1", Severity.WARNING),
        ("weights", "random", Severity.WARNING),
        ("tokens", "usage", Severity.WARNING),
    ],
)
def test_what_must_not_be_silent(tmp_path: Path, key: str, text: str, severity: Severity) -> None:
    (finding,) = found(tmp_path, **{key: text})
    assert (finding.check, finding.key, finding.found, finding.severity) == (
        "runtime",
        f"backend.{key}",
        text,
        severity,
    )
    assert finding.wanted and finding.clause and finding.fix


def test_a_machine_that_was_not_the_runs_own(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, {"other_cores": 0.6, "cores": 4, "seconds": 5.0})
    assert (finding.check, finding.key, finding.severity) == ("load", "load.other_cores", Severity.WARNING)
    assert finding.found == "0.60 of 4 processors (15%) were busy with something else"


@pytest.mark.parametrize(
    "load", [None, {}, [], {"other_cores": 0.4, "cores": 4}, {"other_cores": "4", "cores": 4}, {"other_cores": 4}]
)
def test_a_quiet_machine_and_one_that_nobody_looked_at(tmp_path: Path, load: object) -> None:
    assert found(tmp_path, load) == []


def test_a_server_of_the_backend_may_be_what_was_busy(tmp_path: Path) -> None:
    assert found(tmp_path, {"other_cores": 3, "cores": 4}, url="http://localhost:8000") == []


def test_a_server_keeps_its_precision_to_itself(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, precision="as served", wanted_precision="q4_1")
    assert (finding.severity, finding.wanted) == (Severity.NOTE, "known")


def test_another_precision_than_asked_for(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, precision="bf16", wanted_precision="fp32")
    assert (finding.key, finding.found, finding.wanted) == ("backend.precision", "bf16", "fp32")
