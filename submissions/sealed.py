"""What the hash lines of a tree prove: against each other, and against the whole logs in the sealed backup."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from audit.compliance import test01
from audit.finding import Finding, Severity
from loadgen_harness.run import Run
from submissions import layout
from submissions.seals import digest
from submissions.truncate import GAP, KEPT, LIMIT, recorded_hash, sealed_log

CLAUSE = "mlcommons/inference, truncate_accuracy_log.py: the hash is that of the whole log"
AGAIN = "put the whole log back from the run folder and truncate again with a fresh backup"
ONCE = "inference_rules.adoc, LoadGen Operation: a validation run uses each sample of the library exactly once"
TOTAL = re.compile(r"\btotal=(\d{1,15})\b|'gen_num': (\d{1,15})\b")
COUNT = re.compile(r"^(num_\w{1,40}) = (\d{1,15})\s*$", re.MULTILINE)
MOST_TEXT = 1 << 20  # bytes of a text that is read
MOST_LOG = 1 << 28  # bytes of the largest log whose responses are compared once more


@dataclass(frozen=True)
class _Pair:
    """An accuracy folder of the tree and the whole log that was sealed for it."""

    logs: layout.Logs
    tree: Path
    backup: Path

    @property
    def sealed(self) -> Path:
        """The whole log."""
        return sealed_log(self.logs, self.tree, self.backup)

    @cached_property
    def run(self) -> Run:
        """The sealed log for reading."""
        return Run(self.sealed.parent)

    @property
    def large(self) -> bool:
        """Whether it is too large to be held."""
        return self.sealed.stat().st_size > MOST_LOG

    @property
    def there(self) -> bool:
        """Whether it is in the backup."""
        return layout.regular(self.sealed, self.backup)

    def finding(self, path: Path, what: tuple[str, str, str], clause: str = CLAUSE, fix: str = AGAIN) -> Finding:
        """An error at a file of the tree; `what` is (key, found, wanted)."""
        key, found, wanted = what
        return Finding("backup", Severity.ERROR, layout.shown(path, self.tree), key, found, wanted, clause, fix)


def verify(tree: Path, backup: Path) -> Iterator[Finding]:
    """Whether each log is what truncation left of the sealed one, and the texts beside it say its counts."""
    for scenario in layout.scenarios(tree):
        whole = _Pair(scenario.accuracy, tree, backup)
        yield from _hash(whole)
        if layout.regular(whole.logs.accuracy_text, tree) and whole.there:
            yield from _counted(whole)
        for test in (each for each in scenario.tests() if each.name in layout.SHORTENED_TESTS):
            audited = _Pair(test.accuracy, tree, backup)
            yield from _hash(audited)
            if test.name == test01.TEST.name and whole.there and audited.there:
                yield from _compared(test.path / layout.VERIFY_ACCURACY, whole, audited)


def shared(tree: Path) -> Iterator[Finding]:
    """Two accuracy logs cannot have one hash if what is left of them differs."""
    first: dict[str, layout.Logs] = {}
    for logs in layout.accuracy_folders(tree):
        if not (layout.regular(logs.accuracy_text, tree) and layout.regular(logs.accuracy_log, tree)):
            continue
        digest = recorded_hash(logs)
        before = first.setdefault(digest, logs) if digest else logs
        if before is not logs and _small(before.accuracy_log) != _small(logs.accuracy_log):
            pair = _Pair(logs, tree, tree)
            found = f"{digest}, as in {layout.shown(before.accuracy_text, tree)}, whose log is another"
            wanted = "the hash of the whole log that was here"
            yield replace(pair.finding(logs.accuracy_text, ("hash", found, wanted)), check="truncation")


def _hash(pair: _Pair) -> Iterator[Finding]:
    """The hash line is the sealed log's digest, and the log in the tree is the sealed log or its two ends."""
    text, log = pair.logs.accuracy_text, pair.logs.accuracy_log
    if not (layout.regular(text, pair.tree) or layout.regular(log, pair.tree)):
        return
    recorded = recorded_hash(pair.logs) if layout.regular(text, pair.tree) else ""
    if not pair.there:
        if recorded:
            yield pair.finding(text, ("hash", recorded, "no such log in the backup"))
        return
    whole = digest(pair.sealed)
    if recorded != whole and layout.regular(text, pair.tree):
        yield pair.finding(text, ("hash", recorded or "no hash", whole))
    if layout.regular(log, pair.tree) and not _is_what_is_left(log, pair.sealed):
        wanted = f"the first and the last {KEPT} bytes of the sealed log, or all of it"
        yield pair.finding(log, ("bytes", f"other bytes than {pair.sealed.name} of the backup", wanted))


def _is_what_is_left(log: Path, sealed: Path) -> bool:
    if log.stat().st_size > LIMIT:
        return digest(log) == digest(sealed)
    left = log.read_bytes()
    with sealed.open("rb") as file:
        head = file.read(2 * LIMIT)
        if left == head and not file.read(1):
            return True
        file.seek(-min(KEPT, sealed.stat().st_size), os.SEEK_END)
        return left == head[:KEPT] + GAP + file.read(KEPT)


def _counted(pair: _Pair) -> Iterator[Finding]:
    """The sealed log answers as many samples as accuracy.txt says were scored."""
    entries = pair.run.iter_responses() if pair.large else pair.run.response_entries
    samples = {entry.qsl_idx for entry in entries}
    damage = next((each for each in pair.run.damage if each.startswith(layout.ACCURACY_LOG)), "")
    if damage:
        yield pair.finding(pair.logs.accuracy_log, ("damaged", f"sealed log: {damage}", "a log as LoadGen wrote it"))
        return
    match = TOTAL.search(_text(pair.logs.accuracy_text))
    if match and int(match[1] or match[2]) != len(samples):
        what = ("total", match[1] or match[2], f"{len(samples)} samples in the sealed log")
        yield pair.finding(pair.logs.accuracy_text, what, ONCE, "score the sealed log again with `lgh audit accuracy`")


def _compared(text: Path, whole: _Pair, audited: _Pair) -> Iterator[Finding]:
    """TEST01's counts, counted once more from the two whole logs."""
    if not layout.regular(text, whole.tree):
        return
    if whole.large or audited.large:
        what = ("counts", "not counted again", f"sealed logs of at most {MOST_LOG >> 20} MiB")
        note = whole.finding(text, what, fix="run `lgh audit verify TEST01` on the sealed logs")
        yield replace(note, severity=Severity.NOTE)
        return
    match = test01.compare(whole.run, audited.run)
    wanted = dict(COUNT.findall(match.text(match.passed)))
    for key, found in COUNT.findall(_text(text)):
        if key in wanted and int(found) != int(wanted[key]):
            clause = "compliance/TEST01/README.md, Introduction: results must match"
            fix = "verify TEST01 again with the whole logs"
            yield whole.finding(text, (key, found, f"{wanted[key]}, by the sealed logs"), clause, fix)


def _small(log: Path) -> bytes:
    """What is left of a log; of a whole one that is not small its beginning."""
    with log.open("rb") as file:
        return file.read(LIMIT + 1)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST_TEXT).decode("utf-8", errors="replace")
