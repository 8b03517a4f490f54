"""Runs ONNX models with ONNX Runtime; its execution providers are chosen by name."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from loadgen_harness.backends import Batch, Calibration, checked
from loadgen_harness.backends.onnxruntime import binding as _binding
from loadgen_harness.backends.onnxruntime import models as _models
from loadgen_harness.errors import BadInput, MissingDependency, UnknownName

Provider = tuple[str, dict[str, str]]  # its full name and its settings

OPTIONS = {
    "threads": 0, "inter_threads": 0, "provider": "", "graph": "all", "parallel": False, "spinning": True,
    "provider_options": "", "binding": False, "cuda_graph": False, "method": "minmax", "cache": "",
}  # fmt: skip
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


CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
BUFFERS = {CPU: "cpu", CUDA: "cuda", TENSORRT: "cuda"}  # where bound buffers lie
FP16 = {TENSORRT: "trt_fp16_enable", "MIGraphXExecutionProvider": "migraphx_fp16_enable"}  # what makes it compute so
QUANTISED = (
    "QuantizeLinear",
    "QLinear",
    "Integer",
    "QGemm",
    "QAttention",
)  # in the names of operators that compute INT8
CPU_FP16 = "ONNX Runtime's CPU provider computes fp16 in fp32: choose fp32, or another device."
IDENTITY = bytes.fromhex(  # an ONNX file of one operator: its output y is its input x, one float
    "080812003a370a100a017812017922084964656e746974791201675a0f0a0178120a"
    "0a08080112040a020801620f0a0179120a0a08080112040a02080142040a00100d"
)
PLACES = "session.record_ep_graph_assignment_info"  # configuration entry: the session remembers who runs which operator


class OnnxRuntime:
    """One inference session; `predict` may be called from several threads at once, but not with CUDA graphs."""

    needs_model = True
    formats, casts, keeps_precision = (".onnx",), ("int8", "fp16"), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: threads and inter_threads (0: ONNX Runtime's choice), provider, graph, parallel, spinning.

        provider_options ("key=value,key=value"); binding (buffers on the device); cuda_graph (one per batch size);
        method (of calibration for int8); cache (folder for quantised models and TensorRT's engines, by default one
        beside the suite's assets, or none).
        """
        self._options = checked(options, OPTIONS, "onnxruntime")
        for key, known in (("graph", GRAPHS), ("method", _models.METHODS)):
            if self._options[key] not in known:
                raise UnknownName(f"{key} of backend onnxruntime", self._options[key], known)
        if min(self._options["threads"], self._options["inter_threads"]) < 0:
            raise BadInput("options threads and inter_threads of backend onnxruntime must not be negative.")
        self.calibration: Calibration | None = None
        self.thread_safe = not self._options["cuda_graph"]
        self.cast: bool | None = None  # unknown: the file is looked at
        self._session: Any = None
        self._bound: _binding.Bound | None = None
        self._made: _models.Made | None = None
        self._renamed = self._precision = self._device = ""

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Open the model on the provider asked for and warm it up where its input shapes are fixed.

        A file that is of this precision already is taken as it is; from another int8 and fp16 are made.
        """
        if model is None or not Path(model).is_file():
            raise BadInput(f"backend onnxruntime needs an ONNX file, and {model or 'none'} is not there: name one.")
        self._precision, self._device = precision, device
        providers = self._providers(Path(model), device)
        self._session = self._converted(Path(model), providers)
        inputs = self._session.get_inputs()
        self._renamed = inputs[0].name if len(inputs) == 1 and inputs[0].name != UNNAMED else ""
        if self._options["binding"] or self._options["cuda_graph"]:
            self._bound = self._binding(providers[0][0])
        feed = _example(inputs)
        for _ in range(WARM_UPS if feed else 0):
            self.predict(feed)

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The model's outputs; a single array called "input" goes to the model's only input."""
        if self._renamed and UNNAMED in batch:
            batch = {self._renamed: batch[UNNAMED]}
        if self._bound is None:
            outputs: Sequence[np.ndarray] = self._session.run(None, dict(batch))
            return outputs
        if not len(next(iter(batch.values()))):
            one = {name: np.zeros((1, *array.shape[1:]), array.dtype) for name, array in batch.items()}
            return [output[:0] for output in self._bound.run(one)]
        return self._bound.run(batch)

    def describe(self) -> dict[str, str]:
        """Provider, precision, threads, version; operators that other providers run as a fallback."""
        chosen = {key: str(self._options[key] or "default") for key in ("threads", "inter_threads")}
        fallback = _elsewhere(self._session)
        return {
            "framework": "ONNX Runtime",
            "version": onnxruntime.__version__,
            "device": self._device,
            "provider": self._session.get_providers()[0] if self._session else "",
            "precision": self._precision,
            "mode": "cuda graph" if self._options["cuda_graph"] else "graph",
            **chosen,
            "graph": self._options["graph"],
            **{key: str(self._options[key]).lower() for key in ("parallel", "spinning", "binding")},
            **({"provider_options": said} if (said := self._options["provider_options"]) else {}),
            **({"prepared": f"{self._bound.prepared} batch sizes"} if self._bound else {}),
            **(self._made.said if self._made else {}),
            **({"fallback": fallback} if fallback else {}),
        }

    def close(self) -> None:
        """Drop the session and its memory, and a model that was made for it."""
        self._session = self._bound = self._made = self.calibration = None
        gc.collect()

    def _providers(self, model: Path, device: str) -> list[Provider]:
        """The provider asked for, with its settings, before those that take the operators that it leaves."""
        name, settings = self._provider(device)
        if name == TENSORRT:
            settings |= _models.engines(self._options["cache"], model)
        if self._precision == "fp16" and name in FP16:
            settings[FP16[name]] = "1"
        last: list[Provider] = [(CUDA, _device_id(device))] if name == TENSORRT else []
        return [(name, settings | _pairs(self._options["provider_options"])), *last]

    def _provider(self, device: str) -> Provider:
        """The provider asked for, with the settings that no model decides; raises what is wrong with it."""
        name, settings = _provider(self._options["provider"], device)
        if self._options["cuda_graph"]:
            if BUFFERS.get(name) != "cuda":
                raise BadInput(f"option cuda_graph of backend onnxruntime needs a CUDA device, not {name}.")
            settings["trt_cuda_graph_enable" if name == TENSORRT else "enable_cuda_graph"] = "1"
        if self._options["binding"] and name not in BUFFERS:
            raise BadInput(f"option binding of backend onnxruntime is for CPU and CUDA devices, not {name}.")
        _pairs(self._options["provider_options"])
        return name, settings

    def _converted(self, model: Path, providers: list[Provider]) -> Any:
        """A session of the model, quantised or cast first where its precision asks for that."""
        plain, name = _open(model, self._session_options(), providers), providers[0][0]
        if self._precision not in self.casts or self.cast is False or _has(plain, self._precision):
            return plain
        if self._precision == "fp16" and name in (CPU, *FP16):
            if name == CPU:
                raise BadInput(CPU_FP16)
            return plain  # the provider casts by itself
        inputs = tuple(each.name for each in plain.get_inputs())
        with _models.kept(self._options["cache"]) as folder:
            if self._precision == "int8":
                recipe = _models.Recipe(self._options["method"], folder, inputs)
                self._made = _models.int8(model, self.calibration, recipe)
            else:
                self._made = _models.fp16(model, folder)
            return _open(self._made.file, self._session_options(), providers)

    def _binding(self, provider: str) -> _binding.Bound:
        number = int(self._device.partition(":")[2] or 0)
        place = _binding.Place(BUFFERS[provider], number)
        graphs = self._options["cuda_graph"]
        return _binding.Bound(self._session, onnxruntime, place, graphs=graphs)

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
        options.add_session_config_entry(PLACES, "1")
        options.log_severity_level = 3
        return options


def _provider(name: str, device: str) -> tuple[str, dict[str, str]]:
    """The provider's full name and its settings, from the option or else the device ("cuda:1": the second GPU)."""
    wanted = name or device.partition(":")[0]
    full = PROVIDERS.get(wanted.lower(), (wanted, ""))[0]
    if full not in onnxruntime.get_all_providers():
        raise UnknownName("execution provider", wanted, [*PROVIDERS, *onnxruntime.get_all_providers()])
    if full not in onnxruntime.get_available_providers():
        packages = {provider: package for provider, package in PROVIDERS.values()}
        raise MissingDependency(f"execution provider {full}", packages.get(full, f"onnxruntime build with {full}"))
    return full, _device_id(device)


def _device_id(device: str) -> dict[str, str]:
    number = device.partition(":")[2]
    if number and not number.isdecimal():
        raise BadInput(f"device {device!r} has no number after its colon: write it like cuda:1.")
    return {"device_id": number} if number else {}


def _pairs(text: str) -> dict[str, str]:
    """Settings of a provider as the option has them: "trt_fp16_enable=1,trt_builder_optimization_level=5"."""
    parts = [each.partition("=") for each in text.split(",") if each]
    if not all(key and equals for key, equals, _ in parts):
        raise BadInput(f"option provider_options of backend onnxruntime is key=value,key=value, not {text!r}.")
    return {key.strip(): value.strip() for key, _, value in parts}


def _has(session: Any, precision: str) -> bool:
    """Whether the file itself is quantised, or takes and gives fp16."""
    if precision == "fp16":
        return any(each.type == "tensor(float16)" for each in (*session.get_inputs(), *session.get_outputs()))
    kinds = {node.op_type for part in session.get_provider_graph_assignment_info() for node in part.get_nodes()}
    return any(word in kind for kind in kinds for word in QUANTISED)


def _elsewhere(session: Any) -> str:
    """Which operators another provider runs than the first, in words; shapes are often computed on the CPU."""
    if session is None:
        return ""
    first, kinds = session.get_providers()[0], Counter[tuple[str, str]]()
    for part in session.get_provider_graph_assignment_info():
        kinds.update((part.ep_name, node.op_type) for node in part.get_nodes())
    away = {key: count for key, count in kinds.items() if key[0] != first}
    if not away:
        return ""
    listed = ", ".join(f"{kind} {count} ({provider})" for (provider, kind), count in sorted(away.items()))
    return f"{sum(away.values())} of {kinds.total()} operators do not run on {first}: {listed}"


def _open(model: Path, options: onnxruntime.SessionOptions, providers: list[Provider]) -> Any:
    provider = providers[0][0]
    try:
        session = onnxruntime.InferenceSession(os.fspath(model), options, providers=providers)
    except UNUSABLE as error:
        raise BadInput(
            f"{model.name} cannot be used by ONNX Runtime ({_line(error)}): restore or choose the file."
        ) from error
    _refuse_another(session, provider)
    return session


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _refuse_another(session: Any, provider: str) -> None:
    """ONNX Runtime falls back to the CPU with a mere warning where a provider's libraries are missing."""
    if session.get_providers()[0] != provider:
        raise BadInput(
            f"{provider} did not start and ONNX Runtime fell back to {session.get_providers()[0]}: "
            f"install the provider's libraries, or choose provider=cpu."
        )


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


def check_device(backend: OnnxRuntime, device: str) -> None:
    """See backends.ModelReader; a provider other than the CPU's must also start, on a model of one operator."""
    name, settings = backend._provider(device)
    if name == CPU:
        return
    try:
        options = backend._session_options()
        session = onnxruntime.InferenceSession(IDENTITY, options, providers=[(name, settings)])
    except UNUSABLE as error:
        raise BadInput(f"device {device} cannot be used by {name} ({_line(error)}): choose another.") from error
    _refuse_another(session, name)


def check_precision(backend: OnnxRuntime, precision: str, device: str) -> None:
    """See backends.ModelReader."""
    name, _ = backend._provider(device)
    if backend.cast is False or precision not in backend.casts:
        return
    if precision == "int8":
        _models.needs_onnx(precision)
        _models.needs_set(backend.calibration)
    elif name == CPU:
        raise BadInput(CPU_FP16)
    elif name not in FP16:
        _models.needs_onnx(precision)


BACKEND = OnnxRuntime
