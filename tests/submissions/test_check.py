"""The golden tree has no findings; every mutation has exactly its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from audit.finding import Finding
from loadgen_harness import rounds
from submissions.check import check
from tests.submissions.folders import RESNET50

HOME = Path("closed/Acme")
RESULT = HOME / "results/toybox_1x_cpu/resnet50"
SINGLE = RESULT / "SingleStream"
Mutation = Callable[[Path], object]


def findings(tree: Path) -> list[Finding]:
    return list(check(tree, rounds.load("v6.1"), {"resnet50": RESNET50}))


@pytest.fixture
def tree(shared: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "tree"
    shutil.copytree(shared / "golden-v6.1", copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


def edit(name: Path | str, old: str, new: str) -> Mutation:
    def change(tree: Path) -> None:
        path = tree / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new))

    return change


def write(name: Path | str, text: str) -> Mutation:
    def change(tree: Path) -> None:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)

    return change


def remove(name: Path | str) -> Mutation:
    def change(tree: Path) -> None:
        path = tree / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def key(name: Path, key_: str, value: object) -> Mutation:
    def change(tree: Path) -> None:
        content = json.loads((tree / name).read_text())
        content.pop(key_, None)
        if value is not None:
            content[key_] = value
        (tree / name).write_text(json.dumps(content))

    return change


SYSTEM = HOME / "systems/toybox_1x_cpu.json"
DETAIL = SINGLE / "performance/run_1/mlperf_log_detail.txt"
MUTATIONS: dict[str, tuple[Mutation, list[tuple[str, str]]]] = {
    "scenario missing": (remove(RESULT / "MultiStream"), [("suite", "scenario")]),
    "scenario of another name": (write(RESULT / "notes/a.txt", "x"), [("structure", "scenario")]),
    "unknown benchmark": (write(HOME / "results/toybox_1x_cpu/rest/Offline/a.txt", "x"), [("structure", "benchmark")]),
    "system json missing": (
        remove(SYSTEM.parent),
        [("system", "file"), ("suite", "system_type")],
    ),
    "system json damaged": (write(SYSTEM, "{"), [("system", "file"), ("suite", "system_type")]),
    "key missing": (key(SYSTEM, "cooling", None), [("system", "cooling")]),
    "key empty": (key(SYSTEM, "framework", ""), [("system", "framework")]),
    "count zero": (key(SYSTEM, "accelerators_per_node", 0), [("system", "accelerators_per_node")]),
    "count in words": (key(SYSTEM, "number_of_nodes", "N/A"), [("system", "number_of_nodes")]),
    "status misspelt": (key(SYSTEM, "status", "avaliable"), [("system", "status")]),
    "network flag": (key(SYSTEM, "is_network", "false"), [("system", "is_network")]),
    "another submitter": (key(SYSTEM, "submitter", "Zenith"), [("system", "submitter")]),
    "no source": (remove(HOME / "src"), [("structure", "src")]),
    "no calibration": (remove(HOME / "documentation"), [("structure", "calibration.md")]),
    "system without results": (write(HOME / "systems/ghost.json", "{}"), [("structure", "system")]),
    "measurement empty": (key(SINGLE / "measurements.json", "retraining", False), [("measurements", "retraining")]),
    "no user.conf": (remove(SINGLE / "user.conf"), [("structure", "file")]),
    "empty README": (write(SINGLE / "README.md", ""), [("structure", "file")]),
    "no detail log": (remove(DETAIL), [("structure", "file")]),
    "no summary": (remove(SINGLE / "performance/run_1/mlperf_log_summary.txt"), [("structure", "file")]),
    "invalid run": (
        edit(DETAIL, '"key": "result_validity", "value": "VALID"', '"key": "result_validity", "value": "INVALID"'),
        [("validity", "result_validity")],
    ),
    "other seed": (
        edit(DETAIL, '"effective_qsl_rng_seed", "value": 2085463073848966840', '"effective_qsl_rng_seed", "value": 0'),
        [("seeds", "effective_qsl_rng_seed")],
    ),
    "accuracy below target": (
        edit(SINGLE / "accuracy/accuracy.txt", "accuracy=76.502%", "accuracy=70.100%"),
        [("accuracy", "acc")],
    ),
    "accuracy unreadable": (
        edit(SINGLE / "accuracy/accuracy.txt", "accuracy=76.502%", "np.float64(76.502)"),
        [("accuracy", "acc")],
    ),
    "hash missing": (edit(SINGLE / "accuracy/accuracy.txt", "hash=", "sum="), [("truncation", "hash")]),
    "hash of TEST01 too short": (write(SINGLE / "TEST01/accuracy/accuracy.txt", "hash=0\n"), [("truncation", "hash")]),
    "not truncated": (
        write(SINGLE / "accuracy/mlperf_log_accuracy.json", "[" + " " * 10_240 + "]"),
        [("truncation", "size")],
    ),
    "no accuracy text": (remove(SINGLE / "accuracy/accuracy.txt"), [("structure", "file")]),
    "test missing": (remove(SINGLE / "TEST04"), [("compliance", "TEST04")]),
    "test failed": (edit(SINGLE / "TEST01/verify_accuracy.txt", "TEST PASS", "TEST FAIL"), [("compliance", "verdict")]),
    "verdict missing": (remove(SINGLE / "TEST04/verify_performance.txt"), [("compliance", "file")]),
    "hidden file": (write(SINGLE / ".note", "x"), [("files", "path")]),
    "blank in a name": (write(SINGLE / "a note.txt", "x"), [("files", "path")]),
    "empty folder": (lambda tree: (tree / SINGLE / "images").mkdir(), [("files", "path")]),
    "link": (lambda tree: (tree / SINGLE / "link").symlink_to("README.md"), [("files", "path")]),
    "stray file at the root": (write("run.sh", "x"), [("files", "path")]),
    "cache": (write(SINGLE / "__pycache__/a.pyc", "x"), [("files", "path")]),
    "power incomplete": (
        lambda tree: [
            write(SINGLE / "performance" / name, "x")(tree)
            for name in (
                *(f"power/{each}" for each in ("client.json", "client.log", "ptd_logs.txt", "server.json")),
                *(f"{each}/spl.txt" for each in ("run_1", "ranging")),
            )
        ],
        [("power", "file")],
    ),
}


def test_the_golden_tree_has_no_findings(tree: Path) -> None:
    assert findings(tree) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_has_its_finding_and_no_other(tree: Path, name: str) -> None:
    mutate, wanted = MUTATIONS[name]
    mutate(tree)
    found = findings(tree)
    assert [(each.check, each.key) for each in found] == wanted, found
    assert all(each.file and each.found and each.wanted and each.clause and each.fix for each in found)


def test_a_large_file_is_found(tree: Path) -> None:
    with (tree / SINGLE / "video.mp4").open("wb") as file:
        file.truncate(60_000_000)
    assert [(each.check, each.found) for each in findings(tree)] == [("files", "60 MB")]


def test_an_empty_tree_is_an_error(tmp_path: Path) -> None:
    assert [each.found for each in findings(tmp_path)] == ["0"]
    assert [each.found for each in findings(tmp_path / "nowhere")] == ["0"]


def test_open_relaxes_the_target_but_not_the_files(tree: Path) -> None:
    offline = Path("open/Acme/results/toybox_1x_cpu/my-toy-net/Offline")
    edit(offline / "accuracy/accuracy.txt", "accuracy=76.502%", "accuracy=1.000%")(tree)
    assert findings(tree) == []
    remove(offline / "accuracy/accuracy.txt")(tree)
    assert [(each.check, each.file) for each in findings(tree)] == [
        ("structure", str(offline / "accuracy/accuracy.txt"))
    ]


def test_an_inferred_scenario_is_allowed_one_way_only(tree: Path) -> None:
    shutil.rmtree(tree / RESULT / "MultiStream")
    shutil.copytree(tree / SINGLE, tree / RESULT / "MultiStream")
    assert findings(tree) == []
    shutil.rmtree(tree / SINGLE)
    shutil.copytree(tree / RESULT / "Offline", tree / SINGLE)
    assert {(each.check, each.key) for each in findings(tree)} >= {("scenario", "effective_scenario")}


def test_test01_accepts_accuracy_in_place_of_equal_bytes(tree: Path) -> None:
    edit(SINGLE / "TEST01/verify_accuracy.txt", "TEST PASS", "TEST FAIL")(tree)
    write(SINGLE / "TEST01/accuracy/baseline_accuracy.txt", "accuracy=76.500%, good=3, total=4\n")(tree)
    write(SINGLE / "TEST01/accuracy/compliance_accuracy.txt", "accuracy=76.400%, good=3, total=4\n")(tree)
    assert findings(tree) == []
    write(SINGLE / "TEST01/accuracy/compliance_accuracy.txt", "accuracy=74.400%, good=3, total=4\n")(tree)
    assert [(each.check, each.key) for each in findings(tree)] == [("compliance", "verdict")]
