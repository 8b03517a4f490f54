"""Inputs and outputs of ONNX Runtime bound to memory of the device, per batch size; CUDA graphs replay over them.

The binding itself runs on every provider; with CUDA and its graphs it was never run.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from loadgen_harness.backends import Batch

PLAIN = -1  # the graph id of a run that neither captures nor replays
MOST = 64  # batch sizes whose buffers are kept: the smallest memory that holds every size up to a usual --max-batch


class Place(NamedTuple):
    """Where the buffers lie, in ONNX Runtime's words."""

    device: str
    number: int


class _Buffers(NamedTuple):
    """A binding over fixed buffers, and the id of its graph."""

    binding: Any
    inputs: dict[str, Any]
    graph: int


class Bound:
    """Runs a session over bound buffers, which belong to one thread each; with graphs, one thread runs at all."""

    def __init__(self, session: Any, framework: Any, place: Place, *, graphs: bool) -> None:
        """`framework` is the module onnxruntime; with `graphs` each batch size is captured once."""
        self._session, self._framework, self._place, self._graphs = session, framework, place, graphs
        self._own = threading.local()
        self._captured = self.prepared = 0

    def run(self, batch: Batch) -> Sequence[np.ndarray]:
        """Copy in, run, copy out: the outputs are the caller's."""
        kept: dict[Any, _Buffers] = self._own.__dict__.setdefault("kept", {})
        key = tuple((name, array.shape) for name, array in batch.items())
        buffers = kept.get(key)
        if buffers is None:
            if len(kept) >= MOST:
                self._forget(kept)
            buffers = kept[key] = self._made(batch)
        else:
            for name, array in batch.items():
                buffers.inputs[name].update_inplace(np.ascontiguousarray(array))
        self._run(buffers.binding, buffers.graph)
        outputs: Sequence[np.ndarray] = [self._copied(each) for each in buffers.binding.get_outputs()]
        return outputs

    def _made(self, batch: Batch) -> _Buffers:
        """Buffers for batches of this size; the outputs' shapes are learnt from a run without a graph."""
        binding = self._session.io_binding()
        inputs = {name: self._value(np.ascontiguousarray(array)) for name, array in batch.items()}
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        names = [each.name for each in self._session.get_outputs()]
        for name in names:
            binding.bind_output(name, self._place.device, self._place.number)
        self._run(binding, PLAIN)
        for name, value in zip(names, binding.get_outputs(), strict=True):
            binding.bind_ortvalue_output(name, value)
        self.prepared += 1
        self._captured += self._graphs
        return _Buffers(binding, inputs, self._captured if self._graphs else PLAIN)

    def _value(self, array: np.ndarray) -> Any:
        return self._framework.OrtValue.ortvalue_from_numpy(array.copy(), self._place.device, self._place.number)

    def _copied(self, value: Any) -> np.ndarray:
        array: np.ndarray = value.numpy()
        return array.copy() if self._place.device == "cpu" else array

    def _run(self, binding: Any, graph: int) -> None:
        options = None
        if self._graphs:
            options = self._framework.RunOptions()
            options.add_run_config_entry("gpu_graph_id", str(graph))
        binding.synchronize_inputs()
        self._session.run_with_iobinding(binding, options)
        binding.synchronize_outputs()

    def _forget(self, kept: dict[Any, _Buffers]) -> None:
        oldest = next(iter(kept))
        if self._graphs:
            self._session.release_captured_graph(kept[oldest].graph)
        del kept[oldest]
