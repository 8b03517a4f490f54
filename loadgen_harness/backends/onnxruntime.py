"""Runs ONNX models with ONNX Runtime; its execution providers are chosen by name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from loadgen_harness.backends import Batch, checked
from loadgen_harness.errors import BadInput, MissingDependency, UnknownName

OPTIONS = {"threads": 0, "inter_threads": 0, "provider": "", "graph": "all", "parallel": False, "spinning": True}
PROVIDERS = {  # short name -> provider, pip package that has it
    "cpu": ("CPUExecutionProvider", "onnxruntime"),
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu"),
    "tensorrt": ("TensorrtExecutionProvider", "onnxruntime-gpu"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "migraphx": ("MIGraphXExecutionProvider", "onnxruntime-rocm"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
    "qnn": ("QNNExecutionProvider", "onnxruntime-qnn"),
}
GRAPHS = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "off": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
DTYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8, "tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_,
}  # fmt: skip
UNUSABLE = (
    states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf, states.NoSuchFile,
    states.NotImplemented, states.RuntimeException, states.EPFail, states.NoModel, states.ModelLoaded, RuntimeError,
)  # fmt: skip
UNNAMED = "input"  # what the default collate calls a model's only input
WARM_UPS = 3


class OnnxRuntime:
    """One inference session; `predict` may be called from several threads at once."""

    thread_safe, needs_model = True, True
    formats, casts, keeps_precision = (".onnx",), (), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: threads and inter_threads (0: ONNX Runtime's choice), provider, graph, parallel, spinning."""
        self._options = checked(options, OPTIONS, "onnxruntime")
        if self._options["graph"] not in GRAPHS:
            raise UnknownName("graph optimization level", self._options["graph"], GRAPHS)
        if min(self._options["threads"], self._options["inter_threads"]) < 0:
            raise BadInput("options threads and inter_threads of backend onnxruntime must not be negative.")
        self._session: Any = None
        self._renamed = ""
        self._precision = ""

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Open the model on the provider asked for and warm it up where its input shapes are fixed."""
        if model is None or not Path(model).is_file():
            raise BadInput(f"backend onnxruntime needs an ONNX file, and {model or 'none'} is not there: name one.")
        provider, settings = _provider(self._options["provider"], device)
        self._session = _open(Path(model), self._session_options(), provider, settings)
        self._precision = precision
        inputs = self._session.get_inputs()
        self._renamed = inputs[0].name if len(inputs) == 1 and inputs[0].name != UNNAMED else ""
        feed = _example(inputs)
        for _ in range(WARM_UPS if feed else 0):
            self._session.run(None, feed)

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The model's outputs; a single array called "input" goes to the model's only input."""
        if self._renamed and UNNAMED in batch:
            batch = {self._renamed: batch[UNNAMED]}
        outputs: Sequence[np.ndarray] = self._session.run(None, dict(batch))
        return outputs

    def describe(self) -> dict[str, str]:
        """Provider, precision, threads, version."""
        chosen = {key: str(self._options[key] or "default") for key in ("threads", "inter_threads")}
        return {
            "framework": "ONNX Runtime",
            "version": onnxruntime.__version__,
            "provider": self._session.get_providers()[0] if self._session else "",
            "precision": self._precision,
            **chosen,
            "graph": self._options["graph"],
            **{key: str(self._options[key]).lower() for key in ("parallel", "spinning")},
        }

    def close(self) -> None:
        """Drop the session and its memory."""
        self._session = None

    def _session_options(self) -> onnxruntime.SessionOptions:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._options["threads"]
        options.inter_op_num_threads = self._options["inter_threads"]
        options.graph_optimization_level = GRAPHS[self._options["graph"]]
        if self._options["parallel"]:
            options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
        # Threads that spin for work beside another busy process can double the time of a run on few cores.
        spinning = str(int(self._options["spinning"]))
        options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
        options.add_session_config_entry("session.inter_op.allow_spinning", spinning)
        options.log_severity_level = 3
        return options


def _provider(name: str, device: str) -> tuple[str, dict[str, str]]:
    """The provider's full name and its settings, from the option or else the device ("cuda:1": the second GPU)."""
    kind, _, number = device.partition(":")
    wanted = name or kind
    full = PROVIDERS.get(wanted.lower(), (wanted, ""))[0]
    if full not in onnxruntime.get_all_providers():
        raise UnknownName("execution provider", wanted, [*PROVIDERS, *onnxruntime.get_all_providers()])
    if full not in onnxruntime.get_available_providers():
        packages = {provider: package for provider, package in PROVIDERS.values()}
        raise MissingDependency(f"execution provider {full}", packages.get(full, f"onnxruntime build with {full}"))
    return full, {"device_id": number} if number else {}


def _open(model: Path, options: onnxruntime.SessionOptions, provider: str, settings: dict[str, str]) -> Any:
    try:
        session = onnxruntime.InferenceSession(os.fspath(model), options, providers=[(provider, settings)])
    except UNUSABLE as error:
        reason = str(error).splitlines()[0]
        raise BadInput(
            f"{model.name} cannot be used by ONNX Runtime ({reason}): restore or choose the file."
        ) from error
    # ONNX Runtime falls back to the CPU with a mere warning where a provider's libraries are missing.
    if session.get_providers()[0] != provider:
        raise BadInput(
            f"{provider} did not start and ONNX Runtime fell back to {session.get_providers()[0]}: "
            f"install the provider's libraries, or choose provider=cpu."
        )
    return session


def _example(inputs: Sequence[Any]) -> dict[str, np.ndarray]:
    """A batch of one of zeros, or nothing where a shape or type is open."""
    feed = {}
    for each in inputs:
        rest = each.shape[1:]
        if each.type not in DTYPES or not all(isinstance(size, int) for size in rest) or not each.shape:
            return {}
        first = each.shape[0] if isinstance(each.shape[0], int) else 1
        feed[each.name] = np.zeros((first, *rest), DTYPES[each.type])
    return feed


BACKEND = OnnxRuntime
