"""`lgh energy` and `lgh label` as their users meet them; runs are folders made by hand."""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from absl.testing import flagsaver

from loadgen_harness import cli
from loadgen_harness.errors import SuiteError
from tests.power import measured

SPEC = {"benchmark": "digits", "scenario": "Server"}
GOLDEN = """\
# Energy of digits, Server

Meter nvml, scope board, mean of 2 runs; lower ends clipped at 0: too few or too noisy runs; \
not an official MLPerf power result.

| Run | Verdict | W mean | W min–max | W idle | J | J per sample | J per token |
| --- | --- | --- | --- | --- | --- | --- | --- |
| run-01 | VALID | 40.00 | 40.00–40.00 | 40.00 | 80.00 | 0.8000 |  |
| run-02 | VALID | 60.00 | 60.00–60.00 | 60.00 | 120.0 | 1.200 |  |
"""


def call(*words: str) -> int:
    """As the entry point does it, in this process."""
    with flagsaver.flagsaver():
        args: argparse.Namespace = cli.parse(["lgh", *words])
        code: int = getattr(importlib.import_module(f"loadgen_harness.{args.module}"), args.function)(args)
        return code


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of two repetitions of 40 and 60 W."""
    for number, watts in ((1, 40.0), (2, 60.0)):
        measured.run(tmp_path / "runs" / f"run-{number:02}", {"nvml": watts}, spec=SPEC)
    return tmp_path / "runs"


def data(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_the_table_of_repetitions(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("energy", str(runs), "--pue", "1.5", "--grid-g-per-kwh", "100") == 0
    text = " ".join(capsys.readouterr().out.split())
    for piece in (
        "not an official MLPerf power result",
        "run-02",
        "mean of 2 runs",
        "over runs alone",
        "PUE 1.5 (given)",
    ):
        assert piece in text
    assert "= energy × PUE × grid intensity: energy " in text
    assert "per million samples" in text


def test_json_holds_formula_inputs_and_intervals(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("energy", str(runs), "--format", "json", "--tariff", "0.36", "--currency", "EUR")
    found = data(capsys)
    assert (found["official"], found["estimated"], found["stars"], found["format"]) == (False, False, None, 1)
    mean = found["means"]["per_sample_j"]
    assert mean["n"] == 2 and mean["amount"]["value"] == pytest.approx(1.0, rel=1e-3)
    assert mean["runs"]["high"] == pytest.approx(1 + 12.706 * 0.2, rel=1e-2)
    assert mean["formula"] == "energy ÷ samples" and mean["inputs"].startswith("means of the runs: ")
    cost = next(
        each for each in found["derived"] if (each["title"], each["per"]) == ("cost of energy", "million samples")
    )
    assert (cost["unit"], cost["value"]) == ("EUR", pytest.approx(0.1, rel=1e-3))  # 1 MJ are 1/3.6 kWh
    assert cost["low"] <= cost["value"] <= cost["high"]
    assert [each["name"] for each in cost["inputs"]] == ["energy", "PUE", "tariff"]


def test_markdown(runs: Path, tmp_path: Path) -> None:
    output = tmp_path / "energy.md"
    call("energy", str(runs), "--format", "markdown", "--output", str(output))
    text = output.read_text()
    assert text.startswith(GOLDEN)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.count(" | ") in (6, 7) or line.count(" |") >= 7 for line in tables)
    with pytest.raises(SuiteError, match="exists"):
        call("energy", str(runs), "--format", "markdown", "--output", str(output))


def test_one_run_says_that_it_is_one(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("energy", str(runs / "run-01"))
    seen = capsys.readouterr()
    assert "--repeats" in seen.err and "over runs alone" not in seen.out


def test_a_shared_file_of_factors(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "team.toml").write_text("pue = 1.25\nwue = 2.0\n")
    call("energy", str(runs), "--format", "json", "--factors", str(tmp_path / "team.toml"), "--wue", "4")
    water = next(each for each in data(capsys)["derived"] if each["title"] == "water on site" and each["per"] == "run")
    assert water["value"] == pytest.approx(100 / 3.6e6 * 4, rel=1e-3)


def test_stars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = measured.reference(tmp_path / "set", [10.0, 20.0, 30.0, 40.0, 60.0])
    call("energy", str(folder / "b"), "--set", str(folder))
    assert "★★★★☆" in capsys.readouterr().out
    call("energy", str(folder / "b"), "--set", str(folder), "--format", "json")
    found = data(capsys)["stars"]
    assert (found["stars"], found["member"], found["set"]["size"]) == (4, "b", 5)
    assert len(found["set"]["digest"]) == 64 and "lowest band has five stars" in found["rule"]


def test_an_estimate_is_named_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = measured.run(tmp_path / "run", {"estimate": 50.0}).path
    call("energy", str(folder))
    text = capsys.readouterr().out
    assert "Energy: estimated, meter estimate" in text and "100.0" not in text
    call("energy", str(folder), "--format", "json", "--grid-g-per-kwh", "100")
    found = data(capsys)
    run, mean = found["runs"][0], found["means"]["per_sample_j"]
    assert found["estimated"] and run["joules"] is None and run["joules_low"] < 100 < run["joules_high"]
    assert mean["amount"]["value"] is None and mean["amount"]["low"] < 1 < mean["amount"]["high"]
    assert [each["value"] for each in found["derived"]] == [None] * len(found["derived"]) != []
    with pytest.raises(SuiteError, match="an estimate never has stars"):
        call("energy", str(folder), "--set", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--pue -1", "pue cannot be -1.0"),
        ("--pue one", "--pue"),
        ("--grid-g-per-kwh -3", "grid_g_per_kwh cannot be -3.0"),
        ("--tariff 0.3", "needs its currency"),
        ("--currency EUR", "a currency needs a price"),
        ("--embodied-kg 3", "give both"),
        ("--country Peru --grid-g-per-kwh 3", "give one of them"),
        ("--factors absent.toml", "cannot read --factors"),
        ("--set absent.toml", "cannot read the set"),
        ("--output x.txt", "--format json or markdown"),
        ("--format xml", "markdown"),
    ],
)
def test_mistakes_are_one_sentence(words: str, sentence: str, runs: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        call("energy", str(runs), *words.split())
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_runs_that_do_not_go_together(runs: Path, tmp_path: Path) -> None:
    other = measured.run(tmp_path / "other", {"nvml": 5.0}, spec={**SPEC, "benchmark": "smollm2"}).path
    with pytest.raises(SuiteError, match="no repetition"):
        call("energy", str(runs), str(other))
    with pytest.raises(SuiteError, match="no meter ran beside it"):
        call("energy", str(measured.run(tmp_path / "bare", {}).path))
    with pytest.raises(SuiteError, match="no log of LoadGen"):
        call("energy", str(tmp_path / "absent"))


@pytest.mark.parametrize("words", [("energy",), ("label", "--no-png")])
def test_a_run_counts_once(words: tuple[str, ...], runs: Path, tmp_path: Path) -> None:
    copy, link = tmp_path / "copy", tmp_path / "link"
    shutil.copytree(runs / "run-01", copy)
    link.symlink_to(runs / "run-01")
    more = ("--output", str(tmp_path / "label")) if "label" in words else ()
    for other in (runs / "run-01", runs / ".." / "runs" / "run-01", link, copy):
        with pytest.raises(SuiteError, match=r"are one and the same run: give each run once\.$"):
            call(*words, str(runs), str(other), *more)
    assert not (tmp_path / "label").exists()


def test_a_label(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "label"
    assert call("label", str(runs), "--output", str(output), "--model", "tiny", "--no-png") == 0
    assert sorted(path.name for path in output.iterdir()) == ["energy-label.svg", "model-card.md"]
    assert str(output / "model-card.md") in capsys.readouterr().out
    assert "runs: 2" in (output / "model-card.md").read_text()
    with pytest.raises(SuiteError, match="exists"):
        call("label", str(runs), "--output", str(output), "--no-png")


def test_what_else_ran_stands_beside_the_joules(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other processes' watts are in the second run's joules; those beside the first are within the allowance."""
    for name, cores in (("run-01", 0.3), ("run-02", 2.4)):
        path = runs / name / "run.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "load": {"other_cores": cores, "cores": 4}}))
    call("energy", str(runs))
    said = " ".join(capsys.readouterr().err.split())
    assert "run-02: 2.40 of 4 processors (60%) were busy with something else" in said and "run-01:" not in said
    call("energy", str(runs), "--format", "markdown")
    assert "run-02: 2.40 of 4 processors" in capsys.readouterr().out
    call("energy", str(runs), "--format", "json")
    assert [each["other_cores"] for each in data(capsys)["runs"]] == [0.3, 2.4]
