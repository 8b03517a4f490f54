"""Every published tree: read without a crash, its figures the official table's, its faults named."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from audit.accuracy import read
from audit.finding import Finding, Severity, errors
from submissions import inferred, layout
from submissions.check import check, subjects
from submissions.subject import Subject

TREES = ("v0.7", "v1.0", "v3.0", "v4.1", "v5.1", "v6.0")
LATTIX = "open/Lattix/results/DynamoNPU/rgat/offline"


@pytest.fixture(scope="module")
def published(shared: Path) -> Path:
    folder = shared / "published"
    if not folder.is_dir():
        pytest.skip("no published trees in ../shared")
    return folder


@pytest.fixture(scope="module")
def found(published: Path) -> Mapping[str, list[Finding]]:
    """What is found in every tree, by the round that its logs tell."""
    return {name: list(check(published / name)) for name in TREES}


@pytest.mark.parametrize("name", TREES)
def test_the_round_is_told_by_the_logs(published: Path, name: str) -> None:
    assert layout.round_of(published / name) == name


@pytest.mark.parametrize("name", TREES)
def test_every_result_is_judged(published: Path, found: Mapping[str, list[Finding]], name: str) -> None:
    judged = subjects(published / name)
    assert [each.place.path for each in judged] == [each.path for each in layout.scenarios(published / name)]
    for finding in found[name]:
        assert finding.found and finding.wanted and finding.clause and finding.fix, finding
        assert not Path(finding.file).is_absolute() and ".." not in Path(finding.file).parts


def rows(published: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """(round, row) of the official summary tables."""
    return [
        (name, row)
        for name in TREES
        if (published / name / "summary_rows.json").is_file()
        for row in json.loads((published / name / "summary_rows.json").read_text())
    ]


def located(published: Path, name: str) -> Mapping[str, Subject]:
    """Results by the folder that the official table names."""
    return {each.name(each.place.path): each for each in subjects(published / name)}


def test_every_figure_is_the_official_tables(published: Path) -> None:
    tables = rows(published)
    assert len(tables) == 21
    places = {name: located(published, name) for name in ("v5.1", "v6.0")}
    for name, row in tables:
        where = row["Location"].removeprefix("./").removesuffix("/performance/run_1")
        one = places[name].pop(where)
        figure = inferred.result(one)
        assert figure is not None
        assert (figure.value, figure.unit) == (
            pytest.approx(row["Performance_Result"], rel=1e-6),
            row["Performance_Units"],
        )
        assert (one.benchmark.checker_name, one.scenario) == (row["Model"], row["Scenario"])
        text = one.place.accuracy.accuracy_text.read_text()
        official = {key: float(value) for key, value in re.findall(r"(\w+): ([\d.]+)", row["Accuracy"])}
        assert read(text, one.benchmark.metrics) == pytest.approx(official)
    assert [*places["v5.1"], *places["v6.0"]] == [LATTIX], "the one result that the table does not list"


def test_nothing_published_was_inferred(published: Path) -> None:
    """The table of v6.0 says so of all results in lower-case folders; their logs show that they were measured."""
    assert {inferred.source(each) for name in ("v5.1", "v6.0") for each in subjects(published / name)} == {""}


def of(found: list[Finding], part: str) -> dict[tuple[str, str], str]:
    """What was found by check and key, in the files whose path holds `part`."""
    return {(each.check, each.key): each.found for each in errors(found) if part in each.file}


def test_lattix_is_refused_for_each_of_its_faults(found: Mapping[str, list[Finding]]) -> None:
    timed = of(found["v6.0"], f"{LATTIX}/performance/run_1/")
    for seed in ("qsl", "sample_index", "schedule"):
        assert timed["seeds", f"effective_{seed}_rng_seed"] == "0"
    assert timed["mode", "effective_test_mode"] == "AccuracyOnly", "no performance was measured"
    assert timed["validity", "result_validity"].startswith("missing")
    assert timed["duration-setting", "effective_min_duration_ms"] == "0", "it asked for 0 s"
    assert timed["performance-sample-count", "effective_performance_sample_count"] == "256"
    assert ("equal-issue", "effective_sample_concatenate_permutation") in timed
    accurate = of(found["v6.0"], f"{LATTIX}/accuracy/")
    assert accurate["accuracy-sample-count", "effective_accuracy_sample_count"] == "256"
    assert accurate["seeds", "effective_qsl_rng_seed"] == "0"
    assert accurate["truncation", "size"] == "51495 bytes"
    assert ("duplicate", "log") in {**timed, **accurate}, "one run stands for both"
    notes = [(each.check, each.key) for each in found["v6.0"] if each.severity is Severity.NOTE and LATTIX in each.file]
    assert ("accuracy", "acc") in notes, "71.094 % is below the target, which the open division may miss"
    home = of(found["v6.0"], "open/Lattix")
    assert home["structure", "layout"] == "measurements/ apart", "the layout of v5"
    assert home["system", "number_of_nodes"] == "missing" and home["system", "cooling"] == "missing"


def test_the_v6_laptop_has_one_real_fault_in_its_logs(found: Mapping[str, list[Finding]]) -> None:
    about_files = {"structure", "files", "system", "measurements"}
    wrong = [
        each
        for each in errors(found["v6.0"])
        if each.file.startswith("closed/GATEOverflow") and each.check not in about_files
    ]
    assert {(each.check, each.key) for each in wrong} == {("truncation", "size")}, "two logs of TEST01 are whole"


def test_a_misspelt_scenario_is_found(found: Mapping[str, list[Finding]]) -> None:
    strays = [(each.file, each.found) for each in found["v3.0"] if (each.check, each.key) == ("structure", "scenario")]
    assert strays == [("closed/SiMa/compliance/davinci_dualm2/resnet50/MultiStreeam", "MultiStreeam")]


@pytest.mark.parametrize("name", ["v0.7", "v1.0", "v3.0", "v4.1"])
def test_an_older_round_is_judged_without_rules_and_says_so(found: Mapping[str, list[Finding]], name: str) -> None:
    notes = [each for each in found[name] if each.check == "round"]
    assert [(each.severity, each.key, each.found.split(":")[0]) for each in notes] == [(Severity.NOTE, "rules", name)]


def test_one_hash_stands_for_three_logs(found: Mapping[str, list[Finding]]) -> None:
    """SiMa's three scenarios have accuracy logs of their own and one hash line: of two of them it cannot be."""
    wrong = [each for each in errors(found["v3.0"]) if (each.check, each.key) == ("truncation", "hash")]
    assert [each.file.split("/")[-3] for each in wrong] == ["Offline", "SingleStream"]
    assert all("MultiStream/accuracy/accuracy.txt, whose log is another" in each.found for each in wrong)


def test_files_that_no_layout_names_are_told(found: Mapping[str, list[Finding]]) -> None:
    strays = [each for name in TREES for each in errors(found[name]) if each.check == "stray"]
    assert {each.file.rpartition("/")[0] for each in strays} == {f"{LATTIX}/performance/run_1"}
    assert sorted(each.file.rpartition("/")[2] for each in strays) == [
        "dynamo_measurements.json",
        "dynamo_mlperf_log_detail.txt",
        "dynamo_mlperf_log_summary.txt",
        "igbh_dynamo_benchmark_results.json",
        "igbh_workload_metrics.json",
    ]
    assert all(each.official == "accepts" for each in strays)


@pytest.mark.parametrize("check_", ["accuracy-text", "verdict-text"])
def test_no_published_text_contradicts_itself(found: Mapping[str, list[Finding]], check_: str) -> None:
    assert [each for name in TREES for each in found[name] if each.check == check_] == []
