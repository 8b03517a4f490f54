"""accuracy.txt: what the reference scripts print, written and read by the official checker's patterns."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from loadgen_harness.errors import BadInput
from loadgen_harness.types import Metric, Score

FILE = "accuracy.txt"


class Line(NamedTuple):
    """How accuracy.txt states one official metric: what is written, and what the checker looks for in a line.

    `form` is a format string of value, percent, correct, n, rest (100 - value) and the other scores' names; `longer` is
    preferred where all its scores are there. A form that begins with a quote is an entry of the one dictionary line.
    """

    form: str
    pattern: str  # matched from the start of a line; its one group is the number
    longer: str = ""


def _listed(key: str, digits: int = 4) -> Line:
    """A metric inside the printed Python dictionary; NumPy's repr or JSON's quotes are not read by the checker."""
    blank, quote = (r"\s", "") if key in ONE_BLANK else (r"\s+", "'?")
    return Line(f"'{key}': {{value:.{digits}f}}", rf".*'{key}':{blank}{quote}([\d.]+)")


ONE_BLANK = ("gen_len", "tokens_per_sample", "gsm8k", "mbxp", "exact_match", "vbench_score")

OFFICIAL: Mapping[str, Line] = {
    "acc": Line("accuracy={percent:.3f}%, good={correct}, total={n}", r'(?:\{"accuracy|accuracy)[": ]*=?\s*([\d.]+)'),
    "AUC": Line("AUC={value:.3f}%", r"AUC=([\d.]+)", "AUC={value:.3f}%, accuracy={accuracy:.3f}%"),
    "mAP": Line("mAP={value:.3f}%", r".*(?:mAP=|'Total':)\s*([\d.]+)"),
    "F1": Line(
        '{{"exact_match": {exact_match:.5f}, "f1": {value:.5f}}}',
        r"""\{["']exact_match["']:\s*[\d.]+,\s*["']f1["']:\s*([\d.]+)\}""",
    ),
    "DICE": Line(
        "Accuracy: mean = {value:.5f}",
        r"Accuracy:\s*mean\s*=\s*([\d.]+)",
        "Accuracy: mean = {value:.5f}, kidney = {kidney:.4f}, tumor = {tumor:.4f}",
    ),
    "ACCURACY": Line("Word Error Rate: {rest:.4f}%, accuracy={value:.4f}%", r"Word Error Rate:.*, accuracy=([\d.]+)%"),
    "ROUGE1": _listed("rouge1"),
    "ROUGE2": _listed("rouge2"),
    "ROUGEL": _listed("rougeL"),
    "ROUGELSUM": _listed("rougeLsum"),
    "gsm8k_accuracy": _listed("gsm8k"),
    "mbxp_accuracy": _listed("mbxp"),
    "exact_match": _listed("exact_match"),
    "GEN_LEN": _listed("gen_len", 0),
    "TOKENS_PER_SAMPLE": _listed("tokens_per_sample"),
    "CLIP_SCORE": _listed("CLIP_SCORE", 8),
    "FID_SCORE": _listed("FID_SCORE", 8),
    "vbench_score": _listed("vbench_score"),
    "F1_HIERARCHICAL": Line('{{"f1": {value:.6f}}}', r'\{.*"f1":\s*([\d.]+).*\}'),
    "E2E_ACCURACY": Line("Accuracy: {value:.4f}", r"Accuracy:\s*([\d.]+)"),
    "DLRM_NE": Line("metric/lifetime_ne/rating: {value:.8f}", r".*metric/lifetime_ne/rating:\s*([\d.]+)"),
    "DLRM_ACC": Line("metric/lifetime_accuracy/rating: {value:.8f}", r".*metric/lifetime_accuracy/rating:\s*([\d.]+)"),
    "DLRM_AUC": Line("metric/lifetime_gauc/rating: {value:.8f}", r".*metric/lifetime_gauc/rating:\s*([\d.]+)"),
}
PERCENT, FRACTION = "%", "fraction"  # units of a Metric
_NUMBER = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)"
_HASH = re.compile(r"^hash=(\w+)\r?$", re.MULTILINE)
_NUMPY = re.compile(r"\bnp\.(?:float|int)\d+\(([^()]*)\)|\bnumpy\.(?:float|int)\d+\(([^()]*)\)")
_KEYS = sorted(match[1] for line in OFFICIAL.values() if (match := re.match(r"'(\w+)': ", line.form)))
_KEYED = re.compile(rf"""(["'])({"|".join(_KEYS)})\1\s*:\s*""")


class Stated(NamedTuple):
    """A figure that accuracy.txt states: in the metric's unit, as the checker reads it, and its line."""

    value: float
    figure: float
    line: int


def write(scores: Sequence[Score], metrics: Sequence[Metric] = ()) -> str:
    """accuracy.txt: the lines that the official checker parses, else each metric's own form.

    Raises BadInput where an official line needs a score that is not there, or a value is no number.
    """
    known = {metric.name: metric for metric in metrics}
    others = {score.metric: score.value for score in scores}
    used = {field for score in scores for field in _fields(_form(known.get(score.metric), score.metric, others))}
    lines: list[str] = []
    entries: list[str] = []
    for score in scores:
        metric = known.get(score.metric)
        if score.metric in used:
            continue
        written = _filled(score, metric, others)
        if not _listed_one(score.metric, metric):
            lines.append(written)
            continue
        if not entries:
            lines.append("")
            place = len(lines) - 1
        entries.append(written)
        lines[place] = "{" + ", ".join(entries) + "}"
    return "".join(f"{line}\n" for line in lines)


def stated(text: str, metrics: Sequence[Metric]) -> dict[str, list[Stated]]:
    """Every figure of each metric that the official patterns (or the metric's own form) find, in the file's order."""
    found: dict[str, list[Stated]] = {}
    for metric in metrics:
        pattern = re.compile(_reader(metric))
        for number, line in enumerate(text.splitlines(), start=1):
            if (match := pattern.match(line)) and (figure := _number(match[1])) is not None:
                value = _in_unit(figure, metric, line[match.end(1) :])
                found.setdefault(metric.name, []).append(Stated(value, figure, number))
    return found


def read(text: str, metrics: Sequence[Metric]) -> dict[str, float]:
    """The value of each metric found in accuracy.txt, in the metric's unit; the last line that matches counts."""
    return {name: figures[-1].value for name, figures in stated(text, metrics).items()}


def unreadable(text: str, metric: Metric) -> int:
    """The line that states a metric in a form which the official checker does not read, 0 where there is none."""
    if stated(text, (metric,)):
        return 0
    lines = zip(text.splitlines(), mended(text).splitlines(), strict=True)
    changed = ((number, new) for number, (old, new) in enumerate(lines, start=1) if old != new)
    return next((number for number, line in changed if stated(line, (metric,))), 0)


def mended(text: str) -> str:
    """The same figures in the official form: plain numbers, single quotes, one blank; anything else stays."""
    return "".join(_mended(line) for line in text.splitlines(keepends=True))


def with_hash(text: str, digest: str) -> str:
    """accuracy.txt with the SHA-256 of the full accuracy log as its last line, as truncation leaves it."""
    body = _HASH.sub("", text).rstrip("\r\n")
    return f"{body}\n\nhash={digest}\n"


def recorded_hash(text: str) -> str:
    """The digest that accuracy.txt records, empty where there is none."""
    found = _HASH.findall(text)
    return found[-1] if found else ""


def figure(score: Score, metric: Metric | None = None) -> float:
    """What the official checker will read once a score is printed: its rounded value, in percent for `acc`."""
    name = metric.name if metric else score.metric
    others = {name: 0.0 for _, name, _, _ in string.Formatter().parse(_form(metric, name, {})) if name}
    line = _filled(score, metric, others)
    read_ = stated(line, (metric or Metric(name),))
    return read_[name][-1].figure if name in read_ else score.value


def _listed_one(name: str, metric: Metric | None) -> bool:
    """Whether a metric is an entry of the printed dictionary."""
    return name in OFFICIAL and OFFICIAL[name].form.startswith("'") and not (metric and metric.pattern)


def _mended(line: str) -> str:
    plain = _NUMPY.sub(lambda match: match[1] or match[2] or "", line)
    if '"exact_match"' in plain and '"f1"' in plain:  # bert's line is JSON in the official form too
        return plain
    return _KEYED.sub(lambda match: f"'{match[2]}': ", plain)


def _in_unit(figure_: float, metric: Metric, rest: str) -> float:
    """A share that is wanted as a fraction but printed in percent is divided; above 1 it is percent anyway."""
    printed_percent = rest.startswith(PERCENT) or figure_ > 1
    return figure_ / 100 if metric.unit == FRACTION and printed_percent else figure_


def _number(digits: str) -> float | None:
    try:
        return float(digits.rstrip("."))
    except ValueError:  # "1.2.3" satisfies the official patterns too
        return None


def _form(metric: Metric | None, name: str, others: Mapping[str, float]) -> str:
    if metric and metric.pattern:
        return metric.pattern
    if name not in OFFICIAL:
        return f"{name}={{value:.6g}}"
    line = OFFICIAL[name]
    return line.longer if line.longer and _fields(line.longer) <= others.keys() else line.form


def _fields(form: str) -> set[str]:
    """The other scores that a line states."""
    named = {name for _, name, _, _ in string.Formatter().parse(form) if name}
    return named - {"value", "percent", "correct", "n", "rest"}


def _filled(score: Score, metric: Metric | None, others: Mapping[str, float]) -> str:
    if not math.isfinite(score.value):
        raise BadInput(
            f"the {score.metric} of this run is {score.value}: mend the accuracy script, a number is needed."
        )
    unit = metric.unit if metric else ""
    in_percent = unit == PERCENT or (score.metric == "acc" and unit != FRACTION)
    percent = score.value if in_percent else 100 * score.value
    values = {
        **others,
        "value": score.value,
        "percent": percent,
        "correct": round(percent * score.n / 100),
        "n": score.n,
        "rest": 100 - score.value,
    }
    try:
        return _form(metric, score.metric, others).format_map(values)
    except KeyError as error:
        raise BadInput(f"accuracy.txt states {score.metric} together with {error}: let score() return both.") from error


def _reader(metric: Metric) -> str:
    """A regular expression with one group, the value: the official one, or the metric's own form turned round."""
    if metric.name in OFFICIAL:
        return OFFICIAL[metric.name].pattern
    return "".join(_turned(_form(metric, metric.name, {})))


def _turned(form: str) -> Iterator[str]:
    for literal, field, _, _ in string.Formatter().parse(form):
        yield re.escape(literal)
        if field is not None:
            yield _NUMBER if field in ("value", "percent") else _NUMBER.replace("(", "(?:", 1)
