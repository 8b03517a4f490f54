"""Inputs through system shared memory, for a server on the same machine; imports no framework."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from loadgen_harness.backends.triton.server import CallFailed

ALIGNED = 64  # bytes; where each tensor begins


class _Region:
    """One thread's region, as the client library and the server know it."""

    def __init__(self, name: str, handle: Any, size: int) -> None:
        self.name, self.handle, self.size = name, handle, size


class Regions:
    """A region per thread, made anew where a batch outgrows it."""

    def __init__(self, memory: Any, call: Callable[..., Any]) -> None:
        """`memory`: the client library's module for it; `call`: a Link's."""
        self._memory, self._call = memory, call
        self._own = threading.local()
        self._all: list[_Region] = []
        self._numbers = itertools.count()

    def fill(self, tensors: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
        """Copy the arrays into this thread's region and point the request's tensors there."""
        sizes = [array.nbytes for array in arrays]
        starts = list(itertools.accumulate((-(-size // ALIGNED) * ALIGNED for size in sizes), initial=0))
        region = self._region(max(starts[-1], ALIGNED))
        for tensor, array, start, size in zip(tensors, arrays, starts, sizes, strict=False):
            self._memory.set_shared_memory_region(region.handle, [array], offset=start)
            tensor.set_shared_memory(region.name, size, start)

    def close(self) -> None:
        """Take every region from the server and from this machine."""
        for region in self._all:
            self._drop(region)
        self._all = []

    def _region(self, size: int) -> _Region:
        old: _Region | None = getattr(self._own, "region", None)
        if old and old.size >= size:
            return old
        if old:
            self._all.remove(old)
            self._drop(old)
        name = f"lgh-{os.getpid()}-{id(self)}-{next(self._numbers)}"
        region = _Region(name, self._memory.create_shared_memory_region(name, f"/{name}", size), size)
        self._all.append(region)
        self._call("register_system_shared_memory", name, f"/{name}", size)
        self._own.region = region
        return region

    def _drop(self, region: _Region) -> None:
        try:
            self._call("unregister_system_shared_memory", region.name)
        except CallFailed:
            region.name = ""  # a server that is gone holds no region
        finally:
            self._memory.destroy_shared_memory_region(region.handle)
