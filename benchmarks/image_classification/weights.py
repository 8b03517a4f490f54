"""Reads the weights' file without PyTorch, for frameworks whose users need not have that.

The format is the one that torch.save wrote until 1.5: five pickles (magic number, protocol, system, tensors, the names
of their storages), then every storage's length (int64) and bytes. Nothing but tensors of float32 and int64 is admitted.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np

from loadgen_harness.errors import BadInput

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def tensors(file: Path) -> dict[str, np.ndarray]:
    """All tensors by name, C-contiguous; raises BadInput for a file of another kind."""
    try:
        with file.open("rb") as stream:
            views, storages = _views(stream)
            for name in _Tensors(stream).load():
                _fill(storages[name], stream)
    except (pickle.UnpicklingError, struct.error, EOFError, LookupError, TypeError, ValueError) as error:
        raise BadInput(f"{file.name} holds no weights as PyTorch 1.5 wrote them ({error}): fetch it anew.") from error
    return {name: np.array(view, order="C") for name, view in views.items()}


def _views(stream: IO[bytes]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The tensors, as views of storages that are still to be read, and the storages."""
    if [_Tensors(stream).load() for _ in range(2)] != [MAGIC, PROTOCOL]:
        raise ValueError("other magic number or protocol")
    if not _Tensors(stream).load()["little_endian"]:
        raise ValueError("big-endian")
    reader = _Tensors(stream)
    return reader.load(), reader.storages


def _fill(storage: np.ndarray, stream: IO[bytes]) -> None:
    (length,) = struct.unpack("<q", stream.read(8))
    data = stream.read(storage.nbytes)
    if length != len(storage) or len(data) != storage.nbytes:
        raise ValueError("a storage of another length")
    storage.view(np.uint8)[:] = np.frombuffer(data, np.uint8)


def _tensor(storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> np.ndarray:
    """torch._utils._rebuild_tensor_v2 for numpy; strides in elements."""
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or last >= len(storage):
        raise ValueError("a tensor reaches out of its storage")
    inner = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, inner)


ADMITTED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Tensors(pickle.Unpickler):
    """Unpickles tensors and refuses every other class."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        """One of the four names that such a file needs."""
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return ADMITTED[module, name]

    def persistent_load(self, identity: Any) -> np.ndarray:
        """The storage of this name, of zeros until it is read."""
        _, dtype, name, _, length, view = identity
        if view is not None:
            raise pickle.UnpicklingError("a storage is part of another")
        return self.storages.setdefault(name, np.zeros(length, dtype))
