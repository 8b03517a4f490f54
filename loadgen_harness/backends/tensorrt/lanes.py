"""Engines in use: execution contexts with a stream and memory of their own; never run on real TensorRT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorrt

from loadgen_harness.backends._pieces import Piece
from loadgen_harness.backends.tensorrt.build import Log
from loadgen_harness.backends.tensorrt.cuda import Cuda
from loadgen_harness.errors import BadInput

LIMIT = 64  # graphs of a lane; other shapes are queued kernel by kernel

Kind = tuple[int, tuple[tuple[int, ...], ...]]  # profile, shapes of the inputs


@dataclass(frozen=True)
class Port:
    """An input or output: open axes are -1; `raw` is the type of its bytes, bfloat16 as uint16."""

    name: str
    shape: tuple[int, ...]
    raw: np.dtype[Any]
    bf16: bool

    def encoded(self, array: np.ndarray) -> np.ndarray:
        """An array as the engine wants its bytes."""
        if not self.bf16:
            return np.ascontiguousarray(array, self.raw)
        bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)  # to the nearest, ties to even

    def decoded(self, array: np.ndarray) -> np.ndarray:
        """A copy of an output; half-precision numbers as fp32."""
        if self.bf16:
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array.astype(np.float32 if array.dtype == np.float16 else array.dtype)


class Loaded:
    """A deserialised engine and what it says of itself."""

    def __init__(self, data: bytes, log: Log) -> None:
        """Raises ValueError for bytes that this TensorRT cannot use on this device."""
        self.runtime = tensorrt.Runtime(log)
        self.engine = self.runtime.deserialize_cuda_engine(data)
        if self.engine is None:
            raise ValueError(log.last)
        names = [self.engine.get_tensor_name(number) for number in range(self.engine.num_io_tensors)]
        modes = {name: self.engine.get_tensor_mode(name) for name in names}
        self.inputs = [self._port(name) for name in names if modes[name] == tensorrt.TensorIOMode.INPUT]
        self.outputs = [self._port(name) for name in names if modes[name] == tensorrt.TensorIOMode.OUTPUT]
        self.batches = [self._batches(profile) for profile in range(self.engine.num_optimization_profiles)]

    @property
    def largest(self) -> int:
        """The largest batch of any profile."""
        return max(batches[-1] for batches in self.batches)

    def profile(self, batch: int) -> int:
        """The narrowest profile for batches of this size."""
        fitting = [n for n, (least, _, most) in enumerate(self.batches) if least <= batch <= most]
        if not fitting:
            raise BadInput(f"no profile of the engine covers a batch of {batch}: build one with --option profiles.")
        return min(fitting, key=lambda n: self.batches[n][-1] - self.batches[n][0])

    def most(self, port: Port, profile: int) -> tuple[int, ...]:
        """The largest shape of an input."""
        if min(port.shape, default=0) >= 0:
            return port.shape
        return tuple(self.engine.get_tensor_profile_shape(port.name, profile)[-1])

    def _batches(self, profile: int) -> tuple[int, int, int]:
        first = self.inputs[0]
        if first.shape[0] >= 0:
            return first.shape[0], first.shape[0], first.shape[0]
        least, best, most = (shape[0] for shape in self.engine.get_tensor_profile_shape(first.name, profile))
        return least, best, most

    def _port(self, name: str) -> Port:
        kind, shape = self.engine.get_tensor_dtype(name), tuple(self.engine.get_tensor_shape(name))
        if kind == tensorrt.bfloat16:
            return Port(name, shape, np.dtype(np.uint16), True)
        try:
            return Port(name, shape, np.dtype(tensorrt.nptype(kind)), False)
        except TypeError as error:
            raise BadInput(
                f"{name} of the engine is of type {kind}, which numpy has not: cast it in the file."
            ) from error


class Lane:
    """One batch at a time: a stream, memory for the largest batch, contexts and graphs."""

    def __init__(self, loaded: Loaded, cuda: Cuda, *, graphs: bool) -> None:
        """Take memory for the largest shapes; with `graphs` a context for each shape, as a graph keeps it busy."""
        self._loaded, self._cuda, self._graphed = loaded, cuda, graphs
        self._stream = cuda.stream()
        self._scratch = cuda.memory(loaded.engine.device_memory_size_v2)
        self._memory: dict[str, tuple[int, np.ndarray]] = {}
        self._contexts: dict[Any, Any] = {}
        self._shapes: dict[Any, Kind] = {}  # of each context, as last set
        self.graphs: dict[Kind, Any] = {}
        self._piece: Piece | None = None
        self._results: list[np.ndarray] = []
        for profile in range(len(loaded.batches)):
            self._reserve(profile)

    def start(self, piece: Piece, arrays: Mapping[str, np.ndarray]) -> None:
        """Queue a piece whose inputs are padded to its size."""
        loaded, cuda = self._loaded, self._cuda
        cuda.use()
        inputs = [port.encoded(arrays[port.name]) for port in loaded.inputs]
        kind = (loaded.profile(piece.size), tuple(array.shape for array in inputs))
        for port, array in zip(loaded.inputs, inputs, strict=True):
            staged = self._host(port, array.shape)
            np.copyto(staged, array)
            cuda.copy(self._memory[port.name][0], staged, self._stream)
        context = self._compute(kind)
        self._results = [self._host(port, tuple(context.get_tensor_shape(port.name))) for port in loaded.outputs]
        for port, staged in zip(loaded.outputs, self._results, strict=True):
            cuda.copy(staged, self._memory[port.name][0], self._stream)
        self._piece = piece

    def finish(self) -> list[np.ndarray] | None:
        """The outputs of the piece under way, copied out of the staging memory; nothing where there is none."""
        if self._piece is None:
            return None
        self._cuda.synchronize(self._stream)
        rows, self._piece = self._piece.stop - self._piece.start, None
        found = zip(self._loaded.outputs, self._results, strict=True)
        return [np.ascontiguousarray(port.decoded(result[:rows])) for port, result in found]

    def forget(self) -> None:
        """What is under way, after an error, is not for the next batch."""
        self._piece = None

    def close(self) -> None:
        """Give everything back."""
        self._cuda.use()
        self._cuda.synchronize(self._stream)
        for graph in self.graphs.values():
            self._cuda.destroy(graph)
        self.graphs, self._contexts, self._results = {}, {}, []
        for device, host in self._memory.values():
            self._cuda.free(device)
            self._cuda.free(host)
        self._cuda.free(self._scratch)
        self._cuda.destroy(self._stream)

    def _compute(self, kind: Kind) -> Any:
        """Queue the engine's work; after the first time of a kind as a graph."""
        owner = kind if (self._graphed and len(self.graphs) < LIMIT) or kind in self.graphs else kind[0]
        context = self._contexts.get(owner) or self._context(owner, kind[0])
        if self._shapes.get(owner) != kind:
            self._set(context, kind)
            self._shapes[owner] = kind
        if kind in self.graphs:
            self._cuda.launch(self.graphs[kind], self._stream)
        else:
            self._queue(context)
            if owner == kind:  # TensorRT wants a kind queued once before it is captured
                self._cuda.synchronize(self._stream)
                self.graphs[kind] = self._cuda.capture(self._stream, lambda: self._queue(context))
        return context

    def _queue(self, context: Any) -> None:
        if not context.execute_async_v3(self._stream):
            raise RuntimeError("TensorRT could not queue the engine's work")

    def _context(self, owner: Any, profile: int) -> Any:
        """A context that shares this lane's scratch memory with the others."""
        strategy = tensorrt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self._loaded.engine.create_execution_context(strategy)
        if context is None or not context.set_optimization_profile_async(profile, self._stream):
            raise RuntimeError("TensorRT gives no execution context")
        self._cuda.synchronize(self._stream)
        context.device_memory = self._scratch
        for name, (address, _) in self._memory.items():
            if not context.set_tensor_address(name, address):
                raise RuntimeError(f"TensorRT refuses the memory of {name}")
        self._contexts[owner] = context
        return context

    def _set(self, context: Any, kind: Kind) -> None:
        for port, shape in zip(self._loaded.inputs, kind[1], strict=True):
            if not context.set_input_shape(port.name, shape):
                raise BadInput(f"the engine takes no {port.name} of shape {shape}: build it for that shape.")

    def _reserve(self, profile: int) -> None:
        """Memory that holds the largest shapes of a profile."""
        loaded = self._loaded
        context = loaded.engine.create_execution_context(tensorrt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None or not context.set_optimization_profile_async(profile, self._stream):
            raise RuntimeError("TensorRT gives no execution context")
        self._cuda.synchronize(self._stream)
        self._set(context, (profile, tuple(loaded.most(port, profile) for port in loaded.inputs)))
        for port in (*loaded.inputs, *loaded.outputs):
            shape = tuple(context.get_tensor_shape(port.name))
            if min(shape, default=0) < 0:
                raise BadInput(f"the size of output {port.name} is known only after computing: fix it in the file.")
            self._grow(port, int(np.prod(shape)) * port.raw.itemsize)

    def _grow(self, port: Port, size: int) -> None:
        have = self._memory.get(port.name)
        if have is None or have[1].nbytes < size:
            for memory in have or ():
                self._cuda.free(memory)
            self._memory[port.name] = (self._cuda.memory(size), self._cuda.pinned(size))

    def _host(self, port: Port, shape: Sequence[int]) -> np.ndarray:
        """The staging memory of a tensor, in this shape."""
        size = int(np.prod(shape)) * port.raw.itemsize
        return self._memory[port.name][1][:size].view(port.raw).reshape(tuple(shape))
