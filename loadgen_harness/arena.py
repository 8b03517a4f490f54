"""Samples in shared memory: written once by one process, mapped by others without a copy."""

from __future__ import annotations

import mmap
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ALIGNMENT = 64  # bytes; arrays begin where vector instructions like it


@dataclass(frozen=True)
class Extent:
    """Where one piece lies in an arena, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True)
class Layout:
    """What an arena holds: the objects' skeleton, then the arrays that it refers to."""

    skeleton: Extent
    buffers: tuple[Extent, ...]
    size: int


def pack(samples: Sequence[Any]) -> tuple[int, Layout]:
    """Write `samples` into anonymous shared memory; returns its file descriptor, which is the caller's, and the layout.

    Arrays are kept apart from the objects that hold them (pickle's out-of-band buffers), so that whoever maps the
    arena gets views of them.
    """
    buffers: list[pickle.PickleBuffer] = []
    skeleton = pickle.dumps(list(samples), protocol=5, buffer_callback=buffers.append)
    pieces = [memoryview(skeleton), *(buffer.raw() for buffer in buffers)]
    extents: list[Extent] = []
    end = 0
    for piece in pieces:
        extents.append(Extent(end, piece.nbytes))
        end += -(-piece.nbytes // ALIGNMENT) * ALIGNMENT
    layout = Layout(extents[0], tuple(extents[1:]), max(end, ALIGNMENT))
    fd = os.memfd_create("samples", os.MFD_CLOEXEC)
    os.ftruncate(fd, layout.size)
    with mmap.mmap(fd, layout.size) as target:
        for extent, piece in zip(extents, pieces, strict=True):
            target[extent.offset : extent.offset + extent.size] = piece
    return fd, layout


def unpack(fd: int, layout: Layout) -> list[Any]:
    """The samples of an arena as views of it; what a process writes into them it alone sees. Closes `fd`."""
    try:
        source = memoryview(mmap.mmap(fd, layout.size, access=mmap.ACCESS_COPY))
    finally:
        os.close(fd)
    cut = [source[extent.offset : extent.offset + extent.size] for extent in (layout.skeleton, *layout.buffers)]
    samples: list[Any] = pickle.loads(cut[0], buffers=cut[1:])
    return samples
