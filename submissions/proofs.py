"""The texts that prove a result: accuracy.txt with its hash, and the pass lines of compliance tests."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

from audit.accuracy import judge
from audit.finding import Finding
from loadgen_harness.types import Benchmark, Metric, Rules, Score
from submissions import layout
from submissions.structure import error
from submissions.truncate import LIMIT, recorded_hash

SHA256 = re.compile(r"[0-9a-f]{64}")
# Test -> file -> what must stand in it (rules 8).
PASS_LINES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "TEST01": {layout.VERIFY_ACCURACY: (r"^TEST PASS\s*$",), layout.VERIFY_PERFORMANCE: ("TEST PASS",)},
    "TEST04": {layout.VERIFY_PERFORMANCE: ("TEST PASS",)},
    "TEST06": {
        layout.VERIFY_ACCURACY: (
            r"^First token check pass: (True|Skipped)",
            r"^EOS check pass: True",
            r"^Sample length check pass: True",
        )
    },
    "TEST07": {layout.VERIFY_ACCURACY: ("TEST PASS",)},
    "TEST08": {layout.VERIFY_ACCURACY: (r"^TEST PASS\s*$",)},
    "TEST09": {"verify_output_len.txt": ("TEST PASS",)},
}
WITH_PERFORMANCE = ("TEST01", "TEST04")
WITH_ACCURACY = ("TEST01",)


def accuracy(logs: layout.Logs, tree: Path, benchmark: Benchmark, rules: Rules, *, closed: bool) -> Iterator[Finding]:
    """Log size, hash line, and (closed) the values of accuracy.txt against the round's targets."""
    yield from _log(logs, tree, hash_wanted=closed)
    if not closed or not logs.accuracy_text.is_file():
        return
    name = str(logs.accuracy_text.relative_to(tree))
    found = values(logs.accuracy_text.read_text(encoding="utf-8", errors="replace"), benchmark.metrics)
    wanted = {target.metric for target in rules.targets}
    for metric in sorted(wanted - found.keys()):
        what = (metric, "no such line", _pattern(metric, benchmark.metrics))
        yield error("accuracy.txt", name, what, "v6.1 §6 accuracy.txt", "write it with the benchmark's accuracy script")
    scores = [Score(metric, value, value, value, 0, "accuracy.txt") for metric, value in found.items()]
    for finding in judge([score for score in scores if score.metric in wanted], rules):
        yield Finding(**{**vars(finding), "file": name})


def compliance(place: layout.TestFolder, test: str, tree: Path) -> Iterator[Finding]:
    """One test: its files are there and say that it passed."""
    name = place.path.relative_to(tree)
    clause = f"v6.1 §8 {test}"
    if not place.path.is_dir():
        yield error("compliance", name, (test, "missing", "the test"), clause, f"run {test} and generate again")
        return
    for file, lines in PASS_LINES.get(test, {}).items():
        path = place.path / file
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
        missing = [line for line in lines if text is not None and not re.search(line, text, re.MULTILINE)]
        if text is None:
            yield error("compliance", name / file, ("file", "missing", "the verdict"), clause, f"verify {test} again")
        elif missing:
            what = ("verdict", _last(text), " and ".join(missing))
            yield error("compliance", name / file, what, clause, f"see why {test} failed, mend it and run it again")
    if test in WITH_PERFORMANCE and not place.performance.detail.is_file():
        path = place.performance.detail.relative_to(tree)
        yield error("compliance", path, ("file", "missing", "LoadGen's log"), clause, f"run {test} again")
    if test in WITH_ACCURACY:
        yield from _log(place.accuracy, tree, hash_wanted=True)


def values(text: str, metrics: tuple[Metric, ...]) -> dict[str, float]:
    """Metric name to value, read back from accuracy.txt by each metric's own line pattern."""
    found = {}
    for metric in metrics:
        match = re.search(_expression(metric), text, re.MULTILINE)
        if match:
            found[metric.name] = float(match.group("value"))
    return found


def _expression(metric: Metric) -> str:
    """The line pattern of a metric as a regular expression up to its value."""
    parts = [""]
    for literal, field, _, _ in string.Formatter().parse(metric.pattern):
        parts.append(re.escape(literal))
        if field == "value":
            return "".join([*parts, r"'?(?P<value>-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"])
        parts.append(r"[^\s,]*" if field else "")
    return r"(?!)(?P<value>)"  # a pattern without a value matches nothing


def _pattern(name: str, metrics: tuple[Metric, ...]) -> str:
    return next((metric.pattern for metric in metrics if metric.name == name), f"a line for {name}")


def _log(logs: layout.Logs, tree: Path, *, hash_wanted: bool) -> Iterator[Finding]:
    """The accuracy log is truncated and accuracy.txt holds the hash of the whole one (rules 13)."""
    log, text = logs.accuracy_log, logs.accuracy_text
    for path in (log, text):
        if not path.is_file():
            what = ("file", "missing", "a file")
            yield error("structure", path.relative_to(tree), what, "v6.1 §2", "generate the tree again")
    if log.is_file() and log.stat().st_size > LIMIT:
        what = ("size", f"{log.stat().st_size} bytes", f"{LIMIT} at most")
        yield error("truncation", log.relative_to(tree), what, "v6.1 §13", "truncate the tree")
    recorded = recorded_hash(logs)
    if text.is_file() and hash_wanted and not SHA256.fullmatch(recorded):
        what = ("hash", recorded or "no hash line", "hash=<sha256 of the whole log>")
        yield error("truncation", text.relative_to(tree), what, "v6.1 §13", "truncate the tree, which adds the line")


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:120] if lines else "nothing"
