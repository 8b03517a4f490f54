"""Findings as SARIF 2.1.0, the subset that GitHub code scanning shows: one run, rules with help, relative locations."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from audit import catalogue
from audit.audited import ORDER, Audited
from audit.finding import Finding, Severity
from audit.formats.text import verdicts
from loadgen_harness import __version__
from loadgen_harness.visible import visible

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
PROBLEM = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "recommendation"}


def write(audits: Sequence[Audited], base: Path) -> str:
    """The SARIF text, the gravest findings first, since GitHub shows the first 5,000.

    Locations are relative to `base` where the audited path lies inside it, else to the audited path.
    """
    pairs = [(finding, audited) for audited in audits for finding in audited.findings]
    pairs.sort(key=lambda pair: ORDER.index(pair[0].severity))
    rules = _rules([finding for finding, _ in pairs])
    index = {name: position for position, name in enumerate(rules)}
    driver = {
        "name": "loadgen-harness",
        "version": __version__,
        "rules": list(rules.values()),
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": "loadgen-harness/check/"},
        "invocations": [{"executionSuccessful": True, **_notified(audits)}],
        "originalUriBaseIds": {ROOT: {"description": {"text": "where the audit was started, or the audited folder"}}},
        "results": [_result(finding, audited, base, index[finding.check]) for finding, audited in pairs],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _notified(audits: Sequence[Audited]) -> dict[str, Any]:
    """What official checkers said, and every disagreement with them: about the whole, so that no line has it."""
    texts = [f"{audited.path}: {': '.join(row)}" for audited in audits for row in verdicts(audited) if audited.answers]
    texts += [f"{audited.path}: {each.whole}" for audited in audits for each in audited.differences]
    notes = [{"level": "note", "message": {"text": visible(text)}} for text in texts]
    return {"toolExecutionNotifications": notes} if notes else {}


def _rules(findings: Sequence[Finding]) -> dict[str, dict[str, Any]]:
    """All checks of ours, then those that other distributions brought."""
    names = dict.fromkeys([*catalogue.CHECKS, *(finding.check for finding in findings)])
    return {name: _rule(name, catalogue.asked(name)) for name in names}


def _rule(name: str, asked: catalogue.Asked) -> dict[str, Any]:
    question = visible(asked.question)
    return {
        "id": visible(name),
        "name": "".join(word.capitalize() for word in visible(name).replace("_", "-").split("-")),
        "shortDescription": {"text": question},
        "fullDescription": {"text": question},
        "help": {
            "text": f"{question} {catalogue.HELP}",
            "markdown": f"**{question}** {catalogue.HELP}",
        },
        "defaultConfiguration": {"level": asked.severity.value},
        "properties": {"tags": [asked.scope], "precision": "high", "problem.severity": PROBLEM[asked.severity]},
    }


def _result(finding: Finding, audited: Audited, base: Path, index: int) -> dict[str, Any]:
    uri = _uri(finding, audited, base)
    location = {
        "artifactLocation": {"uri": uri, "uriBaseId": ROOT},
        "region": {"startLine": max(finding.line, 1)},  # GitHub asks for a line also where the fault has none
    }
    identity = "\0".join((finding.check, uri, finding.key, finding.wanted)).encode("utf-8", "surrogatepass")
    shown = {key: visible(getattr(finding, key)) for key in ("key", "found", "wanted", "clause", "fix", "official")}
    return {
        "ruleId": visible(finding.check),
        "ruleIndex": index,
        "level": finding.severity.value,
        "message": {"text": _message(shown)},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"primaryLocationLineHash": f"{hashlib.sha256(identity).hexdigest()[:16]}:1"},
        "properties": {**shown, "round": audited.round, "result": visible(audited.place(finding.file))},
    }


def _message(shown: dict[str, str]) -> str:
    said = f"{shown['key']} is {shown['found']}, wanted {shown['wanted']} ({shown['clause']}). {shown['fix']}"
    return said + (f" The official checker {shown['official']} it." if shown["official"] else "")


def _uri(finding: Finding, audited: Audited, base: Path) -> str:
    """The finding's file as a relative URI reference."""
    inside = Path(os.path.normpath(base / audited.path))
    start = inside.relative_to(base) if inside.is_relative_to(base) else Path()
    path = (start / finding.file).as_posix()
    try:
        named = path.encode("utf-8", "surrogateescape")  # the bytes of a file's name
    except UnicodeEncodeError:
        named = visible(path).encode("utf-8")
    return quote(named, safe="/") or "."
