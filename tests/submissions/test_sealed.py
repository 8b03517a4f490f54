"""The sealed backup: whole logs prove what hash lines, truncated logs and the counts of texts say, and what not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from submissions import sealed
from tests.submissions.differential import writable
from tests.submissions.mutations import OFFLINE, OPEN, RESULT, SINGLE, Change, copied, copy, edit, hashed, put

LOG = "mlperf_log_accuracy.json"
SCENARIOS = ("SingleStream", "Offline")


@pytest.fixture(scope="module")
def backup(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden tree's whole logs as truncation would have sealed them."""
    folder = tmp_path_factory.mktemp("sealed")
    for name in SCENARIOS:
        for part in ("accuracy", "TEST01/accuracy"):
            target = folder / RESULT / name / part / LOG
            target.parent.mkdir(parents=True)
            shutil.copyfile(shared / "golden-v6.1-full-accuracy" / name / part / LOG, target)
    (folder / OPEN / "accuracy").mkdir(parents=True)
    shutil.copyfile(folder / OFFLINE / "accuracy" / LOG, folder / OPEN / "accuracy" / LOG)
    return folder


@pytest.fixture(scope="module")
def golden(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A writable copy of the golden tree, with two of its scenarios and without the tests of one: for speed."""
    tree = writable(shared / "golden-v6.1", tmp_path_factory.mktemp("golden") / "tree")
    shutil.rmtree(tree / RESULT / "MultiStream")
    shutil.rmtree(tree / OFFLINE / "TEST01")
    return tree


def found(tree: Path, backup: Path) -> list[tuple[str, str]]:
    """File and key of every finding against the backup."""
    return [(each.file, each.key) for each in sealed.verify(tree, backup)]


def swapped(tree: Path) -> None:
    """Another scenario's truncated log and its hash line: they agree with each other, not with the backup."""
    copy(OFFLINE / "accuracy" / LOG, SINGLE / "accuracy" / LOG)(tree)
    copy(OFFLINE / "accuracy/accuracy.txt", SINGLE / "accuracy/accuracy.txt")(tree)


def edited(tree: Path) -> None:
    """One response among the bytes that truncation left."""
    log = tree / OFFLINE / "accuracy" / LOG
    content = log.read_bytes()
    at = content.index(b'"data" : "') + 10
    put(log, content[:at] + (b"F" if content[at : at + 1] != b"F" else b"0") + content[at + 1 :])


FAULTS: dict[str, tuple[Change, list[tuple[str, str]]]] = {
    "nothing": (lambda tree: None, []),
    "a hash of nothing": (
        hashed(OFFLINE / "accuracy", lambda _: "0" * 64),
        [(f"{OFFLINE}/accuracy/accuracy.txt", "hash")],
    ),
    "another scenario's log and hash": (
        swapped,
        [(f"{SINGLE}/accuracy/accuracy.txt", "hash"), (f"{SINGLE}/accuracy/{LOG}", "bytes")],
    ),
    "an edited end": (edited, [(f"{OFFLINE}/accuracy/{LOG}", "bytes")]),
    "a hash of a test": (
        hashed(SINGLE / "TEST01/accuracy", lambda _: "1" * 64),
        [(f"{SINGLE}/TEST01/accuracy/accuracy.txt", "hash")],
    ),
    "more samples scored than answered": (
        edit(OPEN / "accuracy/accuracy.txt", "total=50000", "total=60000"),
        [(f"{OPEN}/accuracy/accuracy.txt", "total")],
    ),
    "counts of another verification": (
        edit(SINGLE / "TEST01/verify_accuracy.txt", "= 4140", "= 4141"),
        [
            (f"{SINGLE}/TEST01/verify_accuracy.txt", key)
            for key in ("num_perf_log_entries", "num_perf_log_qsl_idx_match")
        ],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_against_the_backup_has_its_findings(golden: Path, backup: Path, tmp_path: Path, name: str) -> None:
    tree = copied(golden, tmp_path / "tree")
    change, wanted = FAULTS[name]
    change(tree)
    assert sorted(found(tree, backup)) == sorted(wanted)


def cut(log: Path) -> None:
    """A sealed log that ends too early."""
    log.write_bytes(log.read_bytes()[:-5000])


def lost(log: Path) -> None:
    """A sealed log that is gone."""
    log.unlink()


@pytest.mark.parametrize(("harm", "keys"), [(cut, {"hash", "bytes", "damaged"}), (lost, {"hash"})], ids=["cut", "lost"])
def test_a_backup_that_was_harmed_proves_nothing(
    golden: Path, backup: Path, tmp_path: Path, harm: Callable[[Path], None], keys: set[str]
) -> None:
    own = writable(backup, tmp_path / "backup")
    harm(own / OPEN / "accuracy" / LOG)
    said = found(golden, own)
    assert {key for _, key in said} == keys
    assert {file.split("/")[0] for file, _ in said} == {"open"}


def test_only_the_responses_of_small_logs_are_compared_again(
    golden: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "MOST_LOG", 1000)
    notes = list(sealed.verify(golden, backup))
    assert {(each.key, each.severity.value) for each in notes} == {("counts", "note")} and len(notes) == 1
