"""Models that ONNX Runtime makes itself from the task's fp32 file: INT8 with the calibration set, and fp16.

INT8 is static quantisation as ONNX Runtime documents it: QDQ, weights signed and per channel, activations unsigned.
On x86 without VNNI its kernels would overflow in 16 bits, so weights there keep 7 bits.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadgen_harness import registry
from loadgen_harness.backends import Batch, Calibration
from loadgen_harness.cache import home
from loadgen_harness.errors import BadInput, MissingDependency

NONE = "none"
METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
RECIPE = "qdq, per channel, activations uint8, weights int8"


@dataclass(frozen=True)
class Made:
    """A model made here: its file, and what to say of it."""

    file: Path
    said: Mapping[str, str]


@dataclass(frozen=True)
class Recipe:
    """How to quantise: the method of calibration, the folder for the result, the names of the model's inputs."""

    method: str
    folder: Path
    inputs: tuple[str, ...]


def short_of_bits() -> bool:
    """Whether this machine multiplies INT8 through 16-bit sums that overflow: x86 without VNNI."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    cpuinfo = Path("/proc/cpuinfo")
    return not (cpuinfo.is_file() and "vnni" in cpuinfo.read_text(encoding="utf-8"))


def int8(model: Path, calibration: Calibration | None, recipe: Recipe) -> Made:
    """`model` quantised with the calibration set, unless the folder has it; raises BadInput where there is no set."""
    needs_onnx("int8")
    wanted = needs_set(calibration)
    count, digest = _counted(wanted)
    if not count:
        raise BadInput("the calibration set is empty, so int8 cannot be made: choose fp32, or mend the set.")
    short = short_of_bits()
    said = {
        "calibration": f"{count} samples, {recipe.method}, sha256 {digest[:12]}",
        "quantisation": f"{RECIPE}{' of 7 bits' if short else ''}",
    }
    key = [
        _digest(model),
        digest,
        recipe.method,
        str(short),
        RECIPE,
        registry.load_module("onnxruntime", "").__version__,
    ]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16] + ".int8.onnx"
    made = recipe.folder / name
    if not made.is_file():
        part = recipe.folder / f"{os.getpid()}-{name}"
        _quantise(model, part, _Reader(wanted, recipe.inputs), recipe.method, short)
        part.replace(made)
    return Made(made, said)


def fp16(model: Path, folder: Path) -> Made:
    """`model` with fp16 weights and arithmetic, its inputs and outputs as they were."""
    needs_onnx("fp16")
    onnx = registry.load_module("onnx", "precision fp16 of backend onnxruntime")
    convert = registry.load_module("onnxruntime.transformers.float16", "precision fp16").convert_float_to_float16
    onnx.save(convert(onnx.load(model), keep_io_types=True), folder / "fp16.onnx")
    return Made(folder / "fp16.onnx", {})


def needs_set(calibration: Calibration | None) -> Calibration:
    """The set to quantise with; raises BadInput where there is none."""
    if calibration is None:
        raise BadInput("backend onnxruntime quantises with a calibration set, and was given none: choose fp32.")
    return calibration


def needs_onnx(precision: str) -> None:
    """Raise MissingDependency where the package that changes models is not there."""
    if importlib.util.find_spec("onnx") is None:
        raise MissingDependency(f"precision {precision} of backend onnxruntime", "onnx")


@contextmanager
def kept(cache: str) -> Iterator[Path]:
    """The folder for models made here: the cache, or, called "none", one that goes when they are loaded."""
    if cache == NONE:
        with tempfile.TemporaryDirectory(prefix="onnxruntime-") as temporary:
            yield Path(temporary)
        return
    folder = _home(cache)
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def engines(cache: str, model: Path) -> dict[str, str]:
    """TensorRT's settings to keep engines, apart for each model: it tells them by the graph, whatever the weights."""
    if cache == NONE:
        return {}
    path = str(_home(cache) / f"tensorrt-{_digest(model)[:16]}")
    return {"trt_engine_cache_enable": "1", "trt_engine_cache_path": path, "trt_timing_cache_enable": "1"}


def _home(cache: str) -> Path:
    return Path(cache) if cache else home() / "onnxruntime"


def _digest(model: Path) -> str:
    """Of a model, and of the weights that lie beside it under its name."""
    found = hashlib.sha256()
    for path in sorted(each for each in model.parent.glob(f"{model.name}*") if each.is_file()):
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def _counted(calibration: Calibration) -> tuple[int, str]:
    """How many samples the set has, and a digest of their bytes."""
    count, digest = 0, hashlib.sha256()
    for batch in calibration():
        for name, array in sorted(batch.items()):
            digest.update(name.encode() + str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        count += len(next(iter(batch.values())))
    return count, digest.hexdigest()


class _Reader:
    """The calibration set as ONNX Runtime reads it: one batch per call, None at the end."""

    def __init__(self, calibration: Calibration, inputs: tuple[str, ...]) -> None:
        self._calibration, self._inputs = calibration, inputs
        self.rewind()

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch under the model's own names."""
        batch: Batch | None = next(self._batches, None)
        if batch is None:
            return None
        return dict(zip(self._inputs, batch.values(), strict=True)) if len(batch) == 1 else dict(batch)

    def rewind(self) -> None:
        """Begin again."""
        self._batches: Iterator[Batch] = iter(self._calibration())


def _quantise(model: Path, target: Path, reader: _Reader, method: str, short: bool) -> None:
    """Shapes inferred and batch normalisations folded first, as ONNX Runtime's documentation asks."""
    tools = registry.load_module("onnxruntime.quantization", "precision int8 of backend onnxruntime")
    with tempfile.TemporaryDirectory(prefix="onnxruntime-") as folder:
        prepared = Path(folder) / "prepared.onnx"
        tools.shape_inference.quant_pre_process(model, prepared, skip_symbolic_shape=True)
        tools.quantize_static(
            prepared,
            target,
            reader,
            quant_format=tools.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=short,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            calibrate_method=getattr(tools.CalibrationMethod, METHODS[method]),
        )
