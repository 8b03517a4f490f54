"""What was audited and what came of it, ready to be written in any form: results, folded findings, two verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audit import cascade, catalogue, disagreements
from audit.disagreements import EXPECTED, RULES, Disagreement, Place, Word
from audit.finding import Finding, Severity, errors
from audit.result_rows import ACCEPTS, REJECTS, Figures, ResultRow, rows

SEVERAL, WHOLE = "in several results", disagreements.WHOLE
MOST = 100  # characters of a found value in a heading
ORDER = tuple(Severity)
# What a heading names first: a fault of a run tells more of a result than a stray file.
SCOPES = (catalogue.RUN, catalogue.RESULT, catalogue.TEST, catalogue.RERUN, catalogue.TREE, catalogue.PLAN)


@dataclass(frozen=True)
class Answer:
    """What an official checker said when it was run: "accepts", "rejects" or "crashes", and why in its own lines.

    `by_result` is its word on each result and `errors_of` its error lines about one; `fault` says why it came to no
    verdict, and all that it printed lies in `log`.
    """

    checker: str
    verdict: str
    results: int = 0
    reasons: tuple[str, ...] = ()
    by_result: Mapping[str, str] = field(default_factory=dict)
    errors_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fault: str = ""
    log: str = ""

    def on(self, result: str) -> str:
        """Its word on one result, else on a folder above it, else that it came to none."""
        return self.by_result.get(result) or (REJECTS if self.above(result) else self.verdict if self.fault else "")

    def above(self, result: str) -> str:
        """The nearest folder above a result that it rejects as a whole; "" for none."""
        folders = (result.rsplit("/", up)[0] for up in range(1, result.count("/") + 1))
        return next((each for each in folders if self.by_result.get(each) == REJECTS), "")

    def lines_on(self, result: str) -> tuple[str, ...]:
        """Its error lines about one result."""
        return self.errors_of.get(result, ())

    @property
    def errors(self) -> tuple[str, ...]:
        """Its error lines, wherever."""
        return tuple(line for line in self.reasons if line.startswith("ERROR"))


@dataclass(frozen=True)
class Audited:
    """One path with everything that was found in it.

    `results` names every result that was looked at, also those without a finding; `place` names the result behind a
    finding's file ("" for what belongs to no result). `figures` are what results state, by name. `predicted` is what
    the official checker would say, "" where it was never asked about such a folder. `unverified` names what nobody
    could look at, so that a pass is not taken for more than it is.
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
    figures: Mapping[str, Figures] = field(default_factory=dict)
    unverified: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the rules reject nothing."""
        return not errors(self.findings)

    @property
    def rows(self) -> list[ResultRow]:
        """Each result with its figures and the verdicts on it alone."""
        by_result: dict[str, list[Finding]] = {}
        for finding in self.findings:
            by_result.setdefault(self.place(finding.file), []).append(finding)
        made = rows(self.results, self.figures, by_result, predicted=bool(self.predicted))
        return [replace(row, said={each.checker: each.on(row.result) for each in self.answers}) for row in made]

    @property
    def rules(self) -> str:
        """The verdict of the rules."""
        return ACCEPTS if self.passed else REJECTS

    @property
    def differences(self) -> list[Disagreement]:
        """Where the rules, the expected verdict and official checkers that were run disagree, and why."""
        return disagreements.disagreements(_places(self)) if self.answers else []


def _places(audited: Audited) -> Iterator[Place]:
    """Every result and the whole tree with all verdicts on it."""
    lying: dict[str, list[Finding]] = {}
    for finding in audited.findings:
        lying.setdefault(audited.place(finding.file), []).append(finding)
    outside = {place: found for place, found in lying.items() if place not in audited.results}
    for row in audited.rows:
        words = {RULES: Word(row.rules), EXPECTED: Word(row.official)}
        around = [each for place, found in outside.items() if _holds(place, row.result) for each in found]
        for each in audited.answers:
            above = each.above(row.result)
            whole = WHOLE if each.verdict == REJECTS else ""
            words[each.checker] = Word(each.on(row.result), each.lines_on(row.result), above=above or whole)
            if above and row.result not in each.by_result:  # a fault of the tree beneath rejects this one with it
                beneath = (one for place, found in lying.items() if _holds(above, place) for one in found)
                around += [one for one in beneath if catalogue.asked(one.check).scope == catalogue.TREE]
        own = tuple(lying.get(row.result, ()))
        yield Place(row.result, words, own, tuple(dict.fromkeys(one for one in around if one not in own)))
    words = {RULES: Word(audited.rules), EXPECTED: Word(audited.predicted)}
    words |= {each.checker: Word(each.verdict, each.errors, each.fault) for each in audited.answers}
    yield Place(WHOLE, words, audited.findings, tuple(each for found in outside.values() for each in found))


def _holds(place: str, result: str) -> bool:
    return not place or f"{result}/".startswith(f"{place}/")


@dataclass(frozen=True)
class Folded:
    """A finding that stands for all that say the same of other files or keys; `count` of them, itself included.

    `follows` are findings that only follow from these, `results` how many results they lie in.
    """

    finding: Finding
    files: tuple[str, ...]
    keys: tuple[str, ...]
    count: int
    results: int = 0
    follows: tuple[Finding, ...] = ()

    @property
    def everything(self) -> tuple[Finding, ...]:
        """One finding for each that it stands for, for counting."""
        return (*((self.finding,) * self.count), *self.follows)


@dataclass(frozen=True)
class Group:
    """The findings of one result, or those that several results share."""

    title: str
    findings: tuple[Folded, ...]


def grouped(audited: Audited) -> list[Group]:
    """Findings by result, the gravest first; equal ones of several results stand once, in a group of their own."""
    own, follows = cascade.split(ranked(audited.findings))
    groups: dict[str, list[Folded]] = {}
    for found in _alike(own):
        places = {audited.place(finding.file) for finding in found}
        title = (next(iter(places)) or WHOLE) if len(places) == 1 else SEVERAL
        after = tuple(each for finding in found for each in follows.get(finding, ()))
        groups.setdefault(title, []).append(_folded(found, len(places & set(audited.results)), after))
    order = {SEVERAL: -2, WHOLE: -1}
    titles = sorted(groups, key=lambda title: (order.get(title, 0), title))
    return [Group(title, tuple(groups[title])) for title in titles]


def _alike(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings that say the same: of one key in several files, then of several keys in the same files."""
    by_content: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        by_content.setdefault(_content(finding, "file", "line"), []).append(finding)
    by_files: dict[tuple[object, ...], list[Finding]] = {}
    for found in by_content.values():
        files = tuple(sorted(finding.file for finding in found))
        by_files.setdefault((files, *_content(found[0], "file", "line", "key", "wanted")), []).extend(found)
    return list(by_files.values())


def _folded(found: Sequence[Finding], results: int, follows: tuple[Finding, ...]) -> Folded:
    keys = tuple(dict.fromkeys(finding.key for finding in found))
    places = [_where(finding) if len(keys) == 1 else finding.file for finding in found]
    first = replace(found[0], wanted=", ".join(dict.fromkeys(finding.wanted for finding in found)))
    return Folded(first, tuple(dict.fromkeys(places)), keys, len(found), results, follows)


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
    of = f"of the {len(audited.results)} results audited"
    return f" in {len(hit)} {of}" if hit else f", none of them in one {of}"


def _content(finding: Finding, *without: str) -> tuple[object, ...]:
    """What makes two findings say the same."""
    return tuple(value for name, value in vars(finding).items() if name not in without)


def _where(finding: Finding) -> str:
    return f"{finding.file}:{finding.line}" if finding.line else finding.file
