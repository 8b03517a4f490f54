"""Findings as one HTML page that needs no network: both verdicts, a grid of results and checks, and every finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audit import catalogue
from audit.audited import ORDER, WHOLE, Audited, Folded, counted, grouped, headline
from audit.finding import Finding
from audit.formats.text import by_checker, following, repeated, verdicts
from audit.result_rows import shown
from loadgen_harness import __version__
from loadgen_harness.visible import visible
from submissions.report import environment

Cell = tuple[str, int]  # severity and how many; "" and 0 where a check had nothing to say


def write(audits: Sequence[Audited]) -> str:
    """The page's text."""
    content = {"audits": [_audited(audited) for audited in audits], "version": __version__}
    return environment().get_template("audit.html.j2").render(content)


def _audited(audited: Audited) -> dict[str, Any]:
    return {
        "path": visible(str(audited.path)),
        "kind": audited.kind,
        "round": audited.round,
        "round_from": visible(audited.round_from),
        "passed": audited.passed,
        "unverified": visible("; ".join(audited.unverified)),
        "headline": visible(headline(audited)),
        "verdicts": [tuple(map(visible, row)) for row in verdicts(audited)],
        "differences": [(visible(each.sentence), tuple(map(visible, each.places))) for each in audited.differences],
        "table": _table(audited),
        "grid": grid(audited),
        "groups": [
            {
                "title": visible(group.title),
                "counts": _counts(group.findings),
                "findings": list(map(_shown, group.findings)),
            }
            for group in grouped(audited)
        ],
    }


def _table(audited: Audited) -> dict[str, Any]:
    """Column names and a row for each result: figure, accuracy, power, verdicts."""
    columns, rows = shown(audited.rows)
    return {"columns": columns, "rows": [tuple(map(visible, row)) for row in rows]}


def grid(audited: Audited) -> dict[str, Any]:
    """Rows of results and the tree, columns of the checks that found something; a cell has the gravest and a count."""
    order = list(catalogue.CHECKS)
    checks = sorted(
        {f.check for f in audited.findings}, key=lambda name: order.index(name) if name in order else len(order)
    )
    by_place: dict[str, list[Finding]] = {}
    for finding in audited.findings:
        by_place.setdefault(audited.place(finding.file), []).append(finding)
    by_place |= {name: by_place.pop(name, []) for name in audited.results}  # what belongs to no result stands first
    rows = [(visible(name or WHOLE), [_cell(found, check) for check in checks]) for name, found in by_place.items()]
    return {"checks": [visible(name) for name in checks], "rows": rows}


def _cell(findings: Sequence[Finding], check: str) -> Cell:
    own = [finding.severity for finding in findings if finding.check == check]
    return (min(own, key=ORDER.index).value, len(own)) if own else ("", 0)


def _counts(findings: Sequence[Folded]) -> str:
    return counted([finding for folded in findings for finding in folded.everything])


def _shown(folded: Folded) -> dict[str, Any]:
    values = {name: visible(str(value)) for name, value in vars(folded.finding).items()}
    values["official"] = visible(by_checker(folded.finding))
    values["key"] = visible(", ".join(folded.keys))
    said = {"times": repeated(folded), "follows": visible(following(folded))}
    return {**values, **said, "files": [visible(file) for file in folded.files]}
