"""Accuracy: judged against the round's targets, written to accuracy.txt, read back as the official checker does."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from audit.finding import Finding, Severity
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Benchmark, Division, Metric, Rules, Scenario, Score, Target

FILE = "accuracy.txt"


class Line(NamedTuple):
    """How accuracy.txt states one official metric: what is written, and what the checker looks for in a line."""

    form: str  # format string of value, correct, n and the other scores' names
    pattern: str  # one group: the number


def _listed(key: str, digits: int = 4) -> Line:
    """A metric inside a printed Python dictionary."""
    return Line(f"{{{{'{key}': {{value:.{digits}f}}}}}}", rf".*'{key}':\s+'?([\d.]+)")


OFFICIAL: Mapping[str, Line] = {
    "acc": Line("accuracy={value:.3f}%, good={correct}, total={n}", r'(?:\{"accuracy|accuracy)[": ]*=?\s*([\d.]+)'),
    "mAP": Line("mAP={value:.3f}%", r".*(?:mAP=|'Total':)\s*([\d.]+)"),
    "F1": Line(
        '{{"exact_match": {exact_match:.5f}, "f1": {value:.5f}}}',
        r"""\{["']exact_match["']:\s*[\d.]+,\s*["']f1["']:\s*([\d.]+)\}""",
    ),
    "DICE": Line("Accuracy: mean = {value:.5f}", r"Accuracy:\s*mean\s*=\s*([\d.]+)"),
    "ACCURACY": Line("Word Error Rate: {rest:.4f}%, accuracy={value:.4f}%", r"Word Error Rate:.*, accuracy=([\d.]+)%"),
    "ROUGE1": _listed("rouge1"),
    "ROUGE2": _listed("rouge2"),
    "ROUGEL": _listed("rougeL"),
    "ROUGELSUM": _listed("rougeLsum"),
    "GEN_LEN": _listed("gen_len", 0),
    "TOKENS_PER_SAMPLE": _listed("tokens_per_sample", 2),
    "exact_match": _listed("exact_match"),
    "CLIP_SCORE": _listed("CLIP_SCORE", 5),
    "FID_SCORE": _listed("FID_SCORE", 5),
    "vbench_score": _listed("vbench_score"),
    "F1_HIERARCHICAL": Line('{{"f1": {value:.5f}}}', r'\{.*"f1":\s*([\d.]+).*\}'),
    "E2E_ACCURACY": Line("Accuracy: {value:.4f}", r"Accuracy:\s*([\d.]+)"),
    "DLRM_NE": Line("metric/lifetime_ne/rating: {value:.6f}", r".*metric/lifetime_ne/rating:\s*([\d.]+)"),
    "DLRM_ACC": Line("metric/lifetime_accuracy/rating: {value:.6f}", r".*metric/lifetime_accuracy/rating:\s*([\d.]+)"),
    "DLRM_AUC": Line("metric/lifetime_gauc/rating: {value:.6f}", r".*metric/lifetime_gauc/rating:\s*([\d.]+)"),
}
_NUMBER = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)"
_HASH = re.compile(r"^hash=(\w+)$", re.MULTILINE)


def judge(
    scores: Sequence[Score],
    rules: Rules,
    *,
    division: Division = Division.CLOSED,
    scenario: Scenario | None = None,
) -> Iterator[Finding]:
    """A Finding for every target that is missed, a note in the open division, which asks for the figure alone.

    Targets of other scenarios than `scenario` are left out.
    """
    severity = Severity.NOTE if division is Division.OPEN else Severity.ERROR
    measured = {score.metric: score for score in scores}
    for target in rules.targets:
        if scenario and target.scenarios and scenario not in target.scenarios:
            continue
        score = measured.get(target.metric)
        if score is None:
            yield _finding(target, severity, "missing", _wanted(target))
        elif not _met(score.value, target):
            yield _finding(
                target, severity, f"{score.value:.6g} (95 % {score.low:.6g} to {score.high:.6g}, n = {score.n})"
            )


def text(scores: Sequence[Score], benchmark: Benchmark | None = None) -> str:
    """accuracy.txt: one line per score in the form that the official checker parses, else the metric's own form.

    Raises BadInput where an official line needs a score that is not there, or a value is no number.
    """
    metrics = {metric.name: metric for metric in benchmark.metrics} if benchmark else {}
    others = {score.metric: score.value for score in scores}
    return "".join(_write(score, metrics.get(score.metric), others) + "\n" for score in scores)


def read(text_: str, metrics: Sequence[Metric]) -> dict[str, float]:
    """The value of each metric found in accuracy.txt, parsed line by line; the last line that matches counts."""
    found: dict[str, float] = {}
    for metric in metrics:
        pattern = re.compile(_reader(metric))
        for line in text_.splitlines():
            if match := pattern.match(line):
                found[metric.name] = float(match.group(1).rstrip("."))
    return found


def with_hash(text_: str, digest: str) -> str:
    """accuracy.txt with the SHA-256 of the full accuracy log as its last line, as truncation leaves it."""
    body = _HASH.sub("", text_).rstrip("\n")
    return f"{body}\n\nhash={digest}\n"


def recorded_hash(text_: str) -> str:
    """The digest that accuracy.txt records, empty where there is none."""
    found = _HASH.findall(text_)
    return found[-1] if found else ""


def _met(value: float, target: Target) -> bool:
    if not math.isfinite(value):
        return False
    reached = value >= target.target if target.higher_is_better else value <= target.target
    return reached and (target.upper is None or value <= target.upper)


def _wanted(target: Target) -> str:
    sign = ">=" if target.higher_is_better else "<="
    return f"{sign} {target.target:.9g}" + (f" and <= {target.upper:.9g}" if target.upper is not None else "")


def _finding(target: Target, severity: Severity, found: str, wanted: str = "") -> Finding:
    return Finding(
        check="accuracy",
        severity=severity,
        file=FILE,
        key=target.metric,
        found=found,
        wanted=wanted or _wanted(target),
        clause="rules, Benchmarks: quality target" + (f" ({target.note})" if target.note else ""),
        fix="Use a precision or calibration that keeps the accuracy, or submit to the open division.",
    )


def _form(metric: Metric | None, name: str) -> str:
    if metric and metric.pattern:
        return metric.pattern
    return OFFICIAL[name].form if name in OFFICIAL else f"{name}={{value:.6g}}"


def _write(score: Score, metric: Metric | None, others: Mapping[str, float]) -> str:
    if not math.isfinite(score.value):
        raise BadInput(
            f"the {score.metric} of this run is {score.value}: mend the accuracy script, a number is needed."
        )
    percent = (metric.unit == "%") if metric else score.metric == "acc"
    correct = round(score.value * score.n / (100 if percent else 1))
    try:
        form = _form(metric, score.metric)
        return form.format_map(
            {**others, "value": score.value, "correct": correct, "n": score.n, "rest": 100 - score.value}
        )
    except KeyError as error:
        raise BadInput(f"accuracy.txt states {score.metric} together with {error}: let score() return both.") from error


def _reader(metric: Metric) -> str:
    """A regular expression with one group, the value: the official one, or the metric's own form turned round."""
    if metric.name in OFFICIAL:
        return OFFICIAL[metric.name].pattern
    parts = []
    for literal, field, _, _ in string.Formatter().parse(_form(metric, metric.name)):
        parts.append(re.escape(literal))
        if field is not None:
            parts.append(_NUMBER if field == "value" else _NUMBER.replace("(", "(?:", 1))
    return "".join(parts)
