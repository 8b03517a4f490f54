"""The tree holds what the rules ask for and nothing else, and is there whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audit.finding import Severity
from audit.verdict import Verdict
from loadgen_harness import rounds
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Division, Scenario
from submissions import layout
from submissions.check import check
from submissions.generate import Entry, generate
from submissions.sealed import verify
from submissions.truncate import truncate
from tests.submissions import trees
from tests.submissions.folders import DIGITS, RESNET50, Made, make


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    run = make(tmp_path / "performance", Made(Scenario.OFFLINE, 200, 1.0))
    accuracy = make(tmp_path / "accuracy", Made(Scenario.OFFLINE, 200, 1.0, mode="AccuracyOnly"), 8)
    audited = make(tmp_path / "TEST01", Made(Scenario.OFFLINE, 200, 1.0), 9)
    verdict = Verdict(True, {"verify_accuracy.txt": "TEST PASS\n", "verify_performance.txt": "TEST PASS\n"}, ())
    return Entry(DIGITS, Scenario.OFFLINE, run, accuracy, "accuracy=98.1%", {"TEST01": (audited, verdict)})


def test_holds_exactly_the_wanted_files(entry: Entry, tmp_path: Path) -> None:
    tree = generate([entry], trees.meta(), tmp_path / "tree")
    home = tree / "closed" / "Acme"
    result = "results/toybox_1x_cpu/digits/Offline"
    found = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    logs = ("mlperf_log_detail.txt", "mlperf_log_summary.txt")
    assert found == {
        "documentation/calibration.md",
        "src/digits/README.md",
        "systems/toybox_1x_cpu.json",
        *(f"{result}/{name}" for name in ("measurements.json", "user.conf", "README.md")),
        *(f"{result}/performance/run_1/{name}" for name in logs),
        *(f"{result}/accuracy/{name}" for name in (*logs, "mlperf_log_accuracy.json", "accuracy.txt")),
        *(f"{result}/TEST01/performance/run_1/{name}" for name in logs),
        *(f"{result}/TEST01/accuracy/{name}" for name in ("mlperf_log_accuracy.json", "accuracy.txt")),
        *(f"{result}/TEST01/{name}" for name in ("verify_accuracy.txt", "verify_performance.txt")),
    }


def test_describes_runs_without_naming_local_folders(entry: Entry, tmp_path: Path) -> None:
    tree = generate([entry], trees.meta(), tmp_path / "tree")
    text = "\n".join(path.read_text() for path in tree.rglob("README.md"))
    assert "lgh run digits --output one" in text
    assert "onnxruntime: 1.30.0" in text
    assert "/home" not in text and "/opt" not in text
    measurements = json.loads(next(tree.rglob("measurements.json")).read_text())
    assert measurements["starting_weights_filename"] == "digits-int8.onnx"
    assert measurements["weight_data_types"] == "int8"
    assert all(measurements.values())


def test_refuses_before_it_writes(entry: Entry, tmp_path: Path) -> None:
    output = tmp_path / "tree"
    custom = replace(entry, name="my-net")
    cases = [
        ([], trees.meta(), "at least one result"),
        ([entry, entry], trees.meta(), "two entries"),
        ([custom], trees.meta(), "open division"),
        ([entry], trees.meta(Division.NETWORK), "Query Dispatch Library"),
        ([entry], replace(trees.meta(), submitter="A Company"), "folder name"),
        ([entry], replace(trees.meta(), system={}), "lacks"),
        ([entry], replace(trees.meta(), measurements={"retraining": ""}), "retraining"),
    ]
    for entries, meta, sentence in cases:
        with pytest.raises(BadInput, match=sentence):
            generate(entries, meta, output)
        assert not output.exists() and not list(tmp_path.glob("*.partial"))
    generate([entry], trees.meta(), output)
    with pytest.raises(BadInput, match="never overwritten"):
        generate([entry], trees.meta(), output)


def test_a_missing_log_leaves_nothing_behind(entry: Entry, tmp_path: Path) -> None:
    entry.performance.file("mlperf_log_summary.txt").unlink()
    with pytest.raises(BadInput, match=r"mlperf_log_summary\.txt is missing"):
        generate([entry], trees.meta(), tmp_path / "tree")
    assert not list(tmp_path.glob("tree*"))


def test_maps_custom_models_to_internal_names(entry: Entry, tmp_path: Path) -> None:
    own = replace(entry, benchmark=RESNET50, name="my-toy-net", compliance={})
    tree = generate([own], trees.meta(Division.OPEN), tmp_path / "tree")
    home = layout.submitter(tree, Division.OPEN, "Acme")
    assert json.loads(home.model_mapping.read_text()) == {"my-toy-net": "resnet"}
    assert home.source("my-toy-net").is_file()


def test_golden_runs_become_a_tree_without_findings(shared: Path, tmp_path: Path) -> None:
    tree = trees.closed(shared, tmp_path / "runs", tmp_path / "tree")
    changed = truncate(tree, tmp_path / "backup")
    assert len(changed) == 6 and all(each.changed for each in changed)
    assert not list(verify(tree, tmp_path / "backup"))
    assert not [f for f in check(tree, rounds.load("v6.1"), {"resnet50": RESNET50}) if f.severity is not Severity.NOTE]


def test_golden_runs_become_an_open_tree(shared: Path, tmp_path: Path) -> None:
    tree = trees.opened(shared, tmp_path / "runs", tmp_path / "tree")
    truncate(tree, tmp_path / "backup")
    assert not [f for f in check(tree, rounds.load("v6.1"), {"resnet50": RESNET50}) if f.severity is not Severity.NOTE]
