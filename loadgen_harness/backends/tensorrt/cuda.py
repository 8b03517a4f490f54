"""The calls of the CUDA runtime that the tensorrt backend makes, and no others, through cuda-python.

Written to its documentation; never run on a GPU. Tests put a stand-in in its place, which moves bytes on the CPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from cuda.bindings import runtime

from loadgen_harness.errors import BadInput


class Cuda:
    """One device; addresses and handles are integers. Each thread calls `use` before anything else."""

    def __init__(self, number: int) -> None:
        """Raises BadInput where there is no such device."""
        error, count = runtime.cudaGetDeviceCount()
        if error != runtime.cudaError_t.cudaSuccess:
            reason = runtime.cudaGetErrorString(error)[1].decode()
            raise BadInput(f"no CUDA device can be used ({reason}): check the driver, or choose another --backend.")
        if number >= count:
            raise BadInput(f"there is no device cuda:{number}: choose cuda:0 to cuda:{count - 1}.")
        self._number = number
        self.use()
        about = _done(runtime.cudaGetDeviceProperties(number))
        self.name = about.name.decode() if isinstance(about.name, bytes) else str(about.name)
        self.capability = f"{about.major}.{about.minor}"

    def use(self) -> None:
        """Work on this device in the calling thread."""
        _done(runtime.cudaSetDevice(self._number))

    def used_bytes(self) -> int:
        """Memory of the device that is taken, by whomever."""
        free, total = _done(runtime.cudaMemGetInfo())
        return int(total) - int(free)

    def memory(self, size: int) -> int:
        """The address of device memory."""
        return int(_done(runtime.cudaMalloc(max(size, 1))))

    def pinned(self, size: int) -> np.ndarray:
        """Page-locked host memory as bytes; free it by the address that it begins at."""
        address = int(_done(runtime.cudaMallocHost(max(size, 1))))
        view = (ctypes.c_ubyte * max(size, 1)).from_address(address)
        return np.ctypeslib.as_array(view)

    def free(self, memory: int | np.ndarray) -> None:
        """Give memory back, of the device or of the host."""
        if isinstance(memory, int):
            _done(runtime.cudaFree(memory))
        else:
            _done(runtime.cudaFreeHost(memory.ctypes.data))

    def stream(self) -> int:
        """A queue of work that does not wait for the default one."""
        return int(_done(runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking)))

    def copy(self, target: int | np.ndarray, source: int | np.ndarray, stream: int) -> None:
        """Queue a copy between an array of the host and the device's memory, as long as the array."""
        if isinstance(target, int):
            array, kind = source, runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        else:
            array, kind = target, runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        ends = [end if isinstance(end, int) else end.ctypes.data for end in (target, source)]
        _done(runtime.cudaMemcpyAsync(*ends, array.nbytes, kind, stream))  # type: ignore[union-attr]

    def synchronize(self, stream: int) -> None:
        """Wait for everything queued."""
        _done(runtime.cudaStreamSynchronize(stream))

    def capture(self, stream: int, call: Callable[[], None]) -> Any:
        """What `call` queues on the stream as a graph to launch; nothing is computed."""
        _done(runtime.cudaStreamBeginCapture(stream, runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal))
        try:
            call()
        finally:
            graph = _done(runtime.cudaStreamEndCapture(stream))
        try:
            return _done(runtime.cudaGraphInstantiate(graph, 0))
        finally:
            _done(runtime.cudaGraphDestroy(graph))

    def launch(self, graph: Any, stream: int) -> None:
        """Queue a graph."""
        _done(runtime.cudaGraphLaunch(graph, stream))

    def destroy(self, handle: Any) -> None:
        """Give a stream (an integer) or a graph back."""
        _done(runtime.cudaStreamDestroy(handle) if isinstance(handle, int) else runtime.cudaGraphExecDestroy(handle))


def _done(answer: tuple[Any, ...]) -> Any:
    """What a call returned beside its error; raises RuntimeError for one."""
    error, *results = answer
    if error != runtime.cudaError_t.cudaSuccess:
        raise RuntimeError(f"CUDA: {runtime.cudaGetErrorString(error)[1].decode()}")
    return results[0] if len(results) == 1 else tuple(results)
