"""The golden tree has no findings, whatever its layout; what a whole tree asks (single faults: test_mutations.py)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from audit.finding import Finding, Severity
from loadgen_harness import rounds
from submissions import inferred
from submissions.check import check, subjects
from submissions.results import quoted
from tests.submissions.folders import RESNET50
from tests.submissions.test_inferred import subject

HOME = Path("closed/Acme")
RESULT = HOME / "results/toybox_1x_cpu/resnet50"
SINGLE = RESULT / "SingleStream"
Mutation = Callable[[Path], object]


def everything(tree: Path, round_: str = "v6.1") -> list[Finding]:
    return list(check(tree, rounds.load(round_), {"resnet50": RESNET50}))


def findings(tree: Path, round_: str = "v6.1") -> list[Finding]:
    """What is wrong; notes only say what is worth knowing."""
    return [each for each in everything(tree, round_) if each.severity is not Severity.NOTE]


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


def test_the_golden_tree_has_no_findings(tree: Path) -> None:
    assert findings(tree) == []


def test_a_large_file_is_found(tree: Path) -> None:
    with (tree / SINGLE / "video.mp4").open("wb") as file:
        file.truncate(60_000_000)
    assert [(each.check, each.found) for each in findings(tree)] == [("files", "60 MB")]


def test_an_empty_tree_is_an_error(tmp_path: Path) -> None:
    assert [each.found for each in findings(tmp_path)] == ["0"]
    assert [each.found for each in findings(tmp_path / "nowhere")] == ["0"]


def test_open_relaxes_the_target_but_not_the_files(tree: Path) -> None:
    offline = Path("open/Acme/results/toybox_1x_cpu/my-toy-net/Offline")
    edit(offline / "accuracy/accuracy.txt", "accuracy=76.502%, good=38251", "accuracy=1.000%, good=500")(tree)
    assert findings(tree) == []
    remove(offline / "accuracy/accuracy.txt")(tree)
    assert [(each.check, each.file) for each in findings(tree)] == [
        ("structure", str(offline / "accuracy/accuracy.txt"))
    ]


def test_an_inferred_scenario_is_allowed_one_way_only(tree: Path) -> None:
    shutil.rmtree(tree / RESULT / "MultiStream")
    shutil.copytree(tree / SINGLE, tree / RESULT / "MultiStream")
    assert findings(tree) == []
    assert [each.found.split(":")[0] for each in everything(tree) if each.check == "inferred"] == [
        "165.731 Latency (ms) inferred from SingleStream"
    ]
    shutil.rmtree(tree / SINGLE)
    shutil.copytree(tree / RESULT / "Offline", tree / SINGLE)
    assert {(each.check, each.key) for each in findings(tree)} >= {("scenario", "effective_scenario")}


def test_a_datacenter_infers_nothing(tree: Path) -> None:
    shutil.rmtree(tree / RESULT / "MultiStream")
    shutil.copytree(tree / SINGLE, tree / RESULT / "MultiStream")
    key(SYSTEM, "system_type", "datacenter")(tree)
    assert ("inferred", "system_type") in {(each.check, each.key) for each in findings(tree)}


def test_official_benchmarks_need_no_package_of_ours(tree: Path) -> None:
    assert [each for each in check(tree, rounds.load("v6.1")) if each.severity is not Severity.NOTE] == []


def test_without_a_round_the_logs_tell_it(tree: Path) -> None:
    note, *others = check(tree)
    assert (note.check, note.severity, note.found) == ("round", Severity.NOTE, "v6.1")
    assert all(each.severity is Severity.NOTE for each in others)


def test_every_result_has_its_official_figure(tree: Path) -> None:
    figures = {each.scenario.value: inferred.result(each) for each in subjects(tree, rounds.load("v6.1"))}
    assert figures["SingleStream"] == inferred.Official(20.336186, "Latency (ms)", "early_stopping_latency_ss")
    assert figures.keys() == {"SingleStream", "MultiStream", "Offline"}


def older(tree: Path) -> None:
    """Turn a tree of v6.1 into one of v5.1: settings and tests apart, code/, other seeds."""
    v51, v61 = rounds.load("v5.1").seeds, rounds.load("v6.1").seeds
    for log in (*tree.rglob("mlperf_log_detail.txt"), *tree.rglob("mlperf_log_summary.txt")):
        text = log.read_text()
        for name in ("qsl", "sample_index", "schedule"):
            text = text.replace(str(getattr(v61, name)), str(getattr(v51, name)))
        log.write_text(text)
    for home in tree.glob("*/Acme"):
        (home / "src").rename(home / "code")
        for scenario in sorted(home.glob("results/*/*/*")):
            place = scenario.relative_to(home / "results")
            for kind, names in (
                ("measurements", ("user.conf", "README.md", "measurements.json")),
                ("compliance", TESTS),
            ):
                for name in names:
                    if (scenario / name).exists():
                        (home / kind / place).mkdir(parents=True, exist_ok=True)
                        (scenario / name).rename(home / kind / place / name.replace("measurements", place.parts[0]))


TESTS = ("TEST01", "TEST04")


def test_the_layout_of_v5_is_recognised(tree: Path) -> None:
    older(tree)
    assert [each for each in findings(tree, "v5.1") if each.check not in RELEASED] == []
    v61 = {(each.check, each.key, each.file) for each in findings(tree, "v6.1")}
    assert {
        ("structure", "layout", "closed/Acme/measurements"),
        ("structure", "layout", "closed/Acme/compliance"),
    } <= v61


RELEASED = ("loadgen-version",)  # the logs are of another LoadGen than v5.1 had


def test_a_retired_benchmark_names_the_rounds_that_had_it(tree: Path) -> None:
    (tree / RESULT).rename(tree / RESULT.parent / "retinanet")
    (found,) = (each for each in findings(tree) if each.check == "structure")
    assert found.found == "retinanet" and "it belongs to v5.0, v5.1, v6.0" in found.fix


def test_a_test_of_another_round_is_only_named(tree: Path) -> None:
    shutil.copytree(tree / SINGLE / "TEST04", tree / SINGLE / "TEST05")
    assert [each for each in findings(tree) if each.check != "duplicate"] == []
    assert [each.key for each in everything(tree) if each.check == "compliance"] == ["TEST05"]


def test_a_scenario_may_not_stand_twice(tree: Path) -> None:
    shutil.copytree(tree / SINGLE, tree / RESULT / "singlestream")
    assert [each.wanted for each in findings(tree) if each.key == "scenario"] == ["SingleStream once"]


def test_a_finding_quotes_sources_that_differ(tmp_path: Path) -> None:
    one = subject(tmp_path, "Server", {}, kind="datacenter", name="dlrm-v3")
    missed = Finding("latency", Severity.ERROR, "a", "result_99.00_percentile_latency_ns", "9", "1", "rules", "run")
    said = "rules; sources differ: rules: 80, checker: 60000, mlperf.conf: 80 (the stricter stands)"
    assert quoted(missed, one).clause == said
    other = Finding("seeds", Severity.ERROR, "a", "effective_qsl_rng_seed", "9", "1", "rules", "run")
    assert quoted(other, one) == other


def test_test01_accepts_accuracy_in_place_of_equal_bytes(tree: Path) -> None:
    edit(SINGLE / "TEST01/verify_accuracy.txt", "TEST PASS", "TEST FAIL")(tree)
    write(SINGLE / "TEST01/accuracy/baseline_accuracy.txt", "accuracy=76.500%, good=3, total=4\n")(tree)
    write(SINGLE / "TEST01/accuracy/compliance_accuracy.txt", "accuracy=76.400%, good=3, total=4\n")(tree)
    assert findings(tree) == []
    write(SINGLE / "TEST01/accuracy/compliance_accuracy.txt", "accuracy=74.400%, good=3, total=4\n")(tree)
    assert [(each.check, each.key) for each in findings(tree)] == [("compliance", "verdict")]


def test_images_and_videos_of_the_rounds_samples_are_there(tree: Path) -> None:
    round_ = rounds.load("v6.1")
    demands = replace(round_.benchmarks["resnet50"], accuracy_files={"videos": ("130", "22")})
    round_ = replace(round_, benchmarks={**round_.benchmarks, "resnet50": demands})
    places = sorted(tree.glob("*/*/results/*/*/*/accuracy"))
    for number, place in enumerate(places):
        (place / "videos").mkdir()
        (place / "videos/130.mp4").write_text("x")
        if number:
            (place / "videos/22.mp4").write_text("x")
    (found,) = [each for each in check(tree, round_) if each.severity is not Severity.NOTE]
    assert (found.check, found.key, found.found) == ("structure", "videos", "22 missing")
    assert found.file == str((places[0] / "videos").relative_to(tree)) and found.official == "rejects"
