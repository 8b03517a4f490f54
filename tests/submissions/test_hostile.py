"""Trees made to mislead: nothing outside them is read, nothing hangs or crashes, ten thousand files take seconds."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from audit.finding import Finding
from loadgen_harness import rounds
from submissions.check import check
from submissions.layout import DETAIL, round_of
from tests.rights import plain_rights
from tests.submissions.test_check import HOME, RESULT, SINGLE, SYSTEM

SECRET = "a secret of the reviewer's own machine"


def findings(tree: Path) -> list[Finding]:
    return list(check(tree, rounds.load("v6.1")))


def keys(found: list[Finding]) -> set[tuple[str, str, str]]:
    return {(each.check, each.key, each.file) for each in found}


def secret(tmp_path: Path, name: str) -> Path:
    """A file outside the tree whose content must never show."""
    path = tmp_path / "outside" / name
    path.parent.mkdir(exist_ok=True)
    line = {"key": "effective_scenario", "value": SECRET, "metadata": {"is_error": True, "is_warning": False}}
    path.write_text(f":::MLLOG {json.dumps(line)}\n" if name.endswith(".txt") else json.dumps({"framework": SECRET}))
    return path


@pytest.mark.parametrize(
    "name",
    [
        SINGLE / "performance/run_1" / DETAIL,
        SINGLE / "accuracy" / DETAIL,
        SINGLE / "accuracy/accuracy.txt",
        SINGLE / "accuracy/mlperf_log_accuracy.json",
        SINGLE / "TEST04/performance/run_1" / DETAIL,
        SINGLE / "TEST01/verify_accuracy.txt",
        SINGLE / "measurements.json",
        SYSTEM,
    ],
)
def test_a_link_out_of_the_tree_is_found_and_not_read(tree: Path, tmp_path: Path, name: Path) -> None:
    (tree / name).unlink()
    (tree / name).symlink_to(secret(tmp_path, name.name))
    found = findings(tree)
    assert ("files", "path", str(name)) in keys(found)
    assert SECRET not in "".join(map(str, found))


def test_a_linked_folder_is_not_walked(tree: Path, tmp_path: Path) -> None:
    run = tree / SINGLE / "performance/run_1"
    shutil.move(run, tmp_path / "outside")
    run.symlink_to(tmp_path / "outside")
    found = keys(findings(tree))
    assert {
        ("files", "path", str(SINGLE / "performance/run_1")),
        ("structure", "file", str(SINGLE / "performance/run_1" / DETAIL)),
    } <= found


def test_a_loop_of_links_ends(tree: Path) -> None:
    (tree / SINGLE / "again").symlink_to(tree / HOME)
    assert ("files", "path", str(SINGLE / "again")) in keys(findings(tree))


def test_a_pipe_is_not_opened(tree: Path) -> None:
    for name in (SINGLE / "performance/run_1" / DETAIL, SINGLE / "measurements.json", SYSTEM):
        (tree / name).unlink()
        os.mkfifo(tree / name)
    found = keys(findings(tree))
    assert ("structure", "file", str(SINGLE / "performance/run_1" / DETAIL)) in found
    assert ("measurements", "file", str(SINGLE / "measurements.json")) in found
    assert round_of(tree) == "v6.1"


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000, "9" * 100_000, '"\ud83d"', "\x00", "null"])
def test_odd_json_is_a_finding(tree: Path, text: str) -> None:
    for name in (SINGLE / "measurements.json", SYSTEM, Path("open/Acme/model_mapping.json")):
        (tree / name).write_text(text, errors="surrogatepass")
    assert ("measurements", "file", str(SINGLE / "measurements.json")) in keys(findings(tree))


def test_names_that_are_no_text_can_be_printed(tree: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tree / SINGLE) + b"/\xff\xfe.txt"))).write_text("x")
    (tree / RESULT / "..." / "a").mkdir(parents=True)
    (tree / SINGLE / ("n" * 200)).write_text("x")
    (tree / RESULT.parent / "a\nb" / "Offline").mkdir(parents=True)
    found = findings(tree)
    assert all(each.file.encode("utf-8") for each in found)
    assert ("structure", "benchmark", str(RESULT.parent / "a\nb")) in keys(found)


@pytest.mark.parametrize("mode", [0, 0o400, 0o100])  # neither, listed alone, searched alone
@pytest.mark.parametrize("folder", [SINGLE, SINGLE / "performance" / "run_1", RESULT, RESULT.parent, Path(HOME)])
def test_a_closed_folder_is_a_finding_not_a_crash(tree: Path, folder: Path, mode: int) -> None:
    (tree / folder).chmod(mode)
    try:
        with plain_rights():
            found = findings(tree)
    finally:
        (tree / folder).chmod(0o755)
    assert any("unreadable" in each.found or each.key in ("closed", "results") for each in found)


def test_a_submitter_that_is_a_file_and_a_results_that_is_one(tree: Path) -> None:
    (tree / "closed/Nobody").write_text("x")
    (tree / "open/Acme2").mkdir()
    (tree / "open/Acme2/results").write_text("x")
    assert {each.file for each in findings(tree)} >= {"open/Acme2/src"}


@pytest.mark.slow
def test_ten_thousand_files(tree: Path) -> None:
    for number in range(100):
        folder = tree / RESULT.parent / f"net{number}" / "Offline"
        folder.mkdir(parents=True)
        for part in range(100):
            (folder / f"{part}.txt").write_text("x")
    begun = time.perf_counter()
    found = findings(tree)
    assert len([each for each in found if each.key == "benchmark"]) == 100
    assert time.perf_counter() - begun < 60, "linear, with a wide margin for a busy machine"
