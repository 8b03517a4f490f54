"""A folder is recognised by what lies in it, never by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from submissions.recognise import Kind, kind_of


def made(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return root


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("closed/Acme/results/box/resnet50/Offline/accuracy/accuracy.txt",), Kind.TREE),
        (("open/Acme/a.txt", "README.md"), Kind.TREE),
        (("network/Acme/a.txt",), Kind.TREE),
        (("run.json", "mlperf_log_detail.txt"), Kind.RUN),
        (("mlperf_log_detail.txt",), Kind.LOGS),
        (("mlperf_log_summary.txt",), Kind.LOGS),
        (("mlperf_log_accuracy.json",), Kind.LOGS),
        (("config.yaml", "performance/result_summary.json"), Kind.ENDPOINTS),
        (("accuracy/accuracy_results.json",), Kind.ENDPOINTS),
        (("power/client.json", "run_1/spl.txt"), Kind.SESSION),
        (("performance/power/server.json", "performance/run_1/spl.txt", "runs/testing/run.json"), Kind.SESSION),
    ],
)
def test_kinds(tmp_path: Path, names: tuple[str, ...], kind: Kind) -> None:
    assert kind_of(made(tmp_path, *names)) is kind


def test_an_empty_folder_is_a_tree_without_results(tmp_path: Path) -> None:
    assert kind_of(tmp_path) is Kind.TREE


@pytest.mark.parametrize(
    ("names", "path", "hint"),
    [
        ((), "nowhere", "is no folder"),
        (("file.txt",), "file.txt", "is no folder"),
        (("notes.txt",), ".", "check the path"),
        (("runs/digits/Offline/performance/run.json", "plan.json"), ".", "below its runs/"),
        (
            ("tree/closed/Acme/results/box/resnet50/Offline/README.md",),
            "tree/closed/Acme/results/box",
            "submission tree",
        ),
    ],
)
def test_anything_else_is_one_sentence(tmp_path: Path, names: tuple[str, ...], path: str, hint: str) -> None:
    made(tmp_path, *names)
    with pytest.raises(BadInput, match=hint) as caught:
        kind_of(tmp_path / path)
    assert "\n" not in str(caught.value)


def test_a_part_of_a_tree_names_the_tree(tmp_path: Path) -> None:
    made(tmp_path, "tree/closed/Acme/results/box/resnet50/Offline/README.md")
    for part in ("closed/Acme", "closed/Acme/results/box/resnet50"):
        with pytest.raises(BadInput, match=f"{tmp_path.resolve()}/tree: give that"):
            kind_of(tmp_path / "tree" / part)


def test_a_folder_that_cannot_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(BadInput, match="Permission denied"):
        kind_of(tmp_path)


@pytest.mark.parametrize("part", ["closed", "closed/Acme/src", "closed/Acme/systems"])
def test_a_division_and_a_submitters_own_folders_name_the_tree_too(tmp_path: Path, part: str) -> None:
    made(tmp_path, "tree/closed/Acme/results/box/resnet50/Offline/README.md", f"tree/{part}/notes.txt")
    with pytest.raises(BadInput, match=f"a part of the submission tree {tmp_path.resolve()}/tree: give that"):
        kind_of(tmp_path / "tree" / part)


def test_a_folder_that_is_merely_called_closed_is_part_of_nothing(tmp_path: Path) -> None:
    made(tmp_path, "closed/notes.txt", "closed/old/notes.txt")
    with pytest.raises(BadInput, match="check the path"):
        kind_of(tmp_path / "closed")
