"""A matrix: its cells and their order, how it resumes, and what it says of cells that cannot run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from loadgen_harness import cli, matrices, matrix
from loadgen_harness.errors import BadInput
from loadgen_harness.matrix import Axes, Cell, cells, jobs, parse_backend
from loadgen_harness.types import Scenario, TestMode
from tests import fakes

pytestmark = pytest.mark.usefixtures("plugin")


def chosen(tmp_path: Path, *backends: str, **axes: Any) -> tuple[list[Cell], list[tuple[str, str]]]:
    return cells(fakes.tiny(tmp_path, scenario=Scenario.OFFLINE), Axes(backends, **axes))


def test_labels_say_what_varies(tmp_path: Path) -> None:
    found, refused = chosen(tmp_path, "null", "null:latency_us=5", batches=(1, 8))
    assert [cell.label for cell in found] == ["null b1", "null b8", "null:latency_us=5 b1", "null:latency_us=5 b8"]
    assert len({cell.slug for cell in found}) == 4 and refused == []
    assert all(cell.spec.precision == "int32" for cell in found)


def test_what_a_backend_cannot_do_is_left_out_with_its_reason(tmp_path: Path) -> None:
    found, refused = chosen(tmp_path, "null", "onnxruntime", batches=(1,), precisions=("int32",))
    assert [cell.label for cell in found] == ["null"]
    assert len(refused) == 1 and "onnxruntime" in refused[0][0] and "int32" in refused[0][1]
    with pytest.raises(BadInput, match="nothing of this matrix"):
        chosen(tmp_path, "null:colour=red")


def test_threads_become_an_option_of_backends_that_have_it(tmp_path: Path) -> None:
    base = fakes.tiny(tmp_path, benchmark="digits", round="mini", scenario=Scenario.OFFLINE)
    found, refused = cells(base, Axes(("onnxruntime", "null"), batches=(1,), threads=(1, 2)))
    assert [cell.label for cell in found] == ["onnxruntime t1", "onnxruntime t2"]
    assert [cell.spec.options for cell in found] == [{"threads": "1"}, {"threads": "2"}]
    assert len(refused) == 2 and "no option 'threads'" in refused[0][1]


def test_a_backend_may_have_a_precision_of_its_own(tmp_path: Path) -> None:
    found, _ = chosen(tmp_path, "null", "null@fp8:latency_us=5", batches=(1,), precisions=("fp32", "fp16"))
    labels = ["null fp32", "null fp16", "null:latency_us=5 fp8"]
    assert [cell.label for cell in found] == labels


def test_options_need_values() -> None:
    assert parse_backend("openai:url=http://a:1/v1,model=m") == (
        "openai", "", {"url": "http://a:1/v1", "model": "m"},
    )  # fmt: skip
    assert parse_backend("torch@bf16:mode=compile") == ("torch", "bf16", {"mode": "compile"})
    with pytest.raises(BadInput, match="key=value"):
        parse_backend("torch:compile")


def test_rounds_are_interleaved_and_accuracy_is_measured_once_a_way(tmp_path: Path) -> None:
    found, _ = chosen(tmp_path, "null", "null:latency_us=5", batches=(1, 8))
    planned = jobs(found, 2, tmp_path)
    assert [number for _, number, _ in planned] == [-1, -1] + [0] * 4 + [1] * 4
    assert [cell.label for cell, number, _ in planned if number == 1] == [cell.label for cell in reversed(found)]
    assert [job.spec.mode for _, _, job in planned[:3]] == [TestMode.ACCURACY, TestMode.ACCURACY, TestMode.PERFORMANCE]
    assert len({job.spec.output for _, _, job in planned}) == len(planned)
    assert len(jobs(found, 2, tmp_path, accuracy=False)) == 8


def parsed(output: Path, *more: str) -> argparse.Namespace:
    words = ["lgh", "matrix", "tiny", "--backends", *more, "--batch", "1", "--min-duration-ms", "50"]
    args = cli.parse([*words, "--output", str(output)])
    args.round = "tiny"
    return args


@pytest.mark.alone
def test_a_small_matrix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "m"
    # both sleep: a way without would be faster than calibrated, so INVALID, where the machine was busy meanwhile
    args = parsed(output, "null:latency_us=500", "null:latency_us=2000", "broken:fault=raise", "--runs", "2")
    assert matrices.matrix_(args) == 1  # one way never worked
    record = json.loads((output / "matrix.json").read_text())
    ways = {way["label"]: way for way in record["ways"]}
    assert ways["null:latency_us=500"]["figures"]["rate"]["n"] == 2
    rates = [ways[f"null:latency_us={each}"]["figures"]["rate"]["median"] for each in (500, 2000)]
    assert rates[0] > rates[1]
    assert len(ways["broken:fault=raise"]["faults"]) == matrix.GIVE_UP
    assert ways["null:latency_us=2000"]["agreement"] not in ("", None)
    shown = capsys.readouterr()
    assert "too few" in shown.out and "broken" in shown.err
    assert (output / "matrix.html").exists() and (output / "matrix.svg").exists()

    made = {path: path.stat().st_mtime_ns for path in (output / "runs").rglob("run.json")}
    assert matrices.matrix_(args) == 1
    again = {path: path.stat().st_mtime_ns for path in (output / "runs").rglob("run.json")}
    assert made == again  # nothing that was finished ran once more

    args.runs = 3
    matrices.matrix_(args)
    assert json.loads((output / "matrix.json").read_text())["ways"][0]["figures"]["rate"]["n"] == 3

    args.min_duration_ms = 60.0
    with pytest.raises(BadInput, match="another matrix"):
        matrices.matrix_(args)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["null", "--batch", "0"], "--batch wants positive whole numbers"),
        (["null", "--runs", "0"], "--runs must be at least 1"),
        (["null", "--baseline", "torch"], "--baseline 'torch' is none of this matrix: null"),
        ([","], "--backends names none"),
    ],
)
def test_bad_arguments(tmp_path: Path, words: list[str], message: str) -> None:
    args = cli.parse(["lgh", "matrix", "tiny", "--batch", "1", "--output", str(tmp_path / "m"), "--backends", *words])
    args.round = "tiny"
    with pytest.raises(BadInput, match=message):
        matrices.matrix_(args)
    assert not (tmp_path / "m").exists()


def test_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert matrices.matrix_(parsed(tmp_path / "m", "null", "--runs", "3", "--dry-run")) == 0
    assert "4 runs" in capsys.readouterr().out and not (tmp_path / "m").exists()
