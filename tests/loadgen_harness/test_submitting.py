"""The verb submit: one command from runs to a packed tree, repeated without harm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadgen_harness import cli, submitting
from loadgen_harness.errors import BadInput
from submissions.archive import read
from tests.submissions import manifests


def submit(*words: object, round_: str = "") -> int:
    """`lgh --round ROUND submit WORDS`, in this process."""
    args = cli.build().parse_args(["submit", *map(str, words)])
    args.round = round_
    return submitting.submit(args)


def test_one_command_builds_checks_and_packs(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = manifests.closed(shared, tmp_path / "in", ("SingleStream",), 'infer = ["MultiStream"]\n')
    tree, archive = tmp_path / "tree", tmp_path / "tree.tar.gz"
    words = ("--from", manifest, "--output", tree, "--infer", "Offline", "--private-ids", "--archive", archive)
    assert submit(*words, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "165.731" in said and "inferred from SingleStream" in said and not tree.exists()
    assert submit(*words) == 0
    before = archive.read_bytes()
    names = read(archive)
    assert {name.split("/")[5] for name in names if "/results/toybox_1x_cpu/resnet50/" in name} == {
        "SingleStream",
        "MultiStream",
        "Offline",
    }
    assert "closed/Acme/results/toybox_1x_cpu/privateid.json" in names
    assert submit(*words) == 0 and archive.read_bytes() == before
    assert "nothing left to do" in capsys.readouterr().out
    assert (tmp_path / "tree.sealed-accuracy-logs" / "closed").is_dir()


def test_nothing_is_inferred_unasked_and_a_faulty_tree_is_not_packed(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = manifests.closed(shared, tmp_path / "in", ("SingleStream",))
    tree = tmp_path / "tree"
    assert submit("--from", manifest, "--output", tree, "--archive", tmp_path / "tree.tar.gz") == 1
    said = capsys.readouterr().out
    assert "May be inferred" in said and "resnet50/Offline=SingleStream" in said and "was not packed" in said
    assert [path.name for path in (tree / "closed/Acme/results/toybox_1x_cpu/resnet50").iterdir()] == ["SingleStream"]
    assert not (tree / "open").exists() and not (tmp_path / "tree.tar.gz").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "give a PLAN"),
        (("demo", "--from", "x.toml"), "give a PLAN"),
        (("--from", "x.toml", "--campaign", "y"), "belong to a plan"),
        (("demo", "--output", "x"), "--campaign"),
    ],
)
def test_too_much_or_too_little_is_refused(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        submit(*words)


def test_another_round_and_no_output_are_refused(shared: Path, tmp_path: Path) -> None:
    manifest = manifests.closed(shared, tmp_path / "in", ("Offline",))
    with pytest.raises(BadInput, match="name the folder of the tree"):
        submit("--from", manifest)
    with pytest.raises(BadInput, match=r"is of round v6\.1"):
        submit("--from", manifest, "--output", "x", round_="v6.0")


def test_a_system_description_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "system.json"
    for content in ("{", json.dumps([])):
        file.write_text(content)
        with pytest.raises(BadInput, match="lgh system"):
            submit("demo", "--campaign", tmp_path, "--system", file)
