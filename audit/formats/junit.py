"""Findings as JUnit XML: a suite for each result, in it a case for each check; an error is a failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from audit import catalogue
from audit.audited import WHOLE, Audited, counted
from audit.finding import Finding, errors
from audit.formats.text import verdicts
from audit.result_rows import ACCEPTS
from loadgen_harness.visible import visible


def write(audits: Sequence[Audited]) -> str:
    """The XML text. A case that failed names its errors; warnings and notes stand in the case's output."""
    root = ElementTree.Element("testsuites", {"name": "loadgen-harness"})
    for audited in audits:
        for result in (*audited.results, ""):
            found = [finding for finding in audited.findings if _result(finding, audited) == result]
            root.append(_suite(audited, result, found))
        if audited.answers:
            root.append(_official(audited))
    for key in ("tests", "failures"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ElementTree.indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _result(finding: Finding, audited: Audited) -> str:
    """The result that a finding counts for, "" where it is none of those that were looked at."""
    place = audited.place(finding.file)
    return place if place in audited.results else ""


def _suite(audited: Audited, result: str, found: Sequence[Finding]) -> ElementTree.Element:
    name = visible(f"{audited.path}/{result or WHOLE}")
    by_check = {check: [f for f in found if f.check == check] for check in _checks(bool(result), found)}
    suite = ElementTree.Element("testsuite", {"name": name})
    suite.extend(_case(name, check, each) for check, each in by_check.items())
    failures = sum(bool(errors(each)) for each in by_check.values())
    counts = {"tests": len(by_check), "failures": failures, "errors": 0, "skipped": 0}
    for key, count in counts.items():
        suite.set(key, str(count))
    return suite


def _official(audited: Audited) -> ElementTree.Element:
    """A suite with a case for each official checker that was run: one that does not accept has failed."""
    name = visible(f"{audited.path}/official checkers")
    suite = ElementTree.Element("testsuite", {"name": name})
    for answer, (_, verdict, why) in zip(audited.answers, verdicts(audited)[-len(audited.answers) :], strict=True):
        case = ElementTree.SubElement(suite, "testcase", {"name": answer.checker, "classname": name, "time": "0"})
        if verdict != ACCEPTS:
            ElementTree.SubElement(case, "failure", {"type": verdict, "message": visible(why)})
        said = [visible(each.whole) for each in audited.differences if answer.checker in each.between]
        if said:
            ElementTree.SubElement(case, "system-out").text = "\n".join(said)
    failures = sum(answer.verdict != ACCEPTS for answer in audited.answers)
    for key, count in {"tests": len(audited.answers), "failures": failures, "errors": 0, "skipped": 0}.items():
        suite.set(key, str(count))
    return suite


def _checks(of_result: bool, found: Sequence[Finding]) -> Iterator[str]:
    """The checks that look at a result or at the whole, then those that others brought."""
    scopes = (catalogue.RUN, catalogue.RESULT) if of_result else (catalogue.TREE,)
    known = [name for name, asked in catalogue.CHECKS.items() if asked.scope in scopes]
    yield from known
    yield from dict.fromkeys(finding.check for finding in found if finding.check not in known)


def _case(suite: str, check: str, found: Sequence[Finding]) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"name": visible(check), "classname": suite, "time": "0"})
    rejecting = errors(found)
    if rejecting:
        failure = ElementTree.SubElement(case, "failure", {"type": "error", "message": visible(_short(rejecting[0]))})
        failure.text = "\n\n".join(map(_whole, rejecting))
    others = [finding for finding in found if finding not in rejecting]
    if others:
        output = ElementTree.SubElement(case, "system-out")
        output.text = "\n\n".join([counted(others), *map(_whole, others)])
    return case


def _short(finding: Finding) -> str:
    return f"{finding.key} is {finding.found}, wanted {finding.wanted}"


def _whole(finding: Finding) -> str:
    where = f"{finding.file}:{finding.line}" if finding.line else finding.file
    lines = [f"{finding.severity.value}: {where}: {_short(finding)}", finding.clause, f"fix: {finding.fix}"]
    if finding.official:
        lines.append(f"official checker: {finding.official}")
    return "\n".join(map(visible, lines))
