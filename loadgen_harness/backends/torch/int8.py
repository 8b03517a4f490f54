"""INT8 models made from fp32 ones with torchao, in the two ways that compute in int8 with PyTorch 2.13.

On x86 CPUs: export, quantise (static: scales from the calibration set, convolutions and linear layers; dynamic: scales
of each batch, linear layers only), and let the compiler put oneDNN's int8 kernels in. Without the compiler the same
graph computes in fp32 between pairs of quantize and dequantize. On CUDA: dynamic quantization of linear layers
(never run on a GPU). torchao's own int8 linear layer was slower than fp32 on a CPU by a factor of 5 and more.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Sequence
from typing import Any

import torch

from loadgen_harness.backends import Batch, Calibration
from loadgen_harness.backends._pieces import resized
from loadgen_harness.backends.torch.model import as_tensors, quiet
from loadgen_harness.errors import BadInput, MissingDependency

QUANTIZERS = ("static", "dynamic")
PT2E = "torchao.quantization.pt2e"
COMPUTE = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "linear", "matmul", "bmm", "mm")
CALIBRATION_SET = "the task's calibration set, and this task has none: choose quantizer=dynamic or another precision."


def on_cpu(
    module: torch.nn.Module, quantizer: str, example: Batch | None, calibration: Calibration | None
) -> tuple[torch.nn.Module, dict[str, str]]:
    """A graph that the compiler turns into int8 kernels, and what describe() says of it; raises BadInput."""
    _of_x86()
    if quantizer == "static" and (calibration is None or example is None):
        raise BadInput(f"quantizer=static of backend torch needs {CALIBRATION_SET}")
    if example is None:
        raise BadInput("int8 of backend torch needs inputs to export the model with: name a .pt2 file of the model.")
    torchao = _torchao("torchao").__version__
    with quiet(), torch.no_grad():  # of interest to PyTorch's developers: layers that stay in fp32 are counted below
        graph = module if isinstance(module, torch.fx.GraphModule) else _exported(module, example)
        quantised = _quantised(graph, quantizer, calibration, example)
    inside, outside = _counted(quantised)
    if not inside:
        raise BadInput(
            f"quantizer={quantizer} finds no Conv2d or Linear module in this model: choose another precision."
        )
    said = {"quantizer": f"{quantizer} (torchao {torchao})", "int8_layers": f"{inside} of {inside + len(outside)}"}
    return quantised, said | _left(outside)


def on_cuda(module: torch.nn.Module, quantizer: str) -> tuple[torch.nn.Module, dict[str, str]]:
    """The module with its linear layers computing in int8; never run on a GPU."""
    _of_cuda(quantizer)
    layers = [type(each).__name__ for each in module.modules() if not list(each.children())]
    inside = layers.count("Linear")
    if not inside:
        raise BadInput("quantizer=dynamic finds no linear layer in this model: choose fp16 or --backend tensorrt.")
    torchao = _torchao("torchao.quantization")
    torchao.quantize_(module, torchao.Int8DynamicActivationInt8WeightConfig())
    outside = [name for name in layers if name.startswith("Conv")]
    said = {"quantizer": f"dynamic (torchao {_torchao('torchao').__version__})"}
    return module, said | {"int8_layers": f"{inside} of {inside + len(outside)}"} | _left(outside)


def check(quantizer: str, *, on_cuda: bool) -> None:
    """Raise what either would before it has seen a model."""
    if on_cuda:
        _of_cuda(quantizer)
    else:
        _of_x86()
    _torchao("torchao")


def _of_x86() -> None:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        raise BadInput(
            f"int8 of backend torch is for x86 CPUs, not {platform.machine()}: choose --backend onnxruntime."
        )


def _of_cuda(quantizer: str) -> None:
    if quantizer != "dynamic":
        raise BadInput("quantizer=static of backend torch is for x86 CPUs: choose dynamic, or --backend tensorrt.")


def _torchao(name: str) -> Any:
    try:
        with quiet("torchao", "torch.utils._pytree"):  # of its parts for other devices, and of names that PyTorch moved
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependency("int8 of backend torch", "torchao") from error


def _exported(module: torch.nn.Module, example: Batch) -> torch.nn.Module:
    """The module as a graph for batches of any size; two rows, since exporting takes one for a constant."""
    inputs = as_tensors(resized(example, 2))
    axes = {name: {0: torch.export.Dim.AUTO} for name in inputs}
    try:
        if len(inputs) == 1:
            shapes: Any = tuple(axes.values())
            return torch.export.export(module, tuple(inputs.values()), dynamic_shapes=shapes).module()
        return torch.export.export(module, (), inputs, dynamic_shapes=axes).module()
    # The exporter's errors are of its own, Python's and the model's kinds alike.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise BadInput(f"the model cannot be exported for int8 ({reason}): choose another precision.") from error


def _quantised(graph: Any, quantizer: str, calibration: Calibration | None, example: Batch) -> torch.nn.Module:
    steps = _torchao(f"{PT2E}.quantize_pt2e")
    x86 = _torchao(f"{PT2E}.quantizer.x86_inductor_quantizer")
    # Without VNNI instructions sums of two 8-bit products saturate: activations take 7 bits then.
    narrow = not torch.cpu.get_capabilities().get("avx512_vnni", False)
    config = x86.get_default_x86_inductor_quantization_config(is_dynamic=quantizer == "dynamic", reduce_range=narrow)
    chooser = x86.X86InductorQuantizer()
    if quantizer == "dynamic":
        chooser.set_module_type_qconfig(torch.nn.Linear, config)
    else:
        chooser.set_global(config)
    prepared = steps.prepare_pt2e(graph, chooser)
    batches = calibration() if quantizer == "static" and calibration else [example]
    for batch in batches:
        inputs = as_tensors(batch)
        prepared(*inputs.values()) if len(inputs) == 1 else prepared(**inputs)
    converted: torch.nn.Module = steps.convert_pt2e(prepared)
    return converted


def _counted(graph: Any) -> tuple[int, list[str]]:
    """Layers that compute in int8, and the names of those that do not."""
    outside, inside = [], 0
    for node in graph.graph.nodes:
        name = getattr(getattr(node.target, "overloadpacket", None), "__name__", "")
        if node.op != "call_function" or name not in COMPUTE:
            continue
        quantised = all("dequantize" in str(each.target) for each in node.all_input_nodes[:2])
        inside += quantised
        outside += [] if quantised else [name]
    return inside, outside


def _left(outside: Sequence[str]) -> dict[str, str]:
    if not outside:
        return {}
    kinds = ", ".join(f"{outside.count(name)} {name}" for name in sorted(set(outside)))
    return {"fallback": f"layers that stay in fp32: {kinds}"}
