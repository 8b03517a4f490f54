"""Word errors of recognised speech, as MLPerf's Whisper counts them: words written apart or together are no error."""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

LONGEST = 3  # words that may be written as one


def word_errors(found: Sequence[str], wanted: Sequence[str]) -> int:
    """Substitutions, deletions and insertions of words once those written together are joined on either side."""
    ours, theirs = _joined(found, wanted)
    return int(Levenshtein.distance(ours, theirs))


def _joined(found: Sequence[str], wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both rows with up to three words made one where that makes them equal at the same step from the left."""
    ours: list[str] = []
    theirs: list[str] = []
    here = there = 0
    while here < len(found) and there < len(wanted):
        taken, given = _step(found[here : here + LONGEST], wanted[there : there + LONGEST])
        ours.append("".join(found[here : here + taken]))
        theirs.append("".join(wanted[there : there + given]))
        here, there = here + taken, there + given
    return [*ours, *found[here:]], [*theirs, *wanted[there:]]


def _step(found: Sequence[str], wanted: Sequence[str]) -> tuple[int, int]:
    """How many words of each side stand for each other at their beginning."""
    for count in range(2, LONGEST + 1):
        if found[0] == wanted[0]:
            break
        if len(wanted) >= count and "".join(wanted[:count]) == found[0]:
            return 1, count
        if len(found) >= count and "".join(found[:count]) == wanted[0]:
            return count, 1
    return 1, 1
