"""`lgh check`: paths that name nothing or one folder twice, options without a meaning, and what was not verified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from tests.audit.test_alone import logs
from tests.loadgen_harness.test_auditing import lgh


def test_an_empty_name_is_no_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    with pytest.raises(BadInput, match="an empty name: give the folder to check"):
        lgh("check", "")


def test_a_folder_is_named_once(tree: Path) -> None:
    with pytest.raises(BadInput, match="is given twice as"):
        lgh("check", tree, tree / "closed" / "..")
    with pytest.raises(BadInput, match="is given twice: name"):
        lgh("check", tree, tree)


@pytest.mark.parametrize(("option", "value"), [("--benchmark", "resnet50"), ("--scenario", "Interactive")])
def test_a_tree_says_itself_what_its_results_are(tree: Path, option: str, value: str) -> None:
    with pytest.raises(BadInput, match=f"{option} says what a folder of logs is"):
        lgh("check", tree, option, value)


def test_a_pass_says_what_was_not_verified(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lgh("check", tree)
    said = capsys.readouterr().out.splitlines()[2]
    assert said.strip().startswith("not verified: ") and "recomputed" in said
    lgh("check", tree, "--format", "json", "--output", tmp_path / "found.json")
    (entry,) = json.loads((tmp_path / "found.json").read_text())["audited"]
    assert said.strip() == f"not verified: {'; '.join(entry['unverified'])}"
    lgh("check", tree, "--format", "html", "--output", tmp_path / "found.html")
    assert "<dt>not verified</dt>" in (tmp_path / "found.html").read_text()


def test_of_a_truncated_log_the_backup_is_asked_for(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    golden = shared / "golden-v6.1"
    if not golden.is_dir():
        pytest.skip("no golden tree in ../shared")
    lgh("check", golden)
    assert "responses of 4 results, whose accuracy logs are truncated (--backup FOLDER" in capsys.readouterr().out


def test_of_logs_alone_what_lies_beside_them_was_not_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = logs(tmp_path / "logs").path
    (folder / "mlperf_log_summary.txt").unlink(missing_ok=True)
    lgh("check", folder)
    said = capsys.readouterr().out
    assert "not verified: no mlperf_log_summary.txt; no per-sample record" in said and "beside the logs" in said
