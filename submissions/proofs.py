"""The texts that prove a result: accuracy.txt with its hash, and the pass lines of compliance tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from audit.accuracy import judge, read
from audit.finding import Finding
from loadgen_harness.types import Score
from submissions import layout
from submissions.structure import error
from submissions.subject import Subject
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


def accuracy(logs: layout.Logs, subject: Subject) -> Iterator[Finding]:
    """Log size, hash line, and (closed) the values of accuracy.txt against the round's targets."""
    yield from _log(logs, subject, hash_wanted=subject.closed)
    if not subject.closed or not logs.accuracy_text.is_file():
        return
    name = subject.name(logs.accuracy_text)
    values = read(_content(logs.accuracy_text), subject.benchmark.metrics)
    # The file states values alone, so their intervals are left at the value.
    scores = [Score(metric, value, value, value, 0, layout.ACCURACY_TEXT) for metric, value in values.items()]
    for finding in judge(scores, subject.rules, division=subject.division, scenario=subject.scenario):
        yield Finding(**{**vars(finding), "file": name})


def compliance(place: layout.TestFolder, subject: Subject) -> Iterator[Finding]:
    """One test: its files are there and say that it passed."""
    test, name = place.path.name, subject.name(place.path)
    clause = f"v6.1 §8 {test}"
    if not place.path.is_dir():
        yield error("compliance", name, (test, "missing", "the test"), clause, f"run {test} and generate again")
        return
    for file, lines in PASS_LINES.get(test, {}).items():
        path = place.path / file
        if not path.is_file():
            what = ("file", "missing", "the verdict")
            yield error("compliance", subject.name(path), what, clause, f"verify {test} again")
            continue
        missing = [line for line in lines if not re.search(line, _content(path), re.MULTILINE)]
        if missing and not (file == layout.VERIFY_ACCURACY and _accuracy_agrees(place, subject)):
            what = ("verdict", _last(_content(path)), " and ".join(missing))
            yield error("compliance", subject.name(path), what, clause, f"see why {test} failed, then run it again")
    if test in WITH_PERFORMANCE and not place.performance.detail.is_file():
        what = ("file", "missing", "LoadGen's log")
        yield error("compliance", subject.name(place.performance.detail), what, clause, f"run {test} again")
    if test in WITH_ACCURACY:
        yield from _log(place.accuracy, subject, hash_wanted=True)


def _accuracy_agrees(place: layout.TestFolder, subject: Subject) -> bool:
    """TEST01 for outputs that may differ between runs: two accuracies within the round's tolerance (rules 8)."""
    paths = [place.accuracy.path / f"{kind}_accuracy.txt" for kind in ("baseline", "compliance")]
    if place.path.name not in WITH_ACCURACY or not all(path.is_file() for path in paths):
        return False
    before, after = (read(_content(path), subject.benchmark.metrics) for path in paths)
    settings = subject.rules.test_settings.get(place.path.name, {})
    general = settings.get("accuracy_delta_percent", 1)
    return before.keys() == after.keys() != set() and all(
        after[name]
        and abs(1 - before[name] / after[name]) * 100 <= settings.get(f"accuracy_delta_percent_{name}", general)
        for name in before
    )


def _log(logs: layout.Logs, subject: Subject, *, hash_wanted: bool) -> Iterator[Finding]:
    """The accuracy log is truncated and accuracy.txt holds the hash of the whole one (rules 13)."""
    log, text = logs.accuracy_log, logs.accuracy_text
    for path in (log, text):
        if not path.is_file():
            what = ("file", "missing", "a file")
            yield error("structure", subject.name(path), what, "v6.1 §2", "generate the tree again")
    if log.is_file() and log.stat().st_size > LIMIT:
        what = ("size", f"{log.stat().st_size} bytes", f"{LIMIT} at most")
        yield error("truncation", subject.name(log), what, "v6.1 §13", "truncate the tree")
    recorded = recorded_hash(logs)
    if text.is_file() and hash_wanted and not SHA256.fullmatch(recorded):
        what = ("hash", recorded or "no hash line", "hash=<sha256 of the whole log>")
        yield error("truncation", subject.name(text), what, "v6.1 §13", "truncate the tree, which adds the line")


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:120] if lines else "nothing"


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
