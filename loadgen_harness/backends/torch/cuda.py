"""The calls to a CUDA device that the backend makes, and no others: streams, events, memory, graphs.

Written to PyTorch's documentation; never run on a GPU. Tests put a stand-in in its place, which computes on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

WARM_UPS = 3  # before a capture, as PyTorch's documentation asks: libraries choose kernels and take memory then

Call = Callable[[], Sequence[torch.Tensor]]


class Cuda:
    """One device; what is called inside `with on(stream)` is queued on that stream."""

    def __init__(self, number: int) -> None:
        """Take note of the memory in use from now on."""
        self.device = torch.device("cuda", number)
        self._pool: Any = None
        torch.cuda.reset_peak_memory_stats(self.device)

    def stream(self) -> Any:
        """A new queue of work."""
        return torch.cuda.Stream(self.device)

    def event(self) -> Any:
        """A mark in a queue, to `record` there, to `wait` for in another, to `synchronize` with the calling thread.

        Recording and waiting concern the stream of `on`; a mark that was never recorded keeps nobody waiting.
        """
        return torch.cuda.Event()

    def buffer(self, shape: Sequence[int], dtype: torch.dtype, where: str) -> torch.Tensor:
        """Memory on the "device", or on the host: "pinned" for copies that do not block, or "pageable"."""
        if where == "device":
            return torch.empty(tuple(shape), dtype=dtype, device=self.device)
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=where == "pinned")

    def on(self, stream: Any) -> AbstractContextManager[Any]:
        """Queue on this stream."""
        context: AbstractContextManager[Any] = torch.cuda.stream(stream)
        return context

    def copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        """Queue a copy."""
        target.copy_(source, non_blocking=True)

    def run(self, call: Call) -> Sequence[torch.Tensor]:
        """Queue what a call computes."""
        return call()

    def capture(self, call: Call) -> tuple[Call, Sequence[torch.Tensor]]:
        """What replays `call` on the memory that it reads and writes now, and its outputs.

        All graphs share one pool: their outputs stay allocated, and no two replay at the same time.
        """
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                call()
        torch.cuda.current_stream(self.device).wait_stream(side)
        torch.cuda.synchronize(self.device)
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.graph(graph, pool=self._pool):
            outputs = call()

        def replay() -> Sequence[torch.Tensor]:
            graph.replay()
            return outputs

        return replay, outputs

    def peak_bytes(self) -> int:
        """The most device memory that PyTorch held at once since this object was made."""
        return int(torch.cuda.max_memory_reserved(self.device))

    def release(self) -> None:
        """Finish all work and give unused memory back."""
        torch.cuda.synchronize(self.device)
        self._pool = None
        torch.cuda.empty_cache()
