"""Every disagreement between the verdicts on a tree and on its results, in a sentence that says why.

Four verdicts may stand side by side: that of the rules, the one that is expected of the new official checker, and what
the new and the old one really said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from audit import official, official_old
from audit.finding import Finding, Severity
from audit.official import ACCEPTS, CRASHES, REJECTS, Row

RULES, EXPECTED, NEW, OLD = "rules", "expected", "new", "old"
NAMES = {RULES: "the rules", EXPECTED: "expected", NEW: "the new official checker", OLD: "the old official checker"}
WHOLE = "the tree"
MOST = 2  # faults, or lines of a checker, that a sentence quotes
COMMIT = "b66003e1"  # of mlcommons/inference, of which the expectations are

Pair = tuple[str, str]  # of parties, or of their verdicts
RowOf = Callable[[Finding], Row | None]
ROWS: dict[str, RowOf] = {EXPECTED: official.row_of, NEW: official.row_of, OLD: official_old.row_of}


@dataclass(frozen=True)
class Word:
    """A verdict as it stands in the table; `lines` are a checker's own about this place, `fault` why it has none.

    `above` is what the checker rejects as a whole and a result is a part of.
    """

    verdict: str
    lines: tuple[str, ...] = ()
    fault: str = ""
    above: str = ""


@dataclass(frozen=True)
class Place:
    """A result, or the whole tree, with the verdicts on it by whose they are.

    `own` are the findings that lie in it, `around` those of what it belongs to: its system, its submitter, the tree.
    """

    name: str
    words: dict[str, Word]
    own: tuple[Finding, ...] = ()
    around: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Disagreement:
    """Two verdicts that differ in some places, and why; `places` are names of results, or the tree."""

    between: Pair
    verdicts: Pair
    why: str
    places: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All of it, several places as their number."""
        spread = f"{len(self.places)} results" if len(self.places) > 1 else self.places[0]
        return f"{spread}: {self._said}"

    @property
    def whole(self) -> str:
        """All of it with every place."""
        return f"{', '.join(self.places)}: {self._said}"

    @property
    def _said(self) -> str:
        (one, other), (first, second) = self.between, self.verdicts
        subject = f"{NAMES[other]} was {NAMES[one]} to {_bare(first)} it and {second}"
        if one != EXPECTED:
            subject = f"{NAMES[one]} {_verb(one, first)}, {NAMES[other]} {second}"
        return f"{subject}. {self.why}"


def disagreements(places: Iterable[Place]) -> list[Disagreement]:
    """All of them; what is said alike of several places is said once, and of the tree only what no result explains."""
    found: dict[tuple[Pair, Pair, str], list[str]] = {}
    said: dict[tuple[Pair, Pair], list[str]] = {}
    for place in sorted(places, key=lambda each: each.name == WHOLE):
        for pair, verdicts in _pairs(place):
            why = _why(place, pair)
            if place.name == WHOLE and (told := said.get((pair, verdicts))):
                beyond = [each for each in place.around if _moves(each, pair, verdicts)]
                why = _told(beyond, pair) if beyond else told[0]
                if any(why in each for each in told):
                    continue
            said.setdefault((pair, verdicts), []).append(why)
            found.setdefault((pair, verdicts, why), []).append(place.name)
    return [Disagreement(pair, verdicts, why, tuple(names)) for (pair, verdicts, why), names in found.items()]


def _pairs(place: Place) -> Iterator[tuple[Pair, Pair]]:
    """Pairs of verdicts that differ; a checker that came to no verdict on the tree said nothing of single results."""
    for pair in ((RULES, NEW), (RULES, OLD), (EXPECTED, NEW), (NEW, OLD)):
        words = [place.words[name].verdict for name in pair if name in place.words and place.words[name].verdict]
        if len(words) == len(pair) and words[0] != words[1] and (place.name == WHOLE or CRASHES not in words):
            yield pair, (words[0], words[1])


def _moves(finding: Finding, pair: Pair, verdicts: Pair) -> bool:
    """Whether a finding gives two parties just these verdicts."""
    return (_of(finding, pair[0]), _of(finding, pair[1])) == verdicts


def _of(finding: Finding, party: str) -> str:
    """What one party does about one finding."""
    if party == RULES:
        return REJECTS if finding.severity is Severity.ERROR else ACCEPTS
    row = ROWS[party](finding)
    return row.word if row else ACCEPTS


def _why(place: Place, pair: Pair) -> str:
    one, other = pair
    first, second = place.words[one], place.words[other]
    if second.fault or first.fault:
        name, word = (other, second) if second.fault else (one, first)
        return f"{_capital(NAMES[name])} came to no verdict: {word.fault}." + _crash(place, name)
    moving = [each for each in place.own if _moves(each, pair, (first.verdict, second.verdict))]
    if moving:
        return _told(moving, pair)
    if wider := [each for each in place.around if _moves(each, pair, (first.verdict, second.verdict))]:
        return f"A fault outside of the result: {_told(wider, pair)}"
    return _untold(place, pair)


def _crash(place: Place, party: str) -> str:
    """Which fault was expected to end it, if one was."""
    row_of = ROWS[party]
    ends = [each for each in (*place.own, *place.around) if (row := row_of(each)) and row.word == CRASHES]
    return f" That was to be expected of {_faults(ends)}." if ends else ""


def _told(found: Sequence[Finding], pair: Pair) -> str:
    """Why, where findings tell: the clause of the rules, and what a checker looks at."""
    by_reason: dict[str, list[Finding]] = {}
    for finding in found:
        by_reason.setdefault(_reason(finding, pair), []).append(finding)
    said = [f"{_faults(each)}: {reason}" for reason, each in by_reason.items()]
    more = f"; and for {len(said) - MOST} more reasons" if len(said) > MOST else ""
    ours = "" if pair[0] != RULES else _kind(found[0])
    return f"{_capital(ours + '; also '.join(said[:MOST]))}{more}."


def _kind(finding: Finding) -> str:
    return f"ours is {'stricter' if finding.severity is Severity.ERROR else 'laxer'}: "


def _reason(finding: Finding, parties: Iterable[str]) -> str:
    """What each party goes by: a checker's own words, the clause of the rules."""
    checkers = [f"{NAMES[name]}: {row.why}" for name in parties if name != RULES and (row := ROWS[name](finding))]
    return "; ".join([*checkers, *([f"the rules: {finding.clause}"] if RULES in parties else [])])


def _untold(place: Place, pair: Pair) -> str:
    """Why, where no finding gives both verdicts: a fault to one of them, or a checker's own lines."""
    for party, other in (pair, pair[::-1]):
        word = place.words[party].verdict
        severe = [each for each in (*place.own, *place.around) if _of(each, party) == word != ACCEPTS]
        if severe:
            above, verdict = place.words[other].above, place.words[other].verdict
            if above and verdict == ACCEPTS and _of(severe[0], other) == REJECTS:
                return f"{_capital(_faults(severe))}: {NAMES[other]} rejects {above} for it, and counts this result."
            return _otherwise(severe, party, other, outside=severe[0] in place.around)
    lines = [each for name in pair for each in place.words[name].lines if place.words[name].verdict == REJECTS]
    said = f"its own lines: {' | '.join(lines[:MOST])}" if lines else "it names no reason for this place"
    return f"No finding of ours is a fault to the one that rejects; {said}."


def _otherwise(found: Sequence[Finding], party: str, other: str, *, outside: bool) -> str:
    """`found` moves one party, and the other does not follow."""
    reason = _reason(found[0], (party,))
    alike = [each for each in found if _reason(each, (party,)) == reason]
    if outside and other in (RULES, EXPECTED):
        return f"A fault outside of the result, on which alone that verdict is: {_faults(alike)}; {reason}."
    late = NAMES[NEW if EXPECTED in (party, other) else other]
    return f"{_capital(_faults(alike))}: {reason}; {late} does otherwise here than the one of {COMMIT} that was read."


def _faults(found: Sequence[Finding]) -> str:
    """The first of them by name, and how many more."""
    names = list(dict.fromkeys(f"{each.check} {each.key}" for each in found))
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


def _verb(party: str, verdict: str) -> str:
    """A verdict beside its party, whose number it has."""
    return _bare(verdict) if party == RULES else verdict


def _bare(verdict: str) -> str:
    return {ACCEPTS: "accept", REJECTS: "reject", CRASHES: "crash at"}.get(verdict, verdict)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
