"""The tiny models as TensorFlow Lite files, built from the format's own schema: no converter is needed.

Images come as NCHW, as models converted from torch take them; a transposition inside makes them NHWC.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.backends import tiny

VERSION, IDENTIFIER = 3, b"TFL3"
TYPES = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32, "int64": schema.TensorType.INT64}
CODES = schema.BuiltinOperator


class Graph:
    """A subgraph that grows operator by operator; tensors are known by their numbers."""

    def __init__(self) -> None:
        """Nothing yet: buffer 0 is the format's empty one."""
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.subgraphs = VERSION, [self.graph]
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name: str, shape: tuple[int, ...], dtype: Any = np.float32, buffer: int = 0) -> int:
        """A tensor; one that no buffer fills has an open first axis, written as 1."""
        made = schema.TensorT()
        made.name, made.buffer, made.type = name.encode(), buffer, TYPES[np.dtype(dtype).name]
        made.shape = list(shape) if buffer else [1, *shape[1:]]
        if not buffer:
            made.shapeSignature = [-1, *shape[1:]]
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def constant(self, name: str, array: np.ndarray) -> int:
        """A tensor that holds an array."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        return self.tensor(name, array.shape, array.dtype, len(self.model.buffers) - 1)

    def add(self, code: str, inputs: list[int], output: int, **options: Any) -> int:
        """An operator; its options' class is named after it."""
        kind = schema.OperatorCodeT()
        kind.builtinCode = getattr(CODES, code)
        kind.deprecatedBuiltinCode, kind.version = min(kind.builtinCode, 127), 1
        self.model.operatorCodes.append(kind)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(self.model.operatorCodes) - 1, inputs, [output]
        if name := options.pop("kind", ""):
            made.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            made.builtinOptions = getattr(schema, f"{name}T")()
            for key, value in options.items():
                setattr(made.builtinOptions, key, value)
        self.graph.operators.append(made)
        return output

    def save(self, path: Path, inputs: list[int], outputs: list[int]) -> None:
        """Write the file."""
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=IDENTIFIER)
        path.write_bytes(bytes(builder.Output()))


def write(kind: str, path: Path) -> None:
    """Write the model."""
    graph = Graph()
    inputs = [graph.tensor(each.name, (1, *each.shape), each.dtype) for each in tiny.INPUTS[kind]]
    outputs = {"image": _image, "tokens": _tokens, "wide": _wide}[kind](graph, inputs)
    graph.save(path, inputs, outputs)


def _gemm(graph: Graph, kind: str, source: int) -> int:
    of = tiny.weights(kind)
    output = graph.tensor("logits", (1, len(of["bias"])))
    held = [graph.constant(name, of[name]) for name in ("matrix", "bias")]
    return graph.add("FULLY_CONNECTED", [source, *held], output, kind="FullyConnectedOptions")


def _image(graph: Graph, inputs: list[int]) -> list[int]:
    side, of = tiny.SIDE, tiny.weights("image")
    order = graph.constant("order", np.array([0, 2, 3, 1], np.int32))
    last = graph.tensor("nhwc", (1, side, side, 3))
    graph.add("TRANSPOSE", [inputs[0], order], last, kind="TransposeOptions")
    kernel = graph.constant("kernel", of["kernel"].transpose(0, 2, 3, 1))
    shift, maps = graph.constant("shift", of["shift"]), graph.tensor("maps", (1, side, side, 4))
    relu = schema.ActivationFunctionType.RELU
    chosen = {"padding": schema.Padding.SAME, "strideH": 1, "strideW": 1, "fusedActivationFunction": relu}
    graph.add("CONV_2D", [last, kernel, shift], maps, kind="Conv2DOptions", **chosen)
    axes, pooled = graph.constant("axes", np.array([1, 2], np.int32)), graph.tensor("pooled", (1, 4))
    graph.add("MEAN", [maps, axes], pooled, kind="ReducerOptions", keepDims=False)
    return [_gemm(graph, "image", pooled), pooled]


def _tokens(graph: Graph, inputs: list[int]) -> list[int]:
    table, length = tiny.weights("tokens")["table"], tiny.LENGTH
    width = table.shape[1]
    words = graph.tensor("words", (1, length, width))
    graph.add("GATHER", [graph.constant("table", table), inputs[0]], words, kind="GatherOptions", axis=0)
    kept, column = graph.tensor("kept", (1, length)), graph.tensor("column", (1, length, 1))
    types = {"inDataType": TYPES["int64"], "outDataType": TYPES["float32"]}
    graph.add("CAST", [inputs[1]], kept, kind="CastOptions", **types)
    graph.add("EXPAND_DIMS", [kept, graph.constant("last", np.array([2], np.int32))], column, kind="ExpandDimsOptions")
    masked = graph.add("MUL", [words, column], graph.tensor("masked", (1, length, width)), kind="MulOptions")
    middle = graph.constant("middle", np.array([1], np.int32))
    summed, count = graph.tensor("sum", (1, width)), graph.tensor("count", (1, 1))
    graph.add("SUM", [masked, middle], summed, kind="ReducerOptions", keepDims=False)
    graph.add("SUM", [column, middle], count, kind="ReducerOptions", keepDims=False)
    mean = graph.add("DIV", [summed, count], graph.tensor("mean", (1, width)), kind="DivOptions")
    return [_gemm(graph, "tokens", mean)]


def _wide(graph: Graph, inputs: list[int]) -> list[int]:
    return [_gemm(graph, "wide", inputs[0])]
