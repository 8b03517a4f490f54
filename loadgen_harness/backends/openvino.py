"""Runs ONNX models and OpenVINO's own with OpenVINO, on the CPU or any device that it has a plug-in for."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness.backends import Batch, checked
from loadgen_harness.errors import BadInput, UnknownName

# Without an answer of the user's, its telemetry forks this process, while it measures, to report that a model was read.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino  # noqa: E402 - after its telemetry is out of the way

OPTIONS = {"threads": 0, "streams": 0, "hint": "latency", "shapes": "dynamic", "cache": ""}
HINTS, SHAPES = ("latency", "throughput", "none"), ("dynamic", "static")
KINDS = ("CPU", "GPU", "NPU", "AUTO", "MULTI", "HETERO", "BATCH")  # OpenVINO's devices, with a number or list behind
UNNAMED = "input"  # what the default collate calls a model's only input
# By default a CPU with AMX computes fp32 models in bf16: what is asked for is asked of OpenVINO too.
WANTED = {"bf16": "bf16", "fp16": "f16"}
NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8", "i4": "int4", "u4": "int4"}
COMPUTING = ("Convolution", "FullyConnected", "MatMul", "Deconvolution", "GroupConvolution", "LSTMCell", "GRUCell")


class OpenVino:
    """A compiled model, or one per batch size; every thread has infer requests of its own."""

    thread_safe, needs_model = True, True
    formats, casts, keeps_precision = (".onnx", ".xml"), ("bf16", "fp16"), True

    def __init__(self, options: Mapping[str, str]) -> None:
        """Options: threads, streams (0: by the hint), hint, shapes, cache (folder of compiled models).

        hint: latency, throughput or none. shapes: dynamic (one model for all batches) or static (one per size).
        """
        self._options = checked(options, OPTIONS, "openvino")
        for key, known in (("hint", HINTS), ("shapes", SHAPES)):
            if self._options[key] not in known:
                raise UnknownName(f"{key} of backend openvino", self._options[key], known)
        if min(self._options["threads"], self._options["streams"]) < 0:
            raise BadInput("options threads and streams of backend openvino must not be negative.")
        self._core: Any = None
        self._model: Any = None
        self._compiled: dict[Any, Any] = {}
        self._requests: dict[Any, Any] = {}  # by thread and model: those of ended threads go with close()
        self._lock = threading.Lock()
        self._asked = self._device = self._precision = ""

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Read and compile the model for the device; with static shapes each batch size compiles when first seen."""
        if model is None or not Path(model).is_file():
            raise BadInput(
                f"backend openvino needs an ONNX or .xml file, and {model or 'none'} is not there: name one."
            )
        self._core = openvino.Core()
        self._asked, self._device, self._precision = device, _device(self._core, device), precision
        try:
            self._model = self._core.read_model(Path(model))
            one = self._options["shapes"] == "dynamic" or not _open_batch(self._model)
            request = self._request((), None) if one else self._request((1,), 1)
        except RuntimeError as error:
            raise BadInput(
                f"{Path(model).name} cannot be used by OpenVINO ({_reason(error)}): restore or choose the file."
            ) from error
        _warm_up(request)

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The model's outputs; a single array called "input" goes to the model's only input."""
        count = len(next(iter(batch.values())))
        if not count:
            one = {name: np.zeros((1, *array.shape[1:]), array.dtype) for name, array in batch.items()}
            return [output[:0] for output in self.predict(one)]
        request = self._request((), None) if () in self._compiled else self._request((count,), count)
        given: Any = dict(batch) if UNNAMED not in batch else {0: batch[UNNAMED]}
        results = request.infer(given, share_inputs=True)  # outputs are copied, inputs are not
        return list(results.values())

    def describe(self) -> dict[str, str]:
        """Device, threads and streams as compiled, and the precision in which layers compute."""
        compiled = next(iter(self._compiled.values()), None)
        if compiled is None:
            return {"framework": "OpenVINO", "version": openvino.__version__}
        layers, asked = _layers(compiled), self._precision
        ran = f"{compiled.get_property('INFERENCE_PRECISION_HINT').get_type_name()}"
        devices = ",".join(compiled.get_property("EXECUTION_DEVICES"))
        fallback = _fallback(asked, NAMES.get(ran, ran), layers)
        return {
            "framework": "OpenVINO",
            "version": openvino.__version__,
            "device": self._asked,
            "provider": devices,
            "precision": NAMES.get(ran, ran) if asked in self.casts else asked,
            "mode": f"graph, {self._options['shapes']} shapes",
            "threads": _property(compiled, "INFERENCE_NUM_THREADS"),
            "streams": _property(compiled, "NUM_STREAMS"),
            "hint": self._options["hint"],
            "compiled": str(len(self._compiled)),
            "layers": ", ".join(f"{kind} {count}" for kind, count in sorted(layers.items())) or "not told",
            **({"fallback": fallback} if fallback else {}),
        }

    def close(self) -> None:
        """Drop requests, compiled models and the model."""
        self._requests.clear()
        self._compiled.clear()
        self._model = self._core = None
        gc.collect()

    def _request(self, key: tuple[int, ...], size: int | None) -> Any:
        """This thread's infer request of the model compiled for `size` samples, or for any."""
        own = threading.get_ident(), key
        request = self._requests.get(own)
        if request is None:
            with self._lock:
                if key not in self._compiled:
                    self._compiled[key] = self._core.compile_model(self._sized(size), self._device, self._settings())
                request = self._requests[own] = self._compiled[key].create_infer_request()
        return request

    def _sized(self, size: int | None) -> Any:
        if size is None:
            return self._model
        model = self._model.clone()
        model.reshape({each: [size, *list(each.partial_shape)[1:]] for each in model.inputs})
        return model

    def _settings(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {"INFERENCE_PRECISION_HINT": WANTED.get(self._precision, "f32")}
        if self._options["hint"] != "none":
            chosen["PERFORMANCE_HINT"] = self._options["hint"].upper()
        if self._options["threads"]:
            chosen["INFERENCE_NUM_THREADS"] = self._options["threads"]
        if self._options["streams"]:
            chosen["NUM_STREAMS"] = str(self._options["streams"])
        if self._options["cache"]:
            chosen["CACHE_DIR"] = self._options["cache"]
        return chosen


def _device(core: Any, name: str) -> str:
    """OpenVINO's name of "cpu", "gpu:1" or a device of its own such as AUTO or HETERO:GPU,CPU."""
    kind, colon, rest = name.partition(":")
    if kind.upper() not in KINDS:
        raise UnknownName("device of backend openvino", name, [each.lower() for each in KINDS])
    full = f"{kind.upper()}.{rest}" if colon and rest.isdecimal() else name.upper()
    if kind.upper() in ("CPU", "GPU", "NPU") and full not in (*core.available_devices, kind.upper()):
        raise BadInput(f"OpenVINO finds no device {name!r} here: choose one of {', '.join(core.available_devices)}.")
    if kind.upper() in ("GPU", "NPU") and not any(each.startswith(kind.upper()) for each in core.available_devices):
        raise BadInput(f"OpenVINO finds no device {name!r} here: choose one of {', '.join(core.available_devices)}.")
    return full


def _reason(error: Exception) -> str:
    """The line of OpenVINO's message that says what is wrong, without the places in its sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (said or lines or [type(error).__name__])[0].rstrip(".:")[:200]


def _open_batch(model: Any) -> bool:
    return all(len(each.partial_shape) and each.partial_shape[0].is_dynamic for each in model.inputs)


def _warm_up(request: Any) -> None:
    """Three answers to a batch of zeros, where only the batch is open."""
    feed = {}
    for number, each in enumerate(request.model_inputs):
        sizes = list(each.partial_shape)
        if any(size.is_dynamic for size in sizes[1:]):
            return
        shape = [1 if size.is_dynamic else size.get_length() for size in sizes]
        feed[number] = np.zeros(shape, each.element_type.to_dtype())
    for _ in range(3):
        request.infer(feed)


def _layers(compiled: Any) -> Counter[str]:
    """Computing layers by the precision that the device's kernels have, where its plug-in tells."""
    found = Counter[str]()
    for layer in compiled.get_runtime_model().get_ordered_ops():
        told = layer.get_rt_info()
        if "layerType" in told and "runtimePrecision" in told and told["layerType"].astype(str) in COMPUTING:
            kind = told["runtimePrecision"].astype(str)
            found[NAMES.get(kind, kind)] += 1
    return found


def _fallback(asked: str, ran: str, layers: Counter[str]) -> str:
    """What ran in another precision than asked for, in words."""
    if asked in WANTED and ran != asked:
        return f"this device computes {asked} in {ran}"
    if asked in (*WANTED, "int8") and layers and not layers[asked]:
        return f"no layer computes in {asked}"
    return ""


def _property(compiled: Any, name: str) -> str:
    """A property of the compiled model; not every device has every one."""
    return str(compiled.get_property(name)) if name in compiled.get_property("SUPPORTED_PROPERTIES") else "not told"


def check_device(backend: OpenVino, device: str) -> None:
    """See backends.ModelReader."""
    _device(openvino.Core(), device)


BACKEND = OpenVino
