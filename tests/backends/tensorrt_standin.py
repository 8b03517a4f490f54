"""Stand-ins for the CUDA runtime and for the modules `tensorrt` 10 and 11: they compute little but insist on the rules.

A "model" is JSON: shapes of inputs (-1: open), types of layers; its outputs are twice the first input and its sums.
Device memory is a table of bytes by address, streams run only when somebody waits, and what the documentation of
TensorRT demands before a call is checked: profiles, shapes, addresses, scratch memory, one run before a capture.
"""

from __future__ import annotations

import enum
import functools
import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


class Gpu:
    """One device's memory and queues; the object that a test looks at."""

    def __init__(self, name: str = "NVIDIA Stand-in", capability: str = "9.0") -> None:
        self.name, self.capability = name, capability
        self.memory_table: dict[int, bytearray] = {}
        self.queues: dict[int, list[Callable[[], None]]] = {}
        self.capturing: list[Callable[[], None]] | None = None
        self.builds: list[dict[str, Any]] = []
        self.launched, self.queued, self.captured, self.next = 0, 0, 0, 4096
        self.contexts = 0

    def read(self, address: int, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
        """A view of device memory; no byte beyond what was allocated there."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        assert size <= len(self.memory_table[address])
        return np.frombuffer(self.memory_table[address], dtype, int(np.prod(shape))).reshape(shape)

    def enqueue(self, stream: int, work: Callable[[], None]) -> None:
        if self.capturing is not None:
            self.capturing.append(work)
        else:
            self.queues[stream].append(work)


class Cuda:
    """What `backends.tensorrt.cuda.Cuda` offers, on this device."""

    def __init__(self, gpu: Gpu, number: int) -> None:
        self._gpu, self.name, self.capability, self.number = gpu, gpu.name, gpu.capability, number

    def use(self) -> None: ...

    def used_bytes(self) -> int:
        return sum(map(len, self._gpu.memory_table.values()))

    def memory(self, size: int) -> int:
        self._gpu.next += 1 << 20
        self._gpu.memory_table[self._gpu.next] = bytearray(size)
        return self._gpu.next

    def pinned(self, size: int) -> np.ndarray:
        return np.full(size, 0xEE, np.uint8)

    def free(self, memory: int | np.ndarray) -> None:
        if isinstance(memory, int):
            del self._gpu.memory_table[memory]

    def stream(self) -> int:
        self._gpu.next += 1
        self._gpu.queues[self._gpu.next] = []
        return self._gpu.next

    def copy(self, target: Any, source: Any, stream: int) -> None:
        def move() -> None:
            if isinstance(target, int):
                self._gpu.read(target, np.uint8, (source.nbytes,)).data.cast("B")[:] = source.tobytes()
            else:
                target.reshape(-1)[:] = self._gpu.read(source, target.dtype, target.shape).reshape(-1)

        self._gpu.enqueue(stream, move)

    def synchronize(self, stream: int) -> None:
        work, self._gpu.queues[stream][:] = list(self._gpu.queues[stream]), []
        for each in work:
            each()

    def capture(self, stream: int, call: Callable[[], None]) -> tuple[Callable[[], None], ...]:
        assert not self._gpu.queues[stream]
        self._gpu.capturing = []
        call()
        work, self._gpu.capturing = tuple(self._gpu.capturing), None
        self._gpu.captured += 1
        return work

    def launch(self, graph: tuple[Callable[[], None], ...], stream: int) -> None:
        self._gpu.launched += 1
        self._gpu.queues[stream].extend(graph)

    def destroy(self, handle: Any) -> None:
        if isinstance(handle, int):
            assert not self._gpu.queues.pop(handle)


class Kind(enum.Enum):
    """TensorRT's DataType."""

    FLOAT, HALF, BF16, INT32 = range(4)


class LayerType(enum.Enum):
    CONVOLUTION, QUANTIZE, DEQUANTIZE = range(3)


class TensorIOMode(enum.Enum):
    NONE, INPUT, OUTPUT = range(3)


class Strategy(enum.Enum):
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


class Severity(enum.IntEnum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    ERROR, INTERNAL_ERROR = Severity.ERROR, Severity.INTERNAL_ERROR


class Tensor:
    def __init__(self, name: str, shape: list[int], dtype: Kind) -> None:
        self.name, self.shape, self.dtype, self.is_shape_tensor = name, tuple(shape), dtype, False


class Layer:
    num_outputs = 1

    def __init__(self, kind: str, dtype: Kind) -> None:
        self.type, self._output = LayerType[kind], Tensor("hidden", [-1], dtype)

    def get_output(self, index: int) -> Tensor:
        return self._output


class Network:
    def __init__(self, flags: int) -> None:
        self.flags, self.about = flags, {}

    num_layers = property(lambda self: len(self.about["layers"]))
    num_inputs = property(lambda self: len(self.about["inputs"]))

    def get_layer(self, index: int) -> Layer:
        return Layer(self.about["layers"][index], Kind[self.about.get("type", "FLOAT")])

    def get_input(self, index: int) -> Tensor:
        name = list(self.about["inputs"])[index]
        return Tensor(name, self.about["inputs"][name], Kind.FLOAT)


class OnnxParser:
    def __init__(self, network: Network, log: ILogger) -> None:
        self._network, self._errors = network, []

    num_errors = property(lambda self: len(self._errors))

    def get_error(self, index: int) -> Any:
        return types.SimpleNamespace(desc=lambda: self._errors[index])

    def parse_from_file(self, path: str) -> bool:
        try:
            self._network.about = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError:
            self._errors.append("ModelProto could not be parsed.")
        return not self._errors


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, list[tuple[int, ...]]] = {}

    def set_shape(self, name: str, low: Any, best: Any, high: Any) -> None:
        for a, b, c in zip(low, best, high, strict=True):
            assert 0 <= a <= b <= c
        self.shapes[name] = [tuple(low), tuple(best), tuple(high)]


class TimingCache:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> bytes:
        return self.data + b"t"


class Config:
    """With the flags that its version has; TF32 is set by default."""

    def __init__(self, flags: Any) -> None:
        self.flags, self.profiles, self.cache = {flags.TF32}, [], None
        self.builder_optimization_level, self.calibration_profile, self.int8_calibrator = 3, None, None

    def set_flag(self, flag: Any) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag)

    def add_optimization_profile(self, profile: Profile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def set_calibration_profile(self, profile: Profile) -> bool:
        self.calibration_profile = profile
        return True

    def create_timing_cache(self, data: bytes) -> TimingCache:
        return TimingCache(data)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        if cache.data.strip(b"t"):
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> TimingCache:
        return self.cache


class Context:
    """Refuses to run before everything that the documentation asks for is set."""

    def __init__(self, engine: Any, gpu: Gpu) -> None:
        self._engine, self._gpu = engine, gpu
        self._profile: int | None = None
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.device_memory = 0
        self._ran: set[tuple[Any, ...]] = set()

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        assert stream in self._gpu.queues
        self._profile, self.shapes = index, {}
        return 0 <= index < self._engine.num_optimization_profiles

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        low, _, high = self._engine.get_tensor_profile_shape(name, self._profile)
        if len(low) != len(shape) or not all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True)):
            return False
        self.shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._engine.about["inputs"]:
            return self.shapes[name]
        first = next(iter(self.shapes.values()))
        return (-1,) if self._engine.about.get("open") else first if name == "double" else first[:1]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return address in self._gpu.memory_table

    def execute_async_v3(self, stream: int) -> bool:
        engine, key = self._engine, tuple(self.shapes.items())
        assert stream in self._gpu.queues and self._profile is not None
        assert self.shapes.keys() == engine.about["inputs"].keys(), "shapes are missing"
        assert len(self.addresses) == engine.num_io_tensors, "addresses are missing"
        assert len(self._gpu.memory_table[self.device_memory]) >= engine.device_memory_size_v2
        assert self._gpu.capturing is None or key in self._ran, "captured before it ran once"
        self._ran.add(key)
        self._gpu.queued += 1
        self._gpu.enqueue(stream, lambda shapes=dict(self.shapes): self._run(shapes))
        return True

    def _run(self, shapes: dict[str, tuple[int, ...]]) -> None:
        assert shapes == self.shapes, "a graph outlived the shapes of its context"
        name, shape = next(iter(shapes.items()))
        given = self._gpu.read(self.addresses[name], np.float32, shape)
        for output, values in {"double": given * 2, "sum": given.reshape(len(given), -1).sum(1)}.items():
            half = self._engine.about.get("outputs") == "BF16"
            raw = (values.view(np.uint32) >> 16).astype(np.uint16) if half else values
            self._gpu.read(self.addresses[output], raw.dtype, raw.shape).data.cast("B")[:] = raw.tobytes()


class Deserialised:
    device_memory_size_v2 = 64

    def __init__(self, plan: dict[str, Any], gpu: Gpu) -> None:
        self.about, self._profiles, self._gpu = plan["about"], plan["profiles"], gpu
        self._names = [*self.about["inputs"], "double", "sum"]

    num_io_tensors = property(lambda self: len(self._names))
    num_optimization_profiles = property(lambda self: max(len(self._profiles), 1))

    def get_tensor_name(self, index: int) -> str:
        return self._names[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.about["inputs"] else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        first = next(iter(self.about["inputs"].values()))
        return tuple(self.about["inputs"].get(name, first if name == "double" else first[:1]))

    def get_tensor_dtype(self, name: str) -> Kind:
        return Kind[self.about.get("outputs", "FLOAT")] if name not in self.about["inputs"] else Kind.FLOAT

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        fixed = tuple(self.about["inputs"][name])
        return [tuple(shape) for shape in self._profiles[profile][name]] if self._profiles else [fixed] * 3

    def create_execution_context(self, strategy: Strategy) -> Context:
        assert strategy is Strategy.USER_MANAGED
        self._gpu.contexts += 1
        return Context(self, self._gpu)


class Entropy2:
    """IInt8EntropyCalibrator2."""


class Builder:
    """Builds where the documentation allows it, else answers None and logs why."""

    def __init__(self, gpu: Gpu, version: str, flags: Any, log: Any) -> None:
        self._gpu, self._version, self._flags, self._log = gpu, version, flags, log

    def create_network(self, flags: int = 0) -> Network:
        return Network(flags)

    def create_builder_config(self) -> Config:
        return Config(self._flags)

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        about, flags = network.about, {flag.name for flag in config.flags}
        opened = any(size < 0 for shape in about["inputs"].values() for size in shape)
        if about.get("unsupported") or (network.flags and flags & {"FP16", "BF16", "INT8"}):
            self._log.log(Severity.ERROR, "[network] Could not find any implementation\nfor node.")
            return None
        assert bool(config.profiles) == opened
        calibrated = _calibrate(self._gpu, network, config) if config.int8_calibrator else []
        plan = {
            "about": about, "gpu": self._gpu.name, "version": self._version, "flags": sorted(flags),
            "profiles": [profile.shapes for profile in config.profiles],
            "strong": "FP16" not in self._flags.__members__ or bool(network.flags),
            "level": config.builder_optimization_level,
        }  # fmt: skip
        self._gpu.builds.append(plan | {"calibrated": calibrated, "timings": config.cache.data})
        return b"PLAN" + json.dumps(plan).encode()


class Runtime:
    """Takes plans of its own version and device."""

    def __init__(self, gpu: Gpu, version: str, log: Any) -> None:
        self._gpu, self._version, self._log = gpu, version, log

    def deserialize_cuda_engine(self, data: bytes) -> Deserialised | None:
        plan = json.loads(data[4:]) if data.startswith(b"PLAN") else {}
        if (plan.get("gpu"), plan.get("version")) != (self._gpu.name, self._version):
            self._log.log(Severity.ERROR, "Serialization assertion failed: version tag does not match.")
            return None
        return Deserialised(plan, self._gpu)


def module(gpu: Gpu, version: str) -> types.ModuleType:
    """What `import tensorrt` gives in this version."""
    major = int(version.split(".")[0])
    made = types.ModuleType("tensorrt")
    names = ["TF32", "REFIT", *(["FP16", "BF16", "INT8", "FP8"] if major < 11 else [])]
    made.BuilderFlag = enum.Enum("BuilderFlag", names)

    made.__version__ = version
    made.ILogger, made.OnnxParser = ILogger, OnnxParser
    made.Builder = functools.partial(Builder, gpu, version, made.BuilderFlag)
    made.Runtime = functools.partial(Runtime, gpu, version)
    made.LayerType, made.TensorIOMode, made.ExecutionContextAllocationStrategy = LayerType, TensorIOMode, Strategy
    made.NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", {"STRONGLY_TYPED": 1})
    made.float16, made.bfloat16 = Kind.HALF, Kind.BF16
    made.nptype = {Kind.FLOAT: np.float32, Kind.HALF: np.float16, Kind.INT32: np.int32}.__getitem__
    if major < 11:
        made.IInt8EntropyCalibrator2 = Entropy2
    return made


def _calibrate(gpu: Gpu, network: Network, config: Config) -> list[float]:
    """The sums of the calibration batches, as the builder finds them in device memory."""
    calibrator, names = config.int8_calibrator, list(network.about["inputs"])
    sums = []
    assert calibrator.read_calibration_cache() is None
    while addresses := calibrator.get_batch(names):
        shape = config.calibration_profile.shapes[names[0]][1]
        assert shape[0] == calibrator.get_batch_size()
        sums.append(float(gpu.read(addresses[0], np.float32, shape).sum()))
    calibrator.write_calibration_cache(b"scales")
    return sums
