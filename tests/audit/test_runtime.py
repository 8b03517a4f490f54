"""What a backend says of itself becomes Findings: nothing that a reader must know is silent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.finding import Finding, Severity
from audit.rules import check
from tests.audit import folders
from tests.audit.folders import ROUND


def found(folder: Path, **backend: str) -> list[Finding]:
    """Findings about run.json's `backend` of an otherwise good run."""
    run = folders.own(
        folders.write(folder, folders.performance("Offline")), folders.samples("Offline"), scenario="Offline"
    )
    record = json.loads(run.file("run.json").read_text())
    run.file("run.json").write_text(json.dumps({**record, "backend": backend}))
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


def test_a_server_keeps_its_precision_to_itself(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, precision="as served", wanted_precision="q4_1")
    assert (finding.severity, finding.wanted) == (Severity.NOTE, "known")


def test_another_precision_than_asked_for(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, precision="bf16", wanted_precision="fp32")
    assert (finding.key, finding.found, finding.wanted) == ("backend.precision", "bf16", "fp32")
