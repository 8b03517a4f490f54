"""The LiteRT backend: batches that a file fixes, quantised inputs, delegates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, UnknownName
from tests.backends import tiny

pytest.importorskip("ai_edge_litert")
from loadgen_harness.backends import litert
from tests.backends.tiny_tflite import Graph


def load(path: Path, **options: str) -> Any:
    """A backend that has loaded a file."""
    made = registry.load(registry.BACKENDS, "litert")({"threads": "1", **options})
    made.load(path, "cpu", "fp32")
    return made


def reshaping(path: Path, rows: int, columns: int) -> Path:
    """Logits of a reshaped input, whose file states a batch of one; `rows` of the target shape are fixed unless -1."""
    graph = Graph()
    source = graph.tensor("serving_default_features:0", (1, 2, columns // 2))
    flat, logits = graph.tensor("flat", (1, columns)), graph.tensor("logits", (1, 3))
    shape = graph.constant("shape", np.array([rows, columns], np.int32))
    graph.add("RESHAPE", [source, shape], flat, kind="ReshapeOptions", newShape=[rows, columns])
    held = [graph.constant("matrix", np.ones((3, columns), np.float32)), graph.constant("bias", np.ones(3, np.float32))]
    graph.add("FULLY_CONNECTED", [flat, *held], logits, kind="FullyConnectedOptions")
    for each in graph.graph.tensors:
        each.shapeSignature = None
    graph.save(path, [source], [logits])
    return path


@pytest.mark.parametrize(
    ("rows", "mode"), [(1, "batches of 1, one after the other"), (-1, "interpreter per batch size")]
)
def test_a_file_that_states_a_batch_of_one(tmp_path: Path, rows: int, mode: str) -> None:
    backend = load(reshaping(tmp_path / "fixed.tflite", rows, 4))
    batch = {"features": np.arange(20, dtype=np.float32).reshape(5, 2, 2)}
    (found,) = backend.predict(batch)
    np.testing.assert_array_equal(found, np.repeat(batch["features"].sum(axis=(1, 2))[:, None] + 1, 3, axis=1))
    assert backend.describe()["mode"] == mode
    assert backend.predict({"features": batch["features"][:0]})[0].shape == (0, 3)


def test_operators_that_a_delegate_took(tmp_path: Path) -> None:
    image, tokens = (load(tiny.file(kind, ".tflite", tmp_path)).describe() for kind in ("image", "tokens"))
    assert image["provider"] == "XNNPACK: 4 of 4 operators" and "builtin" not in image
    assert "GATHER" in tokens["builtin"]
    plain = load(tiny.file("image", ".tflite", tmp_path), xnnpack="false").describe()
    assert plain["provider"] == "built-in kernels" and "fallback" not in plain


def test_only_so_many_sizes_stay_allocated(tmp_path: Path) -> None:
    backend = load(tiny.file("image", ".tflite", tmp_path), sizes="2")
    for size in (1, 2, 3, 2):
        backend.predict(tiny.batch("image", size))
    assert len(backend._own.kept) == 2


def test_quantised_inputs_and_outputs() -> None:
    detail = {"dtype": np.int8, "quantization": (0.5, -3)}
    given = litert._quantised(np.array([0.0, 1.0, -99.0, 99.0], np.float32), detail)
    assert given.dtype == np.int8 and given.tolist() == [-3, -1, -128, 127]
    np.testing.assert_array_equal(litert._real(given, detail), np.array([0, 1, -62.5, 65], np.float32))
    plain = {"dtype": np.float32, "quantization": (0.0, 0)}
    assert litert._real(np.ones(2, np.float32), plain).tolist() == [1, 1]
    assert litert._quantised(np.ones(2, np.int64), plain).dtype == np.float32


def test_unknown_input_and_device(tmp_path: Path) -> None:
    backend = load(tiny.file("tokens", ".tflite", tmp_path))
    with pytest.raises(BadInput, match=r"input 'ids' is not among words, mask"):
        backend.predict({"words": np.ones((1, 6), np.int64), "mask": np.ones((1, 6), np.int64)})
    with pytest.raises(UnknownName, match="did you mean 'cpu'"):
        litert.BACKEND({}).load(tiny.file("image", ".tflite", tmp_path), "cpuu", "fp32")


@pytest.mark.parametrize("options", [{"threads": "-1"}, {"sizes": "0"}])
def test_bad_options(options: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="litert"):
        litert.BACKEND(options)
