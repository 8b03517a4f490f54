"""Findings as JSON for programs; docs/audit.md says what each key means, and `version` changes when one does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from audit.audited import Answer, Audited
from audit.disagreements import Disagreement
from audit.finding import Finding
from audit.result_rows import ResultRow
from loadgen_harness import __version__

FORMAT, VERSION = "loadgen-harness findings", 1


def write(audits: Sequence[Audited]) -> str:
    """One JSON object: the verdict, and for every audited path its findings in the order in which they were found."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "tool": {"name": "loadgen-harness", "version": __version__},
        "passed": all(audited.passed for audited in audits),
        "audited": [_audited(audited) for audited in audits],
    }
    return json.dumps(content, indent=1) + "\n"


def _audited(audited: Audited) -> dict[str, Any]:
    return {
        "path": str(audited.path),
        "kind": audited.kind,
        "round": audited.round,
        "round_from": audited.round_from,
        "passed": audited.passed,
        "verdicts": {"rules": audited.rules, "official": audited.predicted},
        "official_runs": [_answer(answer) for answer in audited.answers],
        "unverified": list(audited.unverified),
        "disagreements": [_disagreement(each) for each in audited.differences],
        "results": list(audited.results),
        "figures": [_row(row) for row in audited.rows],
        "findings": [_finding(finding, audited) for finding in audited.findings],
    }


def _row(row: ResultRow) -> dict[str, Any]:
    system, benchmark, scenario = row.parts
    figures = row.figures
    return {
        "result": row.result,
        "system": system,
        "benchmark": benchmark,
        "scenario": scenario,
        "value": figures.value,
        "unit": figures.unit,
        "inferred_from": figures.inferred_from,
        "accuracy": [vars(each) for each in figures.accuracy],
        "power": figures.power,
        "verdicts": {"rules": row.rules, "official": row.official, **row.said},
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "checker": answer.checker,
        "verdict": answer.verdict,
        "results": answer.results,
        "reasons": list(answer.reasons),
        "fault": answer.fault,
        "log": answer.log,
    }


def _disagreement(found: Disagreement) -> dict[str, Any]:
    return {
        "between": list(found.between),
        "verdicts": list(found.verdicts),
        "why": found.why,
        "places": list(found.places),
    }


def _finding(finding: Finding, audited: Audited) -> dict[str, Any]:
    values = {key: value for key, value in vars(finding).items() if key != "severity"}
    return {"severity": finding.severity.value, "result": audited.place(finding.file), **values}
