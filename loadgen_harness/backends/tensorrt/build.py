"""An engine from an ONNX file, by TensorRT's builder; never run on real TensorRT.

A network is typed strongly where its file says every type itself (Q/DQ pairs, half-precision tensors). TensorRT 10 also
builds weakly typed networks, for which the builder is told what precisions it may choose and, for int8, asks an entropy
calibrator. TensorRT 11 has neither: the precision is then put into the ONNX file by NVIDIA's ModelOpt.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorrt

from loadgen_harness.backends import Batch, Calibration
from loadgen_harness.backends._pieces import rows_of
from loadgen_harness.backends.tensorrt.cuda import Cuda
from loadgen_harness.errors import BadInput, MissingDependency

WEAK = {"fp16": ("FP16",), "bf16": ("BF16",), "int8": ("INT8", "FP16")}  # what the builder of TensorRT 10 may choose
MODELOPT = "nvidia-modelopt[onnx]"


@dataclass(frozen=True)
class Recipe:
    """How to build: `profiles` are (smallest, best, largest) batches, `axes` the same of every other open axis."""

    precision: str
    profiles: tuple[tuple[int, int, int], ...]
    axes: tuple[int, int, int] | None
    level: int


@dataclass(frozen=True)
class Built:
    """An engine in bytes, the timings of its kernels, and how its network was typed."""

    engine: bytes
    timings: bytes
    typing: str


class Log(tensorrt.ILogger):
    """Keeps TensorRT's errors, which its calls answer only with None or False."""

    def __init__(self) -> None:
        """No error yet."""
        tensorrt.ILogger.__init__(self)
        self.errors: list[str] = []

    def log(self, severity: Any, msg: str) -> None:
        """Called by TensorRT, from threads of its own too."""
        if severity in (tensorrt.ILogger.ERROR, tensorrt.ILogger.INTERNAL_ERROR):
            self.errors.append(" ".join(msg.split()))

    @property
    def last(self) -> str:
        """The last error, in words."""
        return self.errors[-1].rstrip(".") if self.errors else "TensorRT gives no reason"


def build(model: Path, recipe: Recipe, timings: bytes, calibration: Calibration | None, cuda: Cuda) -> Built:
    """Parse, configure and build; takes minutes. Raises BadInput for what cannot be built."""
    log = Log()
    builder = tensorrt.Builder(log)
    network, parser, typing = _network(builder, log, model, recipe, calibration)
    config = builder.create_builder_config()
    config.builder_optimization_level = recipe.level
    if recipe.precision != "tf32":
        config.clear_flag(tensorrt.BuilderFlag.TF32)  # on by default, where fp32 is asked for
    for profile in _profiles(builder, network, recipe, model.name):
        if config.add_optimization_profile(profile) < 0:
            raise BadInput(f"TensorRT refuses a profile of {model.name} ({log.last}): choose other batches.")
    weak = WEAK.get(recipe.precision, ()) if typing == "weak" else ()
    for flag in weak:
        config.set_flag(getattr(tensorrt.BuilderFlag, flag))
    calibrated = _calibrated((builder, network, config), recipe, calibration, cuda) if "INT8" in weak else nullcontext()
    cache = config.create_timing_cache(timings)
    if not config.set_timing_cache(cache, ignore_mismatch=False):
        cache = config.create_timing_cache(b"")  # of another driver, or damaged
        config.set_timing_cache(cache, ignore_mismatch=False)
    with calibrated:
        plan = builder.build_serialized_network(network, config)
    del parser  # the network refers to the weights that it read
    if plan is None:
        raise BadInput(f"TensorRT cannot build {model.name} at {recipe.precision} ({log.last}): choose another.")
    return Built(bytes(plan), bytes(config.get_timing_cache().serialize()), typing)


def strongly_typed_only() -> bool:
    """Whether this TensorRT takes precisions from the file alone."""
    return int(tensorrt.__version__.split(".")[0]) >= 11


def _network(
    builder: Any, log: Log, model: Path, recipe: Recipe, calibration: Calibration | None
) -> tuple[Any, Any, str]:
    """The network, the parser that holds its weights, and "strong" or "weak"."""
    network, parser = _parsed(builder, log, model, model, strong=False)
    if states(network, recipe.precision):
        if not strongly_typed_only():
            network, parser = _parsed(builder, log, model, model, strong=True)
        return network, parser, "strong"
    if recipe.precision == "fp8":
        raise BadInput(
            f"{model.name} has no Q/DQ pairs, from which TensorRT takes fp8: quantise the file with ModelOpt."
        )
    if not strongly_typed_only():
        return network, parser, "weak"
    with TemporaryDirectory() as folder:
        names = [network.get_input(number).name for number in range(network.num_inputs)]
        converted = _converted(model, recipe.precision, Path(folder) / model.name, names, calibration)
        network, parser = _parsed(builder, log, model, converted, strong=False)
    return network, parser, "strong"


def _parsed(builder: Any, log: Log, model: Path, file: Path, *, strong: bool) -> tuple[Any, Any]:
    flags = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) if strong else 0
    network = builder.create_network(flags)
    parser = tensorrt.OnnxParser(network, log)
    if not parser.parse_from_file(str(file)):
        reason = parser.get_error(0).desc() if parser.num_errors else log.last
        raise BadInput(f"{model.name} cannot be read by TensorRT ({reason.rstrip('.')}): restore or choose the file.")
    return network, parser


def states(network: Any, precision: str) -> bool:
    """Whether a network's own types are those of the precision."""
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    if precision in ("int8", "fp8"):
        return any(layer.type in (tensorrt.LayerType.QUANTIZE, tensorrt.LayerType.DEQUANTIZE) for layer in layers)
    if precision in ("fp16", "bf16"):
        wanted = tensorrt.float16 if precision == "fp16" else tensorrt.bfloat16
        return any(layer.get_output(n).dtype == wanted for layer in layers for n in range(layer.num_outputs))
    return strongly_typed_only()


def _profiles(builder: Any, network: Any, recipe: Recipe, name: str) -> Iterator[Any]:
    """One profile for each range of batches; none where no axis is open."""
    inputs = [network.get_input(number) for number in range(network.num_inputs)]
    shapes = {tensor.name: tuple(tensor.shape) for tensor in inputs}
    if any(tensor.is_shape_tensor for tensor in inputs) or not all(shapes.values()):
        raise BadInput(
            f"{name} has an input without a batch axis, which TensorRT takes from the host: fix it in the file."
        )
    if any(size < 0 for shape in shapes.values() for size in shape[1:]) and recipe.axes is None:
        raise BadInput(f"{name} has open axes beside the batch: give their range, such as --option axes=1:128:384.")
    if not any(size < 0 for shape in shapes.values() for size in shape):
        return
    for batches in recipe.profiles:
        profile = builder.create_optimization_profile()
        for tensor, shape in shapes.items():
            profile.set_shape(tensor, *(_closed(shape, batches[at], (recipe.axes or batches)[at]) for at in range(3)))
        yield profile


def _closed(shape: tuple[int, ...], batch: int, axis: int) -> tuple[int, ...]:
    """A shape with its open axes filled in."""
    return (batch if shape[0] < 0 else shape[0], *(axis if size < 0 else size for size in shape[1:]))


def _given(calibration: Calibration | None) -> Calibration:
    if calibration is None:
        raise BadInput(
            "int8 of backend tensorrt needs the task's calibration set, or a file with Q/DQ pairs: name one."
        )
    return calibration


def _converted(
    model: Path, precision: str, target: Path, names: Sequence[str], calibration: Calibration | None
) -> Path:
    """The ONNX file with the precision in it, by ModelOpt."""
    try:
        if precision == "int8":
            data = [named(batch, names) for batch in _given(calibration)()]
            modelopt = importlib.import_module("modelopt.onnx.quantization")
            modelopt.quantize(
                str(model),
                quantize_mode="int8",
                calibration_data={name: np.concatenate([batch[name] for batch in data]) for name in names},
                calibration_method="entropy",
                calibration_eps=["cpu"],
                output_path=str(target),
            )
        else:
            autocast = importlib.import_module("modelopt.onnx.autocast")
            changed = autocast.convert_to_mixed_precision(
                onnx_path=str(model), low_precision_type=precision, keep_io_types=True
            )
            target.write_bytes(changed.SerializeToString())
    except ModuleNotFoundError as error:
        raise MissingDependency(f"{precision} with TensorRT {tensorrt.__version__}", MODELOPT) from error
    return target


def named(batch: Batch, names: Sequence[str]) -> Batch:
    """A batch by the model's names of its inputs; one array goes to the only input whatever it is called."""
    if len(names) == len(batch) == 1:
        return dict(zip(names, batch.values(), strict=True))
    if set(names) - set(batch):
        raise BadInput(f"the model wants inputs {', '.join(names)}, not {', '.join(batch)}: name them in collate().")
    return batch


@contextmanager
def _calibrated(
    parts: tuple[Any, Any, Any], recipe: Recipe, calibration: Calibration | None, cuda: Cuda
) -> Iterator[None]:
    """Let the builder ask for the calibration set; it asks for batches of one size, that of the first."""
    builder, network, config = parts
    batches = _given(calibration)
    first = next(iter(batches()), None)
    if first is None:
        raise BadInput("the task's calibration set is empty: choose a file with Q/DQ pairs.")
    rows = rows_of(first)
    alike = replace(recipe, profiles=((rows, rows, rows),))
    for profile in _profiles(builder, network, alike, "the model"):
        config.set_calibration_profile(profile)
    uploads = Uploads(batches(), rows, cuda)
    config.int8_calibrator = asked = entropy(uploads, rows)
    try:
        yield
    finally:
        uploads.close()
    if asked.error:
        raise asked.error


class Uploads:
    """Batches of one size on the device, one at a time."""

    def __init__(self, batches: Iterable[Batch], rows: int, cuda: Cuda) -> None:
        """Nothing is uploaded yet."""
        self._batches, self._rows, self._cuda = iter(batches), rows, cuda
        self._memory: dict[str, int] = {}

    def next(self, names: Sequence[str]) -> list[int] | None:
        """The addresses of the next batch's inputs; nothing after the last."""
        batch = next(self._batches, None)
        if batch is None or rows_of(batch) != self._rows:
            return None
        given = named(batch, names)
        return [self._uploaded(name, np.ascontiguousarray(given[name])) for name in names]

    def close(self) -> None:
        """Give the memory back."""
        for memory in self._memory.values():
            self._cuda.free(memory)

    def _uploaded(self, name: str, array: np.ndarray) -> int:
        if name not in self._memory:
            self._memory[name] = self._cuda.memory(array.nbytes)
        stream = self._cuda.stream()
        self._cuda.copy(self._memory[name], array, stream)
        self._cuda.synchronize(stream)
        self._cuda.destroy(stream)
        return self._memory[name]


def entropy(uploads: Uploads, rows: int) -> Any:
    """TensorRT's entropy calibrator over these batches; its class exists in TensorRT 10 only."""

    class Entropy(tensorrt.IInt8EntropyCalibrator2):
        """Keeps the error of a batch, which TensorRT would only print."""

        def __init__(self) -> None:
            tensorrt.IInt8EntropyCalibrator2.__init__(self)
            self.error: Exception | None = None

        def get_batch_size(self) -> int:
            return rows

        def get_batch(self, names: list[str]) -> list[int] | None:
            try:
                return uploads.next(names)
            except Exception as error:
                self.error = error
                return None

        def read_calibration_cache(self) -> bytes | None:
            return None

        def write_calibration_cache(self, cache: Any) -> None:
            """Nothing: the engine itself is kept."""

    return Entropy()
