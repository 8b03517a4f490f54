"""Breaks a copy of a model slightly: same operators and shapes, so the same speed, but answers that are no good.

What an auditor may ask for by the Audit Guidelines, Rule Violation. The copy has its source's name, by which backends
know their formats; seed and layer are stated, so anyone can break the same model the same way.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness.errors import BadInput, MissingDependency

WEIGHTS, ACTIVATION = "weights", "activation"
WAYS = (WEIGHTS, ACTIVATION)
ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Gelu", "Softplus")
WEIGHT_TYPES = ("FLOAT", "FLOAT16", "DOUBLE", "INT8", "UINT8")  # of ONNX tensors; others are indices and shapes
TASK = '''"""{name} of the task with its largest weight shuffled, written by an audit."""

from pathlib import Path

from audit.auditee.models import shuffled_model
from loadgen_harness.backends import task_model


def model():
    """The broken model."""
    return shuffled_model(task_model(Path({path!r})), {seed})
'''


@dataclass(frozen=True)
class Broken:
    """A broken model and what was done to it, in words; a `mild` break may leave the answers as good as they were."""

    path: Path
    said: str
    mild: bool = False


def broken(source: Path, folder: Path, *, seed: int, way: str = WEIGHTS) -> Broken:
    """A broken copy of `source` in `folder`; raises BadInput for a format or a model in which that cannot be done."""
    breaker = BREAKERS.get(source.suffix)
    if breaker is None:
        raise BadInput(
            f"{source.name} cannot be broken here: only ONNX and GGUF files and a task's own torch_model.py or "
            "jax_model.py can; choose a --backend that reads one of these."
        )
    if way == ACTIVATION and source.suffix != ".onnx":
        raise BadInput(f"an activation can be dropped from ONNX models only, not from {source.name}: shuffle weights.")
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / source.name, folder / f"part-{source.name}"  # libraries look at the ending
    said = breaker(source, part, seed, way)
    os.replace(part, target)
    return Broken(target, said, mild=True) if way == ACTIVATION else Broken(target, f"{said} (seed {seed})")


def order(count: int, seed: int) -> np.ndarray:
    """Where each of `count` things goes; nothing but the seed decides."""
    return np.random.default_rng(seed).permutation(count)


def shuffled_model(made: Any, seed: int) -> Any:
    """What a task's model() returns with its largest weight shuffled: a torch module, or a function with parameters."""
    if isinstance(made, tuple):
        function, parameters = made
        if not isinstance(parameters, Mapping) or not all(hasattr(each, "shape") for each in parameters.values()):
            raise BadInput("only parameters in a flat dict of arrays can be shuffled: break this model another way.")
        name = _largest({key: value.shape for key, value in parameters.items()}, "model")
        weight = np.asarray(parameters[name])
        flat = weight.reshape(-1)[order(weight.size, seed)]
        return function, {**parameters, name: flat.reshape(weight.shape)}
    named = dict(made.named_parameters())
    parameter = named[_largest({key: tuple(value.shape) for key, value in named.items()}, "model")]
    flat = parameter.data.reshape(-1)[order(parameter.numel(), seed)]
    parameter.data = flat.reshape(parameter.shape)
    return made


def _largest(shapes: Mapping[str, tuple[int, ...]], model: str) -> str:
    """The name of the largest weight; one with fewer than two axes is a bias or a scale."""
    weights = {name: math.prod(shape) for name, shape in shapes.items() if len(shape) > 1}
    if not weights:
        raise BadInput(f"{model} has no weight with two axes to shuffle: break it another way.")
    return max(weights, key=lambda name: weights[name])


def _onnx(source: Path, target: Path, seed: int, way: str) -> str:
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise MissingDependency("breaking an ONNX model", "onnx") from error
    model = onnx.load(os.fspath(source))
    if way == ACTIVATION:
        said = _drop(model.graph, source.name)
    else:
        kinds = {getattr(onnx.TensorProto, kind) for kind in WEIGHT_TYPES}
        tensors = {each.name: each for each in model.graph.initializer if each.data_type in kinds}
        name = _largest({key: tuple(each.dims) for key, each in tensors.items()}, source.name)
        values = numpy_helper.to_array(tensors[name])
        flat = values.reshape(-1)[order(values.size, seed)]
        tensors[name].CopyFrom(numpy_helper.from_array(flat.reshape(values.shape), name))
        said = f"the {values.size:,} weights of {name} shuffled"
    onnx.save(model, os.fspath(target))
    return said


def _drop(graph: Any, model: str) -> str:
    """Make the middle activation of an ONNX graph pass its input through."""
    nodes = [node for node in graph.node if node.op_type in ACTIVATIONS]
    if not nodes:
        raise BadInput(f"{model} has no activation that could be dropped: shuffle weights.")
    node = nodes[len(nodes) // 2]
    said = f"{node.op_type} dropped, number {len(nodes) // 2 + 1} of {len(nodes)} activations"
    node.op_type = "Identity"
    del node.attribute[:]
    del node.input[1:]
    return said


def _gguf(source: Path, target: Path, seed: int, way: str) -> str:
    try:
        import gguf
    except ImportError as error:
        raise MissingDependency("breaking a GGUF model", "gguf") from error
    shutil.copyfile(source, target)
    reader = gguf.GGUFReader(target, "r+")
    tensors = {str(each.name): each for each in reader.tensors}
    name = _largest({key: tuple(int(size) for size in each.shape) for key, each in tensors.items()}, source.name)
    rows = tensors[name].data  # whole rows trade places: inside one, quantised numbers share their scales
    rows[:] = rows[order(len(rows), seed)]
    reader.data.flush()
    return f"the {len(rows):,} rows of {name} shuffled"


def _task(source: Path, target: Path, seed: int, way: str) -> str:
    text = TASK.format(name=source.name, path=os.fspath(source.resolve()), seed=seed)
    target.write_text(text, encoding="utf-8")
    return f"the largest weight of {source.name} shuffled"


BREAKERS: Mapping[str, Callable[[Path, Path, int, str], str]] = {".onnx": _onnx, ".gguf": _gguf, ".py": _task}
