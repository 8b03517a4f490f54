"""The tiny models as ONNX files with an open batch axis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.backends import tiny

OPSET = 17
TYPES = {np.float32: TensorProto.FLOAT, np.int64: TensorProto.INT64}


def write(kind: str, path: Path) -> None:
    """Write the model and check it by ONNX's own rules."""
    nodes, constants = {"image": _image, "tokens": _tokens, "wide": _wide}[kind]()
    inputs = [helper.make_tensor_value_info(i.name, TYPES[i.dtype], ["n", *i.shape]) for i in tiny.INPUTS[kind]]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", columns])
        for name, columns in tiny.OUTPUTS[kind].items()
    ]
    held = {**tiny.weights(kind), **constants}
    initial = [numpy_helper.from_array(array, name) for name, array in held.items()]
    graph = helper.make_graph(nodes, kind, inputs, outputs, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _gemm(source: str) -> onnx.NodeProto:
    return helper.make_node("Gemm", [source, "matrix", "bias"], ["logits"], transB=1)


def _image() -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    return [
        helper.make_node("Conv", ["pixels", "kernel", "shift"], ["maps"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["square"]),
        helper.make_node("Flatten", ["square"], ["pooled"]),
        _gemm("pooled"),
    ], {}


def _tokens() -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    return [
        helper.make_node("Gather", ["table", "ids"], ["words"]),
        helper.make_node("Cast", ["mask"], ["kept"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["kept", "last"], ["column"]),
        helper.make_node("Mul", ["words", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "middle"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["column", "middle"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        _gemm("mean"),
    ], {"last": np.array([2]), "middle": np.array([1])}


def _wide() -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    return [_gemm("features")], {}
