"""The texts that prove a result: accuracy.txt with its hash, and the pass lines of compliance tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from audit.accuracy import judge_text, read
from audit.finding import Finding, Severity
from submissions import layout
from submissions.structure import GUIDE, error
from submissions.subject import Subject
from submissions.truncate import LIMIT, is_truncated, recorded_hash

SHA256 = re.compile(r"[0-9a-f]{64}")
# Test -> file -> what must stand in it.
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
TRUNCATED = "mlcommons/inference, truncate_accuracy_log.py"
RESTORE = "put back the whole log from the run folder and truncate again: the hash is taken before"
TRUNCATE = (
    "truncate the tree, as `lgh submit` does, or with the official `truncate_accuracy_log.py --input TREE --submitter "
    "NAME --backup FOLDER` (an absolute FOLDER outside the tree)"
)
MOST_TEXT = 1 << 20  # bytes of a text that is read
WITH_PERFORMANCE = ("TEST01", "TEST04")
WITH_ACCURACY = ("TEST01",)
WITH_LOG = ("TEST06",)  # of TEST01 it is demanded
SHORTENED = ("TEST07", "TEST09")  # the official truncation shortens their logs too


def accuracy(logs: layout.Logs, subject: Subject) -> Iterator[Finding]:
    """Log size, hash line, and the values of accuracy.txt against the targets, which the open division may miss."""
    yield from _log(logs, subject, hash_wanted=subject.closed)
    yield from _media(logs, subject)
    if not subject.readable(logs.accuracy_text):
        return
    name, text = subject.name(logs.accuracy_text), _content(logs.accuracy_text)
    metrics, rules = subject.benchmark.metrics, subject.rules
    for finding in judge_text(text, metrics, rules, division=subject.division, scenario=subject.scenario):
        yield replace(finding, file=name)


def _media(logs: layout.Logs, subject: Subject) -> Iterator[Finding]:
    """The images or videos of the round's chosen samples, by which people judge what was generated."""
    for folder, samples in subject.rules.accuracy_files.items():
        there = {path.name.split(".")[0] for path in layout.entries(logs.path / folder) if subject.readable(path)}
        missing = [sample for sample in samples if sample not in there]
        if missing:
            clause = f"mlcommons/inference, submission checker: {folder} of the accuracy run in {subject.round.name}"
            what = (folder, f"{', '.join(missing)} missing", f"samples {', '.join(samples)}")
            yield error("structure", subject.name(logs.path / folder), what, clause, "copy them from the accuracy run")


def compliance(place: layout.TestFolder, subject: Subject) -> Iterator[Finding]:
    """One test: its files are there and say that it passed."""
    test, name = place.path.name, subject.name(place.path)
    clause = f"mlcommons/inference, compliance/{test}/README.md"
    if not place.path.is_dir():
        yield error("compliance", name, (test, "missing", "the test"), clause, f"run {test} and generate again")
        return
    for file, lines in PASS_LINES.get(test, {}).items():
        path = place.path / file
        if not subject.readable(path):
            what = ("file", "missing", "the verdict")
            yield error("compliance", subject.name(path), what, clause, f"verify {test} again")
            continue
        missing = [line for line in lines if not re.search(line, _content(path), re.MULTILINE)]
        if missing and not (file == layout.VERIFY_ACCURACY and _accuracy_agrees(place, subject)):
            what = ("verdict", _last(_content(path)), " and ".join(missing))
            yield error("compliance", subject.name(path), what, clause, f"see why {test} failed, then run it again")
    if test in WITH_PERFORMANCE and not subject.readable(place.performance.detail):
        what = ("file", "missing", "LoadGen's log")
        yield error("compliance", subject.name(place.performance.detail), what, clause, f"run {test} again")
    if test in WITH_LOG and not subject.readable(place.accuracy.accuracy_log):
        what = ("log", "missing", "the responses that were judged")
        copied = f"{clause}: run_verification.py copies them to {test}/accuracy"
        found = error(
            "compliance", subject.name(place.accuracy.accuracy_log), what, copied, "copy it from the test's run"
        )
        yield replace(found, severity=Severity.WARNING)
    if test in WITH_ACCURACY:
        yield from _log(place.accuracy, subject, hash_wanted=True)
    elif test in SHORTENED:
        yield from _size(place.accuracy.accuracy_log, subject)


def _accuracy_agrees(place: layout.TestFolder, subject: Subject) -> bool:
    """TEST01 for outputs that may differ between runs: two accuracies within the round's tolerance."""
    paths = [place.accuracy.path / f"{kind}_accuracy.txt" for kind in ("baseline", "compliance")]
    if place.path.name not in WITH_ACCURACY or not all(map(subject.readable, paths)):
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
    """The accuracy log is truncated and accuracy.txt holds the hash of the whole one."""
    log, text = logs.accuracy_log, logs.accuracy_text
    for path in (log, text):
        if not subject.readable(path):
            what = ("file", "missing", "a file")
            yield error("structure", subject.name(path), what, f"{GUIDE}: accuracy", "generate the tree again")
    yield from _size(log, subject)
    recorded = recorded_hash(logs) if subject.readable(text) else ""
    if subject.readable(text) and hash_wanted and not SHA256.fullmatch(recorded):
        what = ("hash", recorded or "no hash line", "hash=<sha256 of the whole log>")
        yield error("truncation", subject.name(text), what, TRUNCATED, f"{TRUNCATE}, which adds the line")
    elif recorded and subject.readable(log) and (wanted := _other_hash(log, recorded)):
        yield error("truncation", subject.name(text), ("hash", recorded, wanted), TRUNCATED, RESTORE)


def _size(log: Path, subject: Subject) -> Iterator[Finding]:
    if subject.readable(log) and log.stat().st_size > LIMIT:
        what = ("size", f"{log.stat().st_size} bytes", f"{LIMIT} at most")
        yield error("truncation", subject.name(log), what, TRUNCATED, TRUNCATE)


def _other_hash(log: Path, recorded: str) -> str:
    """What the hash should be where it cannot be the whole log's; empty where it can."""
    if log.stat().st_size > LIMIT:
        return ""  # not truncated at all is a finding of its own
    digest = hashlib.sha256(log.read_bytes()).hexdigest()
    if len(set(recorded)) == 1:
        return "the hash of the whole log: no file has one digit alone"
    if recorded == hashlib.sha256(b"").hexdigest():
        return "the hash of the whole log, not of an empty file"
    if is_truncated(log):
        return "the hash of the whole log, not of the truncated one" if recorded == digest else ""
    return "" if recorded == digest else f"{digest}, of the log beside it, which is whole"


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:120] if lines else "nothing"


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST_TEXT).decode("utf-8", errors="replace")
