"""Every fault of the table gives exactly its own Findings; what the rules allow gives none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.finding import Finding, Severity
from audit.official import row_of
from loadgen_harness import rounds, run
from loadgen_harness.inside import Damaged, Folder
from loadgen_harness.log_record import Log
from submissions.check import check
from tests.submissions import differential
from tests.submissions.differential import writable
from tests.submissions.faults import ALLOWED, FAULTS
from tests.submissions.mutations import copied

DOCUMENTED = differential.documented_old()
UNTOLD = (
    "error that the summary does not count",
)  # the old checker counts errors by the summary, which no finding tells


@pytest.fixture(scope="module", autouse=True)
def logs_read_once() -> Iterator[None]:
    """Files that a fault leaves alone are links to the golden ones: each log is parsed once for all copies."""
    read, known = run._read_log, dict[tuple[int, ...], Log]()

    def remembered(folder: Folder) -> Log:
        try:
            status = os.stat(folder.real(run.DETAIL))
        except Damaged:
            return read(folder)
        key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        if key not in known:
            known[key] = read(folder)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_read_log", remembered)
        yield


@pytest.fixture(scope="module")
def golden(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A writable copy of the golden tree, whose files the copies link to."""
    return writable(shared / "golden-v6.1", tmp_path_factory.mktemp("golden") / "tree")


@pytest.fixture
def tree(golden: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return copied(golden, tmp_path / "tree")


def findings(tree: Path) -> list[Finding]:
    """Everything but notes."""
    return [each for each in check(tree, rounds.load("v6.1")) if each.severity is not Severity.NOTE]


def test_the_golden_tree_has_no_finding(tree: Path) -> None:
    assert findings(tree) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_findings_and_no_other(tree: Path, name: str) -> None:
    FAULTS[name].change(tree)
    found = findings(tree)
    assert sorted((each.check, each.key) for each in found) == sorted(FAULTS[name].wanted)
    assert all(each.file and each.found and each.wanted and each.clause and each.fix for each in found)
    assert all(each.official in ("accepts", "rejects", "crashes") for each in found)
    assert differential.predicted_old(found) == DOCUMENTED.get(name) or name in UNTOLD or name not in DOCUMENTED
    graver = [each for each in found if not {each.check, each.key} & WARNS and name not in WARNED]
    assert all(each.severity is Severity.ERROR for each in graver)


@pytest.mark.parametrize("name", ALLOWED)
def test_what_the_rules_allow_has_no_finding(tree: Path, name: str) -> None:
    ALLOWED[name](tree)
    assert findings(tree) == [] and DOCUMENTED.get(name, "accepts") == "accepts"


def test_the_table_is_long_enough_and_names_every_fault_once() -> None:
    assert len(FAULTS) >= 60
    assert all(mutation.wanted for mutation in FAULTS.values())


def test_a_finding_names_the_line_at_fault(tree: Path) -> None:
    FAULTS["qsl seed"].change(tree)
    (found,) = findings(tree)
    line = (tree / found.file).read_text().splitlines()[found.line - 1]
    assert found.key in line
    assert row_of(found) is not None


WARNS = {
    "power-samples",
    "loadgen-version",
    "user-conf",
    "system-name",
    "system-collected",
    "tokens-per-sample",
    "times",
    "rates",
    "absent",
    "model_mapping",
    "counts",
    "run",
    "folder",
}
WARNED = {
    "weights of another model in one scenario",
    "pruned weights",
    "not retrained but fine-tuned",
    "a verdict with other blanks",
    "accuracy of a few of a test's responses",
    "a test far less accurate than the accuracy run",
    "another system's results",
    "another system's results, each latency moved by 7 ns",
    "notes between the scenarios",
    "notes in a test",
    "archive beside a result",
    "fine-tuned weights",
}
