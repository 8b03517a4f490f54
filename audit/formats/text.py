"""Findings as lines for people: pass or fail and why, then by result what, where, found, wanted, clause and remedy.

A line is a sequence of (text, style); console.py turns styles into colours, a file gets the text alone. Whatever a
foreign folder says passes through `visible`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from audit import official
from audit.audited import ORDER, Audited, Folded, Group, counted, grouped, headline
from audit.finding import Finding
from audit.result_rows import ACCEPTS, REJECTS, shown
from loadgen_harness.visible import visible

Piece = tuple[str, str]
Line = tuple[Piece, ...]

STRONG, DIM, GOOD, BAD = "strong", "dim", "good", "bad"
VERDICTS = {ACCEPTS: GOOD, REJECTS: BAD, "crashes": BAD}
SHOWN_FILES = 3
SHOWN_REASONS = 3
CELL, CELL_END = 48, 20  # characters of a table's cell, and of its end where it is shortened
LONGEST = 300  # characters of one value; the rest is in the file that the finding names


def lines(audits: Sequence[Audited]) -> Iterator[Line]:
    """Everything about what was audited: the first line says pass or fail and why."""
    if len(audits) > 1:
        failed = sum(not audited.passed for audited in audits)
        verdict = f"FAIL  {failed} of {len(audits)} audited" if failed else f"PASS  all {len(audits)} audited"
        yield ((verdict, BAD if failed else GOOD),)
    for audited in audits:
        yield ((visible(headline(audited)), GOOD if audited.passed else BAD),)
        yield ((f"      {visible(audited.kind)}, {_round(audited)}", DIM),)
        if audited.unverified:
            yield ((f"      not verified: {visible('; '.join(audited.unverified))}", DIM),)
        if audited.rows:
            yield ()
            yield from _table(audited)
        for group in grouped(audited):
            yield ()
            yield from _group(group)
        yield ()
        yield from _verdicts(audited)
        yield from _differences(audited)


def plain(audits: Sequence[Audited]) -> str:
    """The lines without colours."""
    return "".join("".join(text for text, _ in line) + "\n" for line in lines(audits))


def findings(found: Iterable[Finding]) -> Iterator[Line]:
    """Findings alone, the gravest first, each in a block of its own."""
    for finding in sorted(found, key=lambda each: ORDER.index(each.severity)):
        where = f"{finding.file}:{finding.line}" if finding.line else finding.file
        yield from _block(Folded(finding, (where,), (finding.key,), 1))


def _round(audited: Audited) -> str:
    if not audited.round:
        return f"no rules of its round here ({visible(audited.round_from)})"
    return f"round {audited.round}" + (f" ({visible(audited.round_from)})" if audited.round_from else "")


def _table(audited: Audited) -> Iterator[Line]:
    """A line for each result: figure, accuracy, verdicts."""
    names, cells = shown(audited.rows)
    texts = [tuple(map(_short, row)) for row in cells]
    widths = [max(map(len, column)) for column in zip(names, *texts, strict=True)]
    yield (("  " + "  ".join(f"{name:{width}}" for name, width in zip(names, widths, strict=True)).rstrip(), DIM),)
    for row in texts:
        padded = [f"  {text:{width}}" for text, width in zip(row, (*widths[:-1], 0), strict=True)]
        yield tuple((text, VERDICTS.get(text.strip(), "")) for text in padded)


def _group(group: Group) -> Iterator[Line]:
    whole = [finding for folded in group.findings for finding in folded.everything]
    yield ((visible(group.title), STRONG), (f"  {counted(whole)}", DIM))
    for folded in group.findings:
        yield from _block(folded)


def _block(folded: Folded) -> Iterator[Line]:
    finding = folded.finding
    times = f"  {said}" if (said := repeated(folded)) else ""
    severity = finding.severity.value
    yield (
        ("  ", ""),
        (severity, severity),
        (f"  {_value(finding.check)}", STRONG),
        (f"  {_value(', '.join(folded.keys))}{times}", ""),
    )
    for where in filter(None, folded.files[:SHOWN_FILES]):
        yield ((f"      {_value(where)}", ""),)
    if len(folded.files) > SHOWN_FILES:
        yield ((f"      and {len(folded.files) - SHOWN_FILES} more files", ""),)
    yield ((f"      found   {_value(finding.found)}", ""),)
    yield ((f"      wanted  {_value(finding.wanted)}", ""),)
    yield ((f"      rule    {_value(finding.clause)}", DIM),)
    yield ((f"      fix     {_value(finding.fix)}", ""),)
    if finding.official:
        yield ((f"      {_value(by_checker(finding))}", DIM),)
    if folded.follows:
        yield ((f"      {_value(following(folded))}", DIM),)


def repeated(folded: Folded) -> str:
    """How often it was found, where that is more than once."""
    if folded.count == 1:
        return ""
    return f"×{folded.count}" + (f", the same in {folded.results} results" if folded.results > 1 else "")


def following(folded: Folded) -> str:
    """What only follows from it, so that it is not said again."""
    names = dict.fromkeys(f"{finding.check} {finding.key}" for finding in folded.follows)
    return f"from this follow {len(folded.follows)} more: {', '.join(names)}" if names else ""


def verdicts(audited: Audited) -> list[tuple[str, str, str]]:
    """The two verdicts, and what the official checkers said where they were run: (whose, verdict, why)."""
    rows = [("rules", audited.rules, counted(audited.findings) or "nothing to object to")]
    if audited.predicted:
        rows.append(("official checker", audited.predicted, f"expected of the checker of {audited.round}"))
    for answer in audited.answers:
        told = (answer.fault,) if answer.fault else answer.errors[:SHOWN_REASONS]
        kept = f" (log: {answer.log})" if answer.log else ""
        why = "; ".join((f"{answer.results} result{'' if answer.results == 1 else 's'}{kept}", *told))
        rows.append((f"official checker, {answer.checker}", answer.verdict, why))
    return rows


def by_checker(finding: Finding) -> str:
    """What the official checker does about a finding, and its own reason where that is known; "" where nothing is."""
    row = official.row_of(finding)
    why = f": {row.why}" if row and row.word == finding.official else ""
    said = "crashes on" if finding.official == official.CRASHES else finding.official
    return f"the official checker {said} it{why}" if finding.official else ""


def _verdicts(audited: Audited) -> Iterator[Line]:
    rows = verdicts(audited)
    width = max(len(name) for name, _, _ in rows)
    for name, verdict, why in rows:
        yield ((f"{name:{width}}  ", ""), (f"{verdict:8}", VERDICTS.get(verdict, "")), (f"  {_value(why)}", DIM))


def _differences(audited: Audited) -> Iterator[Line]:
    """Every disagreement of the verdicts, with the results that it is about."""
    for each in audited.differences:
        yield ((f"  {visible(each.sentence)}", ""),)
        for place in each.places[:SHOWN_FILES] if len(each.places) > 1 else ():
            yield ((f"      {visible(place)}", DIM),)
        if len(each.places) > SHOWN_FILES:
            yield ((f"      and {len(each.places) - SHOWN_FILES} more results", DIM),)


def _short(text: str) -> str:
    """A cell of a table: names of systems are long, and stand whole further down."""
    shown_ = visible(text)
    return shown_ if len(shown_) <= CELL else f"{shown_[: CELL - CELL_END - 1]}…{shown_[-CELL_END:]}"


def _value(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}… ({len(shown)} characters)"
