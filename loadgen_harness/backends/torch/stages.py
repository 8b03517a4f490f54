"""Batches through a CUDA device in three stages: upload, compute, download, each on a stream of its own.

While one piece of a batch computes, the next is uploaded and the last downloaded; two slots hold what is under way.
Graphs read and write memory of their own: a piece is copied into it on the device before a replay, and the next replay
waits until the outputs of the last were downloaded. Never run on a GPU: tests use a stand-in for the device.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from loadgen_harness.backends import Batch
from loadgen_harness.backends._pieces import Piece, joined, resized, rows_of
from loadgen_harness.backends.torch.cuda import Call, Cuda
from loadgen_harness.backends.torch.model import quiet
from loadgen_harness.backends.torch.run import LIMIT, Forward, tensors

SLOTS = 2

Tensors = Sequence[torch.Tensor]


@dataclass(frozen=True)
class Graph:
    """A captured model: its inputs and outputs stand where they were captured; `taken`: its outputs were downloaded."""

    inputs: Tensors
    outputs: Tensors
    replay: Call
    taken: Any


class Slot:
    """Memory and marks of one piece under way."""

    def __init__(self, device: Cuda, host: str) -> None:
        """`host`: the kind of staging memory, "pinned" or "pageable"."""
        self._device, self._host = device, host
        self._buffers: dict[tuple[Any, ...], torch.Tensor] = {}
        self.uploaded, self.computed, self.downloaded = (device.event() for _ in range(3))
        self.piece: Piece | None = None
        self.results: list[torch.Tensor] = []
        self.outputs: Tensors = ()  # kept until they are downloaded, or their memory would be given to others

    def like(self, tensors: Tensors, use: str) -> list[torch.Tensor]:
        """Memory of this slot shaped as these tensors, on the device for use "landing", else on the host."""
        where = "device" if use == "landing" else self._host
        return [self._buffer((use, number), tensor, where) for number, tensor in enumerate(tensors)]

    def _buffer(self, use: tuple[str, int], tensor: torch.Tensor, where: str) -> torch.Tensor:
        key = (*use, tensor.dtype, tuple(tensor.shape[1:]))
        have = self._buffers.get(key)
        if have is None or len(have) < len(tensor):
            have = self._buffers[key] = self._device.buffer(tensor.shape, tensor.dtype, where)
        return have[: len(tensor)]


class Lane:
    """The streams and slots of one thread."""

    def __init__(self, device: Cuda, host: str) -> None:
        """Nothing is under way."""
        self.upload, self.compute, self.download = (device.stream() for _ in range(3))
        self.slots = [Slot(device, host) for _ in range(SLOTS)]


class Stages:
    """Computes on a device; from several threads at once unless graphs are captured."""

    def __init__(self, forward: Forward, device: Cuda, *, graphs: bool, pinned: bool) -> None:
        """Nothing is computed yet."""
        self.forward, self._device, self._host = forward, device, "pinned" if pinned else "pageable"
        self._graphs: dict[tuple[Any, ...], Graph] | None = {} if graphs else None
        self._lanes = threading.local()
        self._peak = 0

    def __call__(self, batch: Batch) -> list[np.ndarray]:
        """The outputs of a batch of any size, copied out of the staging memory."""
        lane, names = self._lane(), list(batch)
        parts: list[list[np.ndarray]] = []
        pieces = self.forward.pieces.cut(rows_of(batch))
        with self.forward.context():
            for number, piece in enumerate(pieces):
                slot = lane.slots[number % SLOTS]
                self._finish(slot, parts)
                self._start(lane, slot, names, tensors(batch, piece))
                slot.piece = piece
            for number in range(len(pieces), len(pieces) + SLOTS):
                self._finish(lane.slots[number % SLOTS], parts)
        return list(joined(parts))

    def warm_up(self, batch: Batch) -> None:
        """Compile or capture every size, and run it."""
        with quiet():  # remarks of the compiler on PyTorch's own code
            for size in self.forward.sizes:
                self(resized(batch, size))
        self.forward.prepared()

    def account(self) -> dict[str, str]:
        """What the model counts, and the device's memory."""
        peak = self._peak or self._device.peak_bytes()
        said = self.forward.account() | {"device_peak_bytes": str(peak), "staging": self._host}
        return said | ({"graphs": str(len(self._graphs))} if self._graphs is not None else {})

    def close(self) -> None:
        """Drop graphs, memory and model."""
        self._peak = self._device.peak_bytes()
        self._graphs, self._lanes = None, threading.local()
        if self.forward.compiled:
            torch._dynamo.reset()
        del self.forward
        self._device.release()

    def _lane(self) -> Lane:
        lane: Lane | None = getattr(self._lanes, "lane", None)
        if lane is None:
            lane = self._lanes.lane = Lane(self._device, self._host)
        return lane

    def _start(self, lane: Lane, slot: Slot, names: Sequence[str], inputs: Tensors) -> None:
        """Queue a piece; the slot holds none, so nobody uses its memory, on the host or on the device."""
        device = self._device
        staged, landing = slot.like(inputs, "in"), slot.like(inputs, "landing")
        for target, source in zip(staged, inputs, strict=True):
            target.copy_(source)
        with device.on(lane.upload):
            for target, source in zip(landing, staged, strict=True):
                device.copy(target, source)
            slot.uploaded.record()
        with device.on(lane.compute):
            slot.uploaded.wait()
            graph = self._graph(names, landing)
            slot.outputs = self._compute(slot, names, landing, graph)
            slot.computed.record()
        slot.results = slot.like(slot.outputs, "out")
        with device.on(lane.download):
            slot.computed.wait()
            for target, source in zip(slot.results, slot.outputs, strict=True):
                device.copy(target, source)
            slot.downloaded.record()
            if graph:
                graph.taken.record()

    def _compute(self, slot: Slot, names: Sequence[str], landing: Tensors, graph: Graph | None) -> Tensors:
        device = self._device
        if graph is None:
            return device.run(lambda: self.forward(names, landing))
        graph.taken.wait()
        for target, source in zip(graph.inputs, landing, strict=True):
            device.copy(target, source)
        return device.run(graph.replay)

    def _graph(self, names: Sequence[str], landing: Tensors) -> Graph | None:
        """The graph for inputs of this kind, captured at first sight; none in other modes, or past the limit."""
        if self._graphs is None:
            return None
        kind = tuple((name, tuple(tensor.shape), tensor.dtype) for name, tensor in zip(names, landing, strict=True))
        if kind not in self._graphs and len(self._graphs) < LIMIT:
            inputs = [self._device.buffer(tensor.shape, tensor.dtype, "device") for tensor in landing]
            for target, source in zip(inputs, landing, strict=True):
                self._device.copy(target, source)
            replay, outputs = self._device.capture(lambda: self.forward(names, inputs))
            self._graphs[kind] = Graph(inputs, outputs, replay, self._device.event())
            self.forward.captured += 1
        return self._graphs.get(kind)

    def _finish(self, slot: Slot, parts: list[list[np.ndarray]]) -> None:
        """Wait for the piece in a slot and copy its outputs; the slot is free then."""
        if slot.piece is None:
            return
        slot.downloaded.synchronize()
        count = slot.piece.stop - slot.piece.start
        parts.append([result[:count].numpy().copy() for result in slot.results])
        slot.piece, slot.results, slot.outputs = None, [], ()
