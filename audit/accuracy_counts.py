"""Do the figures that accuracy.txt states agree with each other, and with the number of samples that were answered?

The reference scripts print several views of one count: a share with its numerator and denominator, a mean with its
parts. Whoever edits the figure that the official checker reads has to edit the others too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from audit.accuracy_text import FILE
from audit.finding import Finding, Severity
from loadgen_harness.run import Run

CHECK = "accuracy-text"
CLAUSE = (
    "MLPerf_Audit_Guidelines.adoc, Compare results; inference_rules.adoc, LoadGen Operation: the validation run uses "
    "each sample of the library exactly once"
)
FIX = "Write the file again with the accuracy script, from the log whose hash it states."
NUMBER = r"(\d{1,15}(?:\.\d{1,15})?)"
SLACK = 1e-9
DEVIATIONS = 6.0


class Doubt(NamedTuple):
    """Two views of one figure that do not agree; `digits` of a figure are as many as were printed."""

    key: str
    found: str
    wanted: str


def check(text: str, samples: float | None = None, *, subset: bool = False) -> Iterator[Finding]:
    """A Finding for every contradiction; `samples` are those of the accuracy run, of which a `subset` is a part."""
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, judge in VIEWS.items():
            if match := re.search(pattern, line):
                yield from (_finding(doubt, number) for doubt in judge(match))
        if samples and (match := re.match(COUNTED, line)):
            yield from (_finding(doubt, number) for doubt in _counted(match, samples, subset))


class Drawn(NamedTuple):
    """What a test's run scored: how many responses it logged, of how many samples, and the whole's percentage."""

    logged: float
    loaded: float
    percent: float | None = None


def part(text: str, drawn: Drawn) -> Iterator[Finding]:
    """Warnings where accuracy.txt of a test states another count or share than so many random responses can give."""
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.search(rf"accuracy={NUMBER}%, good={NUMBER}, total={NUMBER}", line)
        for doubt in _part(match, drawn) if match else ():
            yield replace(_finding(doubt, number), severity=Severity.WARNING)


def _part(match: re.Match[str], drawn: Drawn) -> Iterator[Doubt]:
    total, rest = float(match[3]), math.exp(-drawn.logged / drawn.loaded)
    mean = drawn.loaded * (1 - rest)  # different samples among the logged ones
    apart = DEVIATIONS * math.sqrt(drawn.loaded * rest * max(1 - rest * (1 + drawn.logged / drawn.loaded), 0.0)) + 1
    if abs(total - mean) > apart:
        wanted = f"{max(mean - apart, 1):.0f} to {min(mean + apart, drawn.loaded):.0f} different samples, of "
        yield Doubt("total", match[3], f"{wanted}{drawn.logged:.0f} responses to {drawn.loaded:.0f} loaded ones")
    elif drawn.percent is not None and total:
        share = min(max(drawn.percent / 100, 0.0), 1.0)
        bound = 100 * DEVIATIONS * math.sqrt(share * (1 - share) / total) + 100 / total
        if abs(float(match[1]) - drawn.percent) > bound:
            yield Doubt("accuracy", f"{match[1]} %", f"within {bound:.2g} of {drawn.percent:g} %, the accuracy run's")


def percent(text: str) -> float | None:
    """The percentage of an accuracy.txt that states it with its count."""
    match = re.search(rf"accuracy={NUMBER}%, good={NUMBER}, total={NUMBER}", text)
    return float(match[1]) if match else None


def answered(run: Run | None) -> float | None:
    """How many samples an accuracy run answered, each once; None where its log does not say, or says two numbers."""
    values = (
        [run.log.get(key) for key in ("effective_accuracy_sample_count", "qsl_reported_total_count")] if run else []
    )
    counts = {float(value) for value in values if isinstance(value, int | float) and value > 0}
    return counts.pop() if len(counts) == 1 else None


def _share(match: re.Match[str]) -> Iterator[Doubt]:
    """accuracy=76.502%, good=38251, total=50000"""
    percent, good, total = (float(each) for each in match.groups())
    if good > total or not total:
        yield Doubt("good", match[2], f"{match[3]} at most, the total")
    elif abs(100 * good / total - percent) > _half(match[1]):
        yield Doubt("accuracy", f"{match[1]} %", f"{100 * good / total:.5g} %, good={match[2]} of total={match[3]}")


def _tokens(match: re.Match[str]) -> Iterator[Doubt]:
    """'gen_num': 24576, 'gen_tok_len': 7256140, 'tokens_per_sample': 295.3"""
    samples, tokens, mean = (float(each) for each in match.groups())
    if not samples or abs(tokens / samples - mean) > _half(match[3]):
        wanted = f"{tokens / samples:.6g}" if samples else "a number of samples"
        yield Doubt("tokens_per_sample", match[3], f"{wanted}, gen_tok_len={match[2]} of gen_num={match[1]}")


def _errors(match: re.Match[str]) -> Iterator[Doubt]:
    """Word Error Rate: 2.3456%, accuracy=97.6544%"""
    rate, accuracy = float(match[1]), float(match[2])
    if abs(100 - rate - accuracy) > _half(match[1]) + _half(match[2]):
        yield Doubt("accuracy", f"{match[2]} %", f"{100 - rate:.6g} %, 100 less the word error rate of {match[1]} %")


def _dice(match: re.Match[str]) -> Iterator[Doubt]:
    """Accuracy: mean = 0.86170, kidney = 0.9347, tumor = 0.7887"""
    mean, kidney, tumour = (float(each) for each in match.groups())
    if abs((kidney + tumour) / 2 - mean) > _half(match[1]) + _half(match[2]):
        yield Doubt("mean", match[1], f"{(kidney + tumour) / 2:.5g}, the mean of {match[2]} and {match[3]}")


VIEWS: Mapping[str, Callable[[re.Match[str]], Iterator[Doubt]]] = {
    rf"accuracy={NUMBER}%, good={NUMBER}, total={NUMBER}": _share,
    rf"'gen_num': {NUMBER}, 'gen_tok_len': {NUMBER}, 'tokens_per_sample': {NUMBER}": _tokens,
    rf"Word Error Rate: {NUMBER}%, accuracy={NUMBER}%": _errors,
    rf"Accuracy: mean = {NUMBER}, kidney = {NUMBER}, tumor = {NUMBER}": _dice,
}
COUNTED = rf"accuracy=.*\b(total)={NUMBER}|.*'(gen_num)': {NUMBER}"


def _counted(match: re.Match[str], samples: float, subset: bool) -> Iterator[Doubt]:
    """How many samples were scored: all of the accuracy run's, of a compliance test's no more than these."""
    key, count = (match[1], match[2]) if match[1] else (match[3], match[4])
    if float(count) > samples if subset else float(count) != samples:
        most = " at most" if subset else ""
        yield Doubt(key, count, f"{samples:.0f}{most}, the samples of the accuracy run")


def _half(digits: str) -> float:
    """What rounding to the digits printed may have taken away."""
    _, _, decimals = digits.partition(".")
    return 0.5 * 10.0 ** -len(decimals) + SLACK


def _finding(doubt: Doubt, line: int) -> Finding:
    return Finding(CHECK, Severity.ERROR, FILE, doubt.key, doubt.found, doubt.wanted, CLAUSE, FIX, line)
