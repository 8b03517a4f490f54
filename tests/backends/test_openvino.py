"""The OpenVINO backend: what conformance cannot know of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, UnknownName
from tests.backends import tiny

if lacking := registry.missing(registry.BACKENDS, "openvino"):  # importorskip would import it before the backend
    pytest.skip(f"backend openvino: run `pip install {lacking}`.", allow_module_level=True)
from loadgen_harness.backends import openvino as backend_module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny models lie."""
    return tmp_path_factory.mktemp("tiny")


def load(folder: Path, kind: str = "image", precision: str = "fp32", **options: str) -> Any:
    """A backend that has loaded a tiny model."""
    made = registry.load(registry.BACKENDS, "openvino")(options)
    made.load(tiny.file(kind, ".onnx", folder), "cpu", precision)
    return made


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[Any]:
    """One with its defaults."""
    made = load(folder)
    yield made
    made.close()


def test_telemetry_is_out_of_the_way(plain: Any) -> None:
    """It forked the measured process to report that a model was read."""
    assert sys.modules["openvino_telemetry"] is None


def test_fp32_is_asked_for(plain: Any) -> None:
    """A CPU with AMX would compute in bf16 by default."""
    assert plain._settings()["INFERENCE_PRECISION_HINT"] == "f32"
    assert plain.describe()["layers"].startswith("fp32 ")


def test_streams_threads_and_hint_are_compiled_in(folder: Path) -> None:
    said = load(folder, threads="2", streams="2", hint="none").describe()
    assert (said["threads"], said["streams"], said["hint"]) == ("2", "2", "none")


def test_static_shapes_compile_once_per_size(folder: Path) -> None:
    backend = load(folder, shapes="static")
    for size in (1, 3, 3, 5):
        backend.predict(tiny.batch("image", size))
    assert backend.describe()["compiled"] == "3"


def test_compiled_models_are_kept(folder: Path, tmp_path: Path) -> None:
    load(folder, cache=str(tmp_path)).close()
    assert list(tmp_path.rglob("*.blob"))


@pytest.mark.parametrize(
    ("options", "device"), [({"hint": "latancy"}, "cpu"), ({"shapes": "statik"}, "cpu"), ({}, "cpuu")]
)
def test_misspelt_names(folder: Path, options: dict[str, str], device: str) -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        backend_module.BACKEND(options).load(tiny.file("image", ".onnx", folder), device, "fp32")


@pytest.mark.parametrize("device", ["gpu:7", "npu", "cpu:3"])
def test_absent_device(folder: Path, device: str) -> None:
    with pytest.raises(BadInput, match=r"finds no device .* choose one of CPU"):
        backend_module.BACKEND({}).load(tiny.file("image", ".onnx", folder), device, "fp32")


def test_weights_that_are_not_there(folder: Path, tmp_path: Path) -> None:
    lonely = tmp_path / "lonely.xml"
    lonely.write_bytes(tiny.file("image", ".xml", folder).read_bytes())
    with pytest.raises(BadInput, match=r"lonely\.xml cannot be used"):
        backend_module.BACKEND({}).load(lonely, "cpu", "fp32")


@pytest.mark.parametrize(
    ("asked", "ran", "layers", "words"),
    [
        ("fp32", "fp32", {"fp32": 5}, ""),
        ("bf16", "fp32", {"fp32": 5}, "this device computes bf16 in fp32"),
        ("bf16", "bf16", {"bf16": 4, "fp32": 1}, ""),
        ("fp16", "fp16", {"fp32": 5}, "no layer computes in fp16"),
        ("int8", "fp32", {"fp32": 5}, "no layer computes in int8"),
        ("int8", "fp32", {"int8": 4, "fp32": 1}, ""),
        ("int8", "fp32", {}, ""),
    ],
)
def test_fallback_in_words(asked: str, ran: str, layers: dict[str, int], words: str) -> None:
    assert backend_module._fallback(asked, ran, Counter(layers)) == words


def test_the_shipped_int8_file_computes_in_int8() -> None:
    digits = Path(__file__).parents[2] / "benchmarks" / "digits" / "model"
    backend = backend_module.BACKEND({"threads": "1"})
    backend.load(next(digits.glob("*int8.onnx")), "cpu", "int8")
    outputs = backend.predict({"input": np.zeros((3, 1, 28, 28), np.float32)})
    assert outputs[0].shape == (3, 10)
    assert "int8 " in backend.describe()["layers"] and "fallback" not in backend.describe()
