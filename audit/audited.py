"""What was audited and what came of it, ready to be written in any form: results, folded findings, two verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audit import catalogue
from audit.finding import Finding, Severity, errors

ACCEPTS, REJECTS = "accepts", "rejects"
SEVERAL, WHOLE = "in several results", "the tree"
MOST = 100  # characters of a found value in a heading
ORDER = tuple(Severity)
# What a heading names first: a fault of a run tells more of a result than a stray file.
SCOPES = (catalogue.RUN, catalogue.RESULT, catalogue.TEST, catalogue.RERUN, catalogue.TREE)


@dataclass(frozen=True)
class Answer:
    """What an official checker said when it was run: "accepts", "rejects" or "crashes", and why in its own lines."""

    checker: str
    verdict: str
    results: int = 0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audited:
    """One path with everything that was found in it.

    `results` names every result that was looked at, also those without a finding; `place` names the result behind a
    finding's file ("" for what belongs to no result). `predicted` is what the official checker would say, "" where it
    was never asked about such a folder.
    """

    path: Path
    kind: str
    round: str
    findings: tuple[Finding, ...]
    results: tuple[str, ...] = ()
    place: Callable[[str], str] = field(default=lambda file: "", compare=False)
    round_from: str = ""
    predicted: str = ""
    answers: tuple[Answer, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the rules reject nothing."""
        return not errors(self.findings)

    @property
    def rules(self) -> str:
        """The verdict of the rules."""
        return ACCEPTS if self.passed else REJECTS


@dataclass(frozen=True)
class Folded:
    """A finding that stands for all that say the same of other files; `count` of them, itself included."""

    finding: Finding
    files: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many findings it stands for."""
        return len(self.files)


@dataclass(frozen=True)
class Group:
    """The findings of one result, or those that several results share."""

    title: str
    findings: tuple[Folded, ...]


def grouped(audited: Audited) -> list[Group]:
    """Findings by result, the gravest first; equal ones of several results stand once, in a group of their own."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in ranked(audited.findings):
        alike.setdefault(_content(finding), []).append(finding)
    groups: dict[str, list[Folded]] = {}
    for found in alike.values():
        places = {audited.place(finding.file) for finding in found}
        title = (places.pop() or WHOLE) if len(places) == 1 else SEVERAL
        groups.setdefault(title, []).append(Folded(found[0], tuple(_where(finding) for finding in found)))
    order = {SEVERAL: -2, WHOLE: -1}
    titles = sorted(groups, key=lambda title: (order.get(title, 0), title))
    return [Group(title, tuple(groups[title])) for title in titles]


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """The gravest first, otherwise in the order in which they were found."""
    return sorted(findings, key=lambda finding: ORDER.index(finding.severity))


def headline(audited: Audited) -> str:
    """Pass or fail and why, in one line."""
    rejecting = errors(audited.findings)
    counts = counted(audited.findings)
    spread = _spread(audited, rejecting or audited.findings)
    if not rejecting:
        looked = f" in {len(audited.results)} results" if len(audited.results) > 1 else ""
        return f"PASS  {audited.path}: " + (f"{counts}{spread}" if counts else f"nothing to object to{looked}")
    first = min(rejecting, key=lambda finding: SCOPES.index(catalogue.asked(finding.check).scope))
    why = f"{first.check}: {first.key} is {_cut(first.found)}, wanted {_cut(first.wanted)}"
    return f"FAIL  {audited.path}: {why}; {counts}{spread}"


def counted(findings: Sequence[Finding]) -> str:
    """How many of each severity: "2 errors, 1 note"."""
    counts = Counter(finding.severity for finding in findings)
    return ", ".join(f"{n} {severity.value}{'s' if n > 1 else ''}" for severity in ORDER if (n := counts[severity]))


def _cut(value: str) -> str:
    return value if len(value) <= MOST else f"{value[:MOST]}…"


def _spread(audited: Audited, findings: Sequence[Finding]) -> str:
    """In how many of the results they lie."""
    if len(audited.results) < 2:
        return ""
    hit = {audited.place(finding.file) for finding in findings} & set(audited.results)
    return f" in {len(hit)} of {len(audited.results)} results"


def _content(finding: Finding) -> tuple[object, ...]:
    """What makes two findings say the same."""
    return tuple(value for name, value in vars(finding).items() if name not in ("file", "line"))


def _where(finding: Finding) -> str:
    return f"{finding.file}:{finding.line}" if finding.line else finding.file
