"""Which file a backend runs at which precision, and files that a task makes once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loadgen_harness import model_files, registry
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.model_files import Chosen, choose
from loadgen_harness.types import Benchmark


class Reader:
    """What a backend says of the files it reads."""

    def __init__(self, *formats: str, casts: tuple[str, ...] = (), keeps: bool = True, needs: bool = True) -> None:
        self.formats, self.casts, self.keeps_precision, self.needs_model = formats, casts, keeps, needs


@pytest.fixture
def task(plugin: None) -> Benchmark:
    """Two precisions, the first in three formats."""
    tiny: Benchmark = registry.load(registry.BENCHMARKS, "tiny")
    files = {"fp32": ("a.onnx", "made:a.tflite", "torch_model.py"), "int8": "a-int8.onnx"}
    return replace(tiny, precisions=("fp32", "int8", "fp8"), model=files, recipe="1")


def test_the_format_liked_best_wins(task: Benchmark) -> None:
    assert choose(task, Reader(".pt2", "torch_model.py", ".onnx")) == Chosen("torch_model.py", "fp32")
    assert choose(task, Reader(".onnx"), "int8") == Chosen("a-int8.onnx", "int8")


def test_casts_start_from_the_first_precision(task: Benchmark) -> None:
    reader = Reader("torch_model.py", casts=("bf16", "int8"))
    assert choose(task, reader, "bf16") == Chosen("torch_model.py", "bf16", cast=True)
    assert choose(task, reader, "int8") == Chosen("torch_model.py", "int8", cast=True)


def test_a_shipped_file_goes_before_a_cast(task: Benchmark) -> None:
    assert choose(task, Reader(".onnx", casts=("int8",)), "int8") == Chosen("a-int8.onnx", "int8")


def test_a_backend_that_only_casts_has_its_own_default(task: Benchmark) -> None:
    assert choose(task, Reader(".onnx", casts=("bf16", "fp16"), keeps=False)) == Chosen("a.onnx", "bf16", cast=True)


def test_no_model_no_file(task: Benchmark) -> None:
    assert choose(task, Reader(needs=False)) == Chosen("", "fp32")
    assert choose(task, Reader(needs=False), "bf16") == Chosen("", "bf16")


@pytest.mark.parametrize(
    ("reader", "precision", "error", "words"),
    [
        (Reader(".onnx"), "fp4", UnknownName, "unknown precision of tiny 'fp4'"),
        (Reader(".onnx"), "fp8", BadInput, "ships no fp8 model"),
        (Reader(".tflite"), "int8", BadInput, "--precision fp32"),
        (Reader(".plan"), "", BadInput, r"reads \*.plan, where the task has a-int8.onnx, a.onnx"),
    ],
)
def test_refusals_name_what_is_possible(
    task: Benchmark, reader: Reader, precision: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        choose(task, reader, precision)


def test_a_file_is_made_once(task: Benchmark, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LGH_CACHE", str(tmp_path))
    told: list[str] = []
    first = model_files.locate(task, "made:numbers.txt", told.append)
    assert first is not None and first.read_text() == "1 2 3\n"
    assert model_files.locate(task, "made:numbers.txt", told.append) == first
    assert len(told) == 1 and "numbers.txt" in told[0]
    assert not [path for path in first.parent.iterdir() if path.name.startswith("part")]
    newer = model_files.locate(replace(task, recipe="2"), "made:numbers.txt", told.append)
    assert newer != first and len(told) == 2


def test_a_made_file_that_changed_is_refused(task: Benchmark, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LGH_CACHE", str(tmp_path))
    made = model_files.locate(task, "made:numbers.txt")
    assert made is not None
    made.write_text("4\n")
    with pytest.raises(BadInput, match=r"delete .* and run again"):
        model_files.locate(task, "made:numbers.txt")


@pytest.mark.parametrize(("name", "words"), [("wrong", "differs from"), ("lacking", "pip install no_such_package")])
def test_a_failed_making_says_why_and_leaves_nothing(
    task: Benchmark, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, words: str
) -> None:
    monkeypatch.setenv("LGH_CACHE", str(tmp_path))
    for _ in range(2):  # it is tried again
        with pytest.raises(BadInput, match=words):
            model_files.locate(task, f"made:{name}")
    assert not (tmp_path / "made" / "tiny-1" / name / name).exists()


def test_a_file_beside_the_task(task: Benchmark) -> None:
    found = model_files.locate(task, "corrupt.onnx")
    assert found is not None and found.name == "corrupt.onnx" and found.is_file()
