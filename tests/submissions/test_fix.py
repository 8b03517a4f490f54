"""--fix mends names, the form of accuracy.txt and left-overs; never a log or a figure, and never without a copy."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from submissions import fix
from submissions.structure import MAX_BYTES
from tests.audit.folders import AUDIT_WARNING

RESULT = Path("closed/Acme/results/box/resnet50")
NUMPY = "{'rouge1': np.float64(44.4312), 'rouge2': np.float64(22.04)}\n\nhash=abc123\n"
PLAIN = "{'rouge1': 44.4312, 'rouge2': 22.04}\n\nhash=abc123\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree in which nothing is to be mended."""
    root = tmp_path / "tree"
    for scenario in ("Offline", "singlestream"):
        put(root / RESULT / scenario / "performance/run_1/mlperf_log_detail.txt", "log\n")
        put(root / RESULT / scenario / "accuracy/accuracy.txt", "accuracy=76.502%, good=3, total=4\n\nhash=ab\n")
        put(root / RESULT / scenario / "README.md", "how\n")
    put(root / "closed/Acme/src/resnet50/.clang-format", "x\n")
    put(root / "closed/Acme/systems/box.json", "{}\n")
    put(root / ".git/HEAD", "ref\n")
    (root / ".git/objects").mkdir()
    return root


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def contents(root: Path) -> dict[str, str]:
    """Every file below a folder with its digest; links with what they name."""
    paths = [path for path in root.rglob("*") if path.is_symlink() or path.is_file()]
    return {
        path.relative_to(root).as_posix(): os.readlink(path)
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def mend(root: Path) -> Path:
    changes = fix.of_tree(root)
    assert changes
    backup = fix.apply(root, changes)
    assert fix.of_tree(root) == []
    return backup


def test_nothing_to_mend(tree: Path) -> None:
    assert fix.of_tree(tree) == []


@pytest.mark.parametrize(
    "name",
    [
        "performance/run_1/ptd_out.txt",
        "__pycache__/a.cpython-311.pyc",
        ".DS_Store",
        "performance/run_1/.note",
        "accuracy/x.json.partial",
        ".hidden/deep/file.txt",
    ],
)
def test_left_overs_move_into_the_backup(tree: Path, name: str) -> None:
    before = contents(tree)
    put(tree / RESULT / "Offline" / name, "left over\n")
    backup = mend(tree)
    assert contents(tree) == before
    assert (backup / RESULT / "Offline" / name).read_text() == "left over\n"
    assert backup.parent == tree.parent


def test_source_code_keeps_hidden_files_but_no_caches(tree: Path) -> None:
    cache = tree / "closed/Acme/src/resnet50/__pycache__/a.pyc"
    put(cache, "x")
    mend(tree)
    assert not cache.parent.exists()
    assert (tree / "closed/Acme/src/resnet50/.clang-format").exists()
    assert (tree / ".git/HEAD").exists() and (tree / ".git/objects").is_dir()


def test_a_large_trace_goes_and_a_small_one_stays(tree: Path) -> None:
    small, large = (
        tree / RESULT / f"Offline/{part}/mlperf_log_trace.json" for part in ("accuracy", "performance/run_1")
    )
    put(small, "")
    put(large, "")
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    backup = mend(tree)
    assert small.exists() and not large.exists()
    assert (backup / large.relative_to(tree)).stat().st_size == MAX_BYTES + 1


def test_empty_folders_go_from_the_outermost_on(tree: Path) -> None:
    (tree / RESULT / "Offline/images/a/b").mkdir(parents=True)
    put(tree / RESULT / "Offline/notes/.DS_Store", "x")
    gone = {change.path.as_posix() for change in fix.of_tree(tree)}
    assert gone == {f"{RESULT}/Offline/{name}" for name in ("images", "notes", "notes/.DS_Store")}
    mend(tree)
    assert not (tree / RESULT / "Offline/images").exists() and not (tree / RESULT / "Offline/notes").exists()


@pytest.mark.parametrize(
    ("wrong", "right"), [("SingelStream", "SingleStream"), ("multi-stream", "MultiStream"), ("Ofline", "Offline")]
)
def test_misspelt_scenarios_are_renamed_everywhere(tmp_path: Path, wrong: str, right: str) -> None:
    root = tmp_path / "tree"
    for part in ("results", "measurements", "compliance"):
        put(root / f"closed/Acme/{part}/box/resnet50/{wrong}/a.txt", "x")
    mend(root)
    names = {path.parent.name for path in root.rglob("a.txt")}
    assert names == {right} and len(list(root.rglob("a.txt"))) == 3


@pytest.mark.parametrize("name", ["notes", "Online", "offline", "Server"])
def test_other_folders_keep_their_names(tree: Path, name: str) -> None:
    (tree / RESULT / "Offline").rename(tree / RESULT / name)
    assert fix.of_tree(tree) == []


def test_a_scenario_is_not_renamed_onto_another(tree: Path) -> None:
    for name in ("Ofline", "Single-Stream", "Sever", "Serverr"):
        put(tree / RESULT / name / "a.txt", "x")
    assert fix.of_tree(tree) == []


def test_small_files_get_their_name(tree: Path) -> None:
    (tree / RESULT / "Offline/README.md").rename(tree / RESULT / "Offline/Readme.MD")
    mend(tree)
    assert (tree / RESULT / "Offline/README.md").read_text() == "how\n"


def test_names_that_change_together(tree: Path) -> None:
    """A renamed file in a renamed folder, and a text rewritten in it."""
    (tree / RESULT / "Offline").rename(tree / RESULT / "Ofline")
    put(tree / RESULT / "Ofline/readme.md", "x")
    (tree / RESULT / "Ofline/README.md").unlink()
    put(tree / RESULT / "Ofline/accuracy/accuracy.txt", NUMPY)
    backup = mend(tree)
    assert (tree / RESULT / "Offline/README.md").read_text() == "x"
    assert (tree / RESULT / "Offline/accuracy/accuracy.txt").read_text() == PLAIN
    assert (backup / RESULT / "Ofline/accuracy/accuracy.txt").read_text() == NUMPY


@pytest.mark.parametrize("before", [NUMPY, NUMPY.replace("np.", "numpy."), PLAIN.replace("'", '"')])
def test_accuracy_texts_get_the_official_form(tree: Path, before: str) -> None:
    path = tree / RESULT / "Offline/accuracy/accuracy.txt"
    path.write_text(before)
    path.chmod(0o640)
    shown = fix.diff(tree, fix.of_tree(tree))
    assert f"--- a/{RESULT}/Offline/accuracy/accuracy.txt" in shown
    assert "+{'rouge1': 44.4312, 'rouge2': 22.04}" in shown
    backup = mend(tree)
    assert path.read_text() == PLAIN and path.stat().st_mode & 0o777 == 0o640
    assert (backup / path.relative_to(tree)).read_text() == before
    assert (backup / fix.RECORD).read_text() == shown


def test_a_form_that_would_change_a_figure_stays(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fix, "mended", lambda text: text.replace("76.502", "76.503"))
    assert fix.of_tree(tree) == []


def test_a_text_that_is_none_stays(tree: Path) -> None:
    (tree / RESULT / "Offline/accuracy/accuracy.txt").write_bytes(b"\xff\xfe np.float64(1.0)")
    assert fix.of_tree(tree) == []


def test_links_are_neither_followed_nor_changed(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    put(outside / "results/box/resnet50/Ofline/accuracy/accuracy.txt", NUMPY)
    put(outside / ".DS_Store", "x")
    before = contents(outside)
    (tree / "open").mkdir()
    (tree / "open/Evil").symlink_to(outside)
    (tree / RESULT / "Ofline").symlink_to(outside)
    (tree / RESULT / "Offline/accuracy/compliance_accuracy.txt").symlink_to(
        outside / "results/box/resnet50/Ofline/accuracy/accuracy.txt"
    )
    (tree / RESULT / "Offline/.link").symlink_to(outside)
    backup = mend(tree)
    assert contents(outside) == before
    assert (backup / RESULT / "Offline/.link").is_symlink()
    assert (tree / RESULT / "Ofline").is_symlink() and (tree / "open/Evil").is_symlink()


def test_loadgen_logs_are_never_touched(tree: Path) -> None:
    for name in ("mlperf_log_detail.txt", "mlperf_log_summary.txt", "mlperf_log_accuracy.json"):
        put(tree / RESULT / "Ofline2/accuracy" / name, "np.float64(1.0) \r\n")
    before = set(contents(tree).values())
    put(tree / RESULT / "Offline/.DS_Store", "x")
    mend(tree)
    assert set(contents(tree).values()) == before


def test_a_second_backup_has_a_name_of_its_own(tree: Path) -> None:
    names = []
    for _ in range(3):
        put(tree / RESULT / "Offline/.DS_Store", "x")
        names.append(mend(tree).name)
    assert names == ["tree.before-fix", "tree.before-fix-2", "tree.before-fix-3"]


def test_the_diff_names_what_is_renamed_and_removed(tree: Path) -> None:
    (tree / RESULT / "Offline").rename(tree / RESULT / "Ofline")
    put(tree / RESULT / "Ofline/ptd_out.txt", "x")
    lines = fix.diff(tree, fix.of_tree(tree)).splitlines()
    assert lines == [
        f"remove {RESULT}/Ofline/ptd_out.txt  (a left-over)",
        f"rename {RESULT}/Ofline",
        f"    to {RESULT}/Offline  (its name)",
    ]


def test_a_name_cannot_forge_the_diff(tree: Path) -> None:
    put(tree / RESULT / "Offline/.x\nremove nothing\x1b[2J", "x")
    assert (
        fix.diff(tree, fix.of_tree(tree)) == f"remove {RESULT}/Offline/.x\\nremove nothing\\x1b[2J  (a hidden name)\n"
    )
    mend(tree)


def test_names_that_are_no_text(tree: Path) -> None:
    path = os.fsencode(tree / RESULT / "Offline") + b"/._\xff"
    with open(path, "wb") as file:
        file.write(b"x")
    backup = mend(tree)
    assert os.path.exists(os.fsencode(backup / RESULT / "Offline") + b"/._\xff")


def test_what_the_file_system_refuses_is_one_sentence(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tree / RESULT / "Offline/.DS_Store", "x")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "there")

    monkeypatch.setattr(fix.shutil, "move", refuse)
    with pytest.raises(BadInput, match=r"cannot mend .*Permission denied.*before-fix"):
        fix.apply(tree, fix.of_tree(tree))


def test_what_cannot_be_read_is_one_sentence(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(fix, "_entries", refuse)
    with pytest.raises(BadInput, match=r"cannot mend .*Permission denied.*readable"):
        fix.of_tree(tree)


class TestRun:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        record(tmp_path / "run")
        put(tmp_path / "run/audit.config", "*.*.mode = 2\n")
        return tmp_path / "run"

    def test_a_forgotten_audit_config_goes(self, run: Path) -> None:
        assert [change.path.name for change in fix.of_run(run)] == ["audit.config"]
        backup = fix.apply(run, fix.of_run(run))
        assert (backup / "audit.config").exists() and fix.of_run(run) == []

    def test_one_that_the_run_read_or_recorded_stays(self, run: Path) -> None:
        record(run, spec={"test": "TEST04"})
        assert fix.of_run(run) == []
        record(run, digests={"audit.config": "0"})
        assert fix.of_run(run) == []
        put(run / "run.json", "{")
        assert fix.of_run(run) == []
        record(run)
        meta = {"is_error": False, "is_warning": True}
        line = {"key": "generic_message", "value": AUDIT_WARNING, "time_ms": 0.1, "namespace": "x", "metadata": meta}
        (run / "mlperf_log_detail.txt").write_text(f":::MLLOG {json.dumps(line)}\n")
        assert fix.of_run(run) == []


def record(run: Path, **meta: object) -> None:
    put(run / "run.json", json.dumps({"spec": {}, **meta}))
    put(run / "mlperf_log_detail.txt", "")
