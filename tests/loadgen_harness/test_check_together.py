"""`lgh check` with more than a tree: another tree, its sealed backup, the official checkers; parts of a data set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from loadgen_harness.types import Scenario
from tests.loadgen_harness.test_auditing import lgh
from tests.submissions.folders import Made, make
from tests.submissions.mutations import OPEN, RESULT, copied

LOG = "mlperf_log_accuracy.json"


@pytest.fixture
def backup(shared: Path, tmp_path: Path) -> Path:
    """Whole logs of the golden tree, as truncation seals them."""
    whole = shared / "golden-v6.1-full-accuracy"
    places = {RESULT / path.relative_to(whole).parent: path for path in whole.rglob(LOG)}
    places[OPEN / "accuracy"] = whole / "Offline/accuracy" / LOG
    for place, path in places.items():
        (tmp_path / "backup" / place).mkdir(parents=True)
        shutil.copyfile(path, tmp_path / "backup" / place / LOG)
    return tmp_path / "backup"


def test_a_tree_stands_against_its_sealed_backup(tree: Path, backup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lgh("check", tree, "--backup", backup) == 0
    (backup / OPEN / "accuracy" / LOG).unlink()
    assert lgh("check", tree, "--backup", backup) == 1
    assert "no such log in the backup" in capsys.readouterr().out


def test_a_backup_is_of_one_tree(tree: Path, tmp_path: Path) -> None:
    run = make(tmp_path / "run", Made(Scenario.OFFLINE, 300, 10.0)).path
    with pytest.raises(BadInput, match="of one submission tree"):
        lgh("check", run, "--backup", tmp_path)
    with pytest.raises(BadInput, match="no folder: give the sealed backup"):
        lgh("check", tree, "--backup", tmp_path / "nowhere")


def findings(out: str) -> list[list[tuple[str, str, str]]]:
    """Check, file and what was found of every error, for each tree."""
    audited = json.loads(out)["audited"]
    return [
        [(each["check"], each["file"], each["found"]) for each in tree["findings"] if each["severity"] == "error"]
        for tree in audited
    ]


def test_a_run_of_another_submitter_in_another_tree_is_a_copy(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = copied(tree, tmp_path / "other")
    shutil.rmtree(other / "closed")
    (other / "open/Acme").rename(other / "open/Zenith")
    system = other / "open/Zenith/systems/toybox_1x_cpu.json"
    text = system.read_text().replace('"Acme"', '"Zenith"')
    system.unlink()
    system.write_text(text)
    assert lgh("check", tree, other, "--format", "json") == 1
    first, second = findings(capsys.readouterr().out)
    ((check, _, found),) = second
    assert first == [] and check == "duplicate" and found.endswith(": performance, accuracy")
    assert all(file.startswith("open/Zenith/") and str(tree) in found for _, file, found in second)


def test_two_versions_of_one_tree_are_no_copies(tree: Path, tmp_path: Path) -> None:
    again = copied(tree, tmp_path / "again")
    assert lgh("check", tree, again) == 0


def test_what_the_official_checkers_cannot_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path / "run", Made(Scenario.OFFLINE, 300, 10.0)).path
    lgh("check", run, "--official", tmp_path)
    said = " ".join(capsys.readouterr().err.split())
    assert "is no submission tree, which is all that the official checkers read" in said


def test_a_part_of_the_data_set_is_not_judged(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = shared / "golden-v6.1-full-accuracy"
    data = ("--benchmark", "resnet50", "--data", whole / "val_map.txt")
    assert lgh("audit", "accuracy", whole / "Offline/TEST01/accuracy", *data) == 0
    said = capsys.readouterr()
    assert "total=1015" in said.out and "75.695" not in said.out
    note = " ".join(said.err.split())
    assert "1,015 samples are in the log, the benchmark has 50,000" in note and "nothing was judged" in note
