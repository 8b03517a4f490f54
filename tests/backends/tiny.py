"""The tiny models of the conformance suite: their weights, their inputs, what numpy answers, files of each format.

`image`: conv, relu, pooling, gemm over one unnamed input, with two outputs. `tokens`: embedding and masked mean over
two named int64 inputs. `wide`: 4 MB of weights, so that a copy that is never freed is seen.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

Arrays = Mapping[str, np.ndarray]
KINDS = ("image", "tokens", "wide")
SIDE, VOCABULARY, LENGTH, WIDTH = 8, 32, 6, 1024


class Input(NamedTuple):
    """One input of a model: its name in files that have names, the shape of one sample, its type."""

    name: str
    shape: tuple[int, ...]
    dtype: type


INPUTS: dict[str, tuple[Input, ...]] = {
    "image": (Input("pixels", (3, SIDE, SIDE), np.float32),),
    "tokens": (Input("ids", (LENGTH,), np.int64), Input("mask", (LENGTH,), np.int64)),
    "wide": (Input("features", (WIDTH,), np.float32),),
}
WEIGHTS = {
    "image": {"kernel": (4, 3, 3, 3), "shift": (4,), "matrix": (5, 4), "bias": (5,)},
    "tokens": {"table": (VOCABULARY, 8), "matrix": (5, 8), "bias": (5,)},
    "wide": {"matrix": (WIDTH, WIDTH), "bias": (WIDTH,)},
}
OUTPUTS = {"image": {"logits": 5, "pooled": 4}, "tokens": {"logits": 5}, "wide": {"logits": WIDTH}}  # name -> columns


@functools.cache
def weights(kind: str) -> dict[str, np.ndarray]:
    """Seeded fp32 weights; a matrix is (outputs, inputs), a kernel (outputs, inputs, rows, columns)."""
    random = np.random.default_rng(sum(kind.encode()))
    shapes = WEIGHTS[kind]
    return {name: random.normal(0, 1 / np.prod(s[1:]) ** 0.5, s).astype(np.float32) for name, s in shapes.items()}


def batch(kind: str, size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A batch as the default collate makes it: a model's only input is called `input`."""
    random = np.random.default_rng((seed, size))
    made = {}
    for each in INPUTS[kind]:
        shape = (size, *each.shape)
        if each.name == "mask":
            made[each.name] = (np.arange(LENGTH) < random.integers(1, LENGTH + 1, (size, 1))).astype(np.int64)
        elif each.dtype is np.int64:
            made[each.name] = random.integers(0, VOCABULARY, shape)
        else:
            made[each.name] = random.normal(0, 1, shape).astype(np.float32)
    return made if len(made) > 1 else {"input": made.popitem()[1]}


def reference(kind: str, inputs: Arrays) -> list[np.ndarray]:
    """What numpy answers in fp32, in the models' order of outputs."""
    of = weights(kind)
    if kind == "tokens":
        mask = inputs["mask"].astype(np.float32)[:, :, None]
        middle = (of["table"][inputs["ids"]] * mask).sum(axis=1) / mask.sum(axis=1)
        return [middle @ of["matrix"].T + of["bias"]]
    if kind == "wide":
        return [inputs["input"] @ of["matrix"].T + of["bias"]]
    padded = np.pad(inputs["input"], ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    maps = np.einsum("nchwij,kcij->nkhw", windows, of["kernel"]) + of["shift"][:, None, None]
    pooled = np.maximum(maps, 0).mean(axis=(2, 3), dtype=np.float32)
    return [pooled @ of["matrix"].T + of["bias"], pooled]


def _python(framework: str) -> Callable[[str, Path], None]:
    """A writer of a task's own model file for `framework`, as benchmarks have them."""

    def write(kind: str, path: Path) -> None:
        pytest.importorskip(framework)
        source = f'from tests.backends.tiny_{framework} import of\n\n\ndef model():\n    return of("{kind}")\n'
        path.write_text(source, encoding="utf-8")

    return write


def _by(module: str, package: str, function: str = "write") -> Callable[[str, Path], None]:
    """A writer that stands in a module of its own, which skips where the package it needs is not installed."""

    def write(kind: str, path: Path) -> None:
        pytest.importorskip(package)
        getattr(importlib.import_module(f"tests.backends.{module}"), function)(kind, path)

    return write


FORMATS: dict[str, Callable[[str, Path], None]] = {  # ending of a model's file -> its writer
    ".onnx": _by("tiny_onnx", "onnx"),
    ".tflite": _by("tiny_tflite", "ai_edge_litert"),
    "torch_model.py": _python("torch"),
    ".pt2": _by("tiny_torch", "torch"),
    "jax_model.py": _python("jax"),
    ".stablehlo": _by("tiny_jax", "jax"),
    ".xml": _by("tiny_openvino", "openvino"),
    "saved_model.zip": _by("tiny_tensorflow", "tensorflow"),
    "saved_model.pb": _by("tiny_tensorflow", "tensorflow"),
}


def file(kind: str, ending: str, folder: Path) -> Path:
    """The model's file in the format of that ending, written unless it is there."""
    path = folder / kind / (ending if not ending.startswith(".") else f"tiny{ending}")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        FORMATS[ending](kind, path)
    return path
