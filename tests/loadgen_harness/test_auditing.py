"""`lgh check` and the verbs that judge folders: what is recognised, what is said, how it ends."""

from __future__ import annotations

import importlib
import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from absl.testing import flagsaver

from loadgen_harness import cli, console
from loadgen_harness.errors import SuiteError
from loadgen_harness.types import Scenario
from tests.architecture import ROOT
from tests.audit.test_alone import logs
from tests.loadgen_harness import endpoint_folders
from tests.submissions.folders import Made, make

HOSTILE = "\x1b[2J\u202e name\n]]>"
CHECKOUT = os.environ.get("LGH_MLCOMMONS_INFERENCE", "")


def lgh(*arguments: str | Path) -> int:
    """The exit code of a command line, in this process."""
    with flagsaver.flagsaver():
        args = cli.parse(["lgh", *map(str, arguments)])
        code: int = getattr(importlib.import_module(f"loadgen_harness.{args.module}"), args.function)(args)
    return code


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make(tmp_path / "run", Made(Scenario.SINGLE_STREAM, 300, 10.0)).path


def spoil(tree: Path) -> Path:
    """One fault: the run was INVALID, which the official checker does not look at."""
    path = next(iter(sorted(tree.glob("closed/*/results/*/*/SingleStream/performance/run_1/mlperf_log_detail.txt"))))
    valid, invalid = ('"key": "result_validity", "value": "' + word + '"' for word in ("VALID", "INVALID"))
    path.write_text(path.read_text().replace(valid, invalid))
    return path


class TestTrees:
    def test_a_good_tree_passes(self, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert lgh("check", tree) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"PASS  {tree}")
        assert "round v6.1" in said and "have its seeds" in said
        verdicts = [line.split()[-8:] for line in said.splitlines() if line.startswith(("rules", "official checker"))]
        assert len(verdicts) == 2 and all("accepts" in line for line in verdicts)

    def test_a_fault_is_told_with_both_verdicts(self, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = spoil(tree)
        assert lgh("check", tree, "--round", "v6.1") == 1
        said = capsys.readouterr().out
        assert said.startswith(f"FAIL  {tree}: validity: result_validity is INVALID")
        number = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if '"result_validity"' in line)
        assert f"{path.relative_to(tree)}:{number}" in said
        rules, expected = (line for line in said.splitlines() if line.startswith(("rules", "official checker")))
        assert "rejects" in rules and "accepts" in expected
        assert "as asked" in said

    def test_an_empty_folder_is_a_finding(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert lgh("check", tmp_path) == 1
        assert capsys.readouterr().out.startswith("FAIL")

    def test_formats(self, tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        spoil(tree)
        assert lgh("check", tree, "--format", "json") == 1
        content = json.loads(capsys.readouterr().out)
        assert content["audited"][0]["round"] == "v6.1" and len(content["audited"][0]["results"]) == 4
        for form in ("sarif", "junit", "html"):
            assert lgh("check", tree, "--format", form, "--output", tmp_path / form) == 1
            assert "wrote" in capsys.readouterr().out
        assert json.loads((tmp_path / "sarif").read_text())["version"] == "2.1.0"
        errors = [each for each in content["audited"][0]["findings"] if each["severity"] == "error"]
        failed = {(each["result"], each["check"]) for each in errors}
        assert ElementTree.parse(tmp_path / "junit").getroot().get("failures") == str(len(failed)) != "0"

    def test_fix_shows_asks_and_mends(
        self, tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stray = next(tree.glob("closed/*/results/*/*/Offline")) / "ptd_out.txt"
        stray.write_text("x")
        monkeypatch.setattr(console, "confirmed", lambda question: False)
        assert lgh("check", tree, "--fix") == 1
        assert f"remove {stray.relative_to(tree)}" in capsys.readouterr().out and stray.exists()
        monkeypatch.setattr(console, "confirmed", lambda question: "1 changes" in question)
        assert lgh("check", tree, "--fix") == 0
        assert not stray.exists()
        assert (tree.with_name("tree.before-fix") / stray.relative_to(tree)).exists()
        assert lgh("check", tree, "--fix", "--yes") == 0
        assert "nothing that is safe to mend" in capsys.readouterr().err

    def test_hostile_names_reach_no_terminal(self, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tree / "closed/Acme" / HOSTILE).mkdir()
        (tree / "closed/Acme" / HOSTILE / "a\udcff \n.txt").write_text("x")
        for arguments in ((), ("--format", "junit"), ("--format", "sarif"), ("--format", "html"), ("--fix",)):
            lgh("check", tree, *arguments)
            said = "".join(capsys.readouterr())
            assert "\x1b" not in said and "\u202e" not in said and "\udcff" not in said

    def test_yes_does_not_ask(self, tree: Path) -> None:
        (tree / "closed/.DS_Store").write_text("x")
        assert lgh("check", tree, "--fix", "--yes") == 0
        assert not (tree / "closed/.DS_Store").exists()


@pytest.mark.skipif(not CHECKOUT, reason="LGH_MLCOMMONS_INFERENCE names no checkout of mlcommons/inference")
def test_the_official_checkers_stand_beside(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lgh("check", tree, "--official", CHECKOUT) == 0
    spoil(tree)
    assert lgh("check", tree, "--official", CHECKOUT) == 1
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("rules", "official"))]
    assert [re.split(r" {2,}", row)[1] for row in rows] == [
        *["accepts"] * 4,
        "rejects",
        "accepts",
        "accepts",
        "rejects",
    ]


class TestRuns:
    def test_our_own_run_names_its_round(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        lgh("check", run)
        said = capsys.readouterr().out
        assert "run folder, round mini (run.json says so)" in said and "digits/SingleStream" in said

    def test_another_round_may_be_asked_for(self, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert lgh("check", run, "--round", "v6.1") == 1
        assert "duration" in capsys.readouterr().out

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"spec": {"benchmark": "nothing", "round": "mini"}}'])
    def test_a_damaged_record_is_a_finding(self, run: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        (run / "run.json").write_text(text)
        assert lgh("check", run) == 1
        assert "run.json" in capsys.readouterr().out

    def test_foreign_logs(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        logs(tmp_path / "log")
        assert lgh("check", tmp_path / "log") == 1
        said = capsys.readouterr().out
        assert "LoadGen's logs, round v6.1 (by its seeds)" in said and "--benchmark NAME" in said
        assert lgh("check", tmp_path / "log", "--benchmark", "resnet") == 1
        assert "--benchmark NAME" not in capsys.readouterr().out

    def test_an_endpoints_result(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip("yaml", reason="config.yaml is read with PyYAML")
        endpoint_folders.write(tmp_path / "ep", endpoint_folders.summary(), endpoint_folders.accuracy(0.1))
        lgh("check", tmp_path / "ep")
        said = capsys.readouterr().out
        assert "MLPerf Endpoints result, round v6.1 (by its seeds)" in said and "--benchmark NAME" in said
        assert "mlperf_log" not in said and "early-stopping" not in said
        assert lgh("check", tmp_path / "ep", "--benchmark", "qwen3-vl-235b-a22b") == 1
        assert "accuracy/accuracy_results.json" in capsys.readouterr().out

    def test_several_paths(self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        logs(tmp_path / "log")
        assert lgh("check", run, tmp_path / "log") == 1
        assert "of 2 audited" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("check", "{}/nowhere"), "is no folder"),
        (("check", "{}/run", "{}/nowhere"), "is no folder"),
        (("check", "{}/notes"), "check the path"),
        (("check", "{}/run", "--output", "{}"), "name of a file"),
        (("check", "{}/run", "--output", "{}/no/such/folder/x"), "name another file"),
        (("check", "{}/run", "--fix", "--format", "json"), "--output"),
        (("check", "{}/run", "--format", "xml"), "unknown value 'xml'"),
        (("check", "{}/run", "--fromat", "json"), "did you mean '--format'?"),
        (("check", "{}/run", "--scenario", "Sever"), "did you mean 'Server'?"),
        (("check", "{}/log", "--benchmark", "resnet5"), "did you mean 'resnet50'?"),
        (("check", "{}/tree", "--official", "{}"), "checkout of mlcommons/inference"),
        (("audit",), "lgh audit --help"),
        (("audit", "{}/run"), "lgh check {}/run"),
        (("audit", "reprduce", "x"), "did you mean 'reproduce'?"),
        (("audit", "reproduce", "{}/run", "--ouput", "x"), "did you mean '--output'?"),
        (("audit", "reproduce", "{}/run", "--dtype", "x"), "unknown flag '--dtype'"),
        (("audit", "accuracy", "{}/log", "--benchmark", "resnet5"), "did you mean 'resnet50'?"),
        (("audit", "accuracy", "{}/log", "--bench", "resnet"), "--benchmark"),
        (("audit", "verify", "TEST01", "{}/log"), "--output"),
        (
            ("audit", "verify", "TEST99", "{}/log", "--benchmark", "resnet", "--output", "{}/o"),
            "unknown compliance test",
        ),
        (("audit", "verify", "TEST01", "{}/log", "--benchmark", "resnet", "--output", "{}/o"), "--performance"),
        (("audit", "verify", "TEST01", "{}/log", "--benchmark", "rest", "--output", "{}/o"), "did you mean"),
    ],
)
def test_mistakes_are_one_sentence(arguments: tuple[str, ...], hint: str, run: Path, tmp_path: Path) -> None:
    logs(tmp_path / "log")
    (tmp_path / "tree/closed/Acme").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("x")
    with pytest.raises(SuiteError) as caught:
        lgh(*(each.format(tmp_path) for each in arguments))
    assert hint.format(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "o").exists()


DOC = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
TYPED = [
    line.partition("#")[0].split()
    for block in re.findall(r"```sh\n(.*?)```", DOC, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("words", TYPED, ids=" ".join)
def test_what_the_documentation_says_to_type_is_understood(words: list[str]) -> None:
    with flagsaver.flagsaver():
        args = cli.parse(words)
    assert callable(getattr(importlib.import_module(f"loadgen_harness.{args.module}"), args.function))


def test_the_documentation_names_every_key_of_the_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lgh("check", run, "--format", "json")
    content = json.loads(capsys.readouterr().out)
    (audited,) = content["audited"]
    keys = {*content, *audited, *audited["verdicts"], *audited["findings"][0], "checker", "verdict", "reasons"}
    table = DOC.partition("## Formats for programs")[2].partition("\n## ")[0]
    assert not [key for key in keys if not re.search(rf"\b{key}\b", table)]


@pytest.mark.parametrize("verb", ["reproduce", "perturb", "cache", "order", "accuracy", "verify"])
def test_each_verb_has_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.build().parse_args(["audit", verb, "--help"])
    assert not caught.value.code
    assert f"lgh audit {verb}" in capsys.readouterr().out


def test_verify_writes_the_official_texts(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = shared / "golden-v6.1/closed/Acme/results/toybox_1x_cpu/resnet50/Offline"
    runs = (place / "TEST04/performance/run_1", "--performance", place / "performance/run_1")
    code = lgh("audit", "verify", "TEST04", *runs, "--benchmark", "resnet", "--output", tmp_path / "TEST04")
    assert code == 0, capsys.readouterr().out
    assert "TEST PASS" in (tmp_path / "TEST04/verify_performance.txt").read_text()
    assert "PASS  TEST04 of resnet50, round v6.1" in capsys.readouterr().out


def test_accuracy_of_an_official_benchmark(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = shared / "golden-v6.1-full-accuracy"
    command = (
        "audit",
        "accuracy",
        whole / "Offline/accuracy",
        "--benchmark",
        "resnet50",
        "--data",
        whole / "val_map.txt",
    )
    assert lgh(*command, "--output", tmp_path / "accuracy.txt") == 0
    assert "accuracy=76.502%, good=38251, total=50000" in (tmp_path / "accuracy.txt").read_text()
    assert "76.502" in capsys.readouterr().out
