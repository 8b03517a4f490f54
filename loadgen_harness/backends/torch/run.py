"""Calls a model, compiled or not, and counts what PyTorch compiled."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from loadgen_harness.backends import Batch
from loadgen_harness.backends._pieces import Piece, Pieces, joined, padded, resized, rows_of
from loadgen_harness.backends.torch.model import Adapted, quiet
from loadgen_harness.errors import BadInput

UNLIMITED = (32, 8, 1)  # sizes to warm up with where any may come: compilers treat few samples, and one, apart
LIMIT = 64  # variants compiled or captured of one model; PyTorch computes what comes after eagerly


class Compiled:
    """How a model is compiled, and how often that has happened."""

    def __init__(self, mode: str, fixed: bool, freezing: bool) -> None:
        """`fixed` sizes of batches or any; `freezing` folds weights into the code, which int8 kernels need."""
        with quiet():  # names of its own that the compiler's modules should no longer use
            importlib.import_module("torch._inductor.compile_fx")
            self._counters = importlib.import_module("torch._dynamo.utils").counters
        self._mode, self._freezing = mode, freezing
        # Packing weights of int8 kernels while compiling does not work on tensors of inference mode.
        self.context = torch.no_grad if freezing else torch.inference_mode
        self._fixed, self._base = fixed, (self._graphs(), self._breaks())

    def compile(self, module: Adapted) -> Any:
        """The compiled module; nothing is compiled before its first call."""
        dynamic = False if self._fixed else None
        call = torch.compile(module, dynamic=dynamic, mode=self._mode, recompile_limit=LIMIT, isolate_recompiles=True)
        return self._frozen(call) if self._freezing else call

    @staticmethod
    def _frozen(call: Any) -> Any:
        """A call with the compiler's setting; given as an option of torch.compile it does not reach all its parts."""

        seen: set[tuple[tuple[int, ...], ...]] = set()

        def frozen(*inputs: torch.Tensor, **named: torch.Tensor) -> Any:
            kind = tuple(tuple(tensor.shape) for tensor in (*inputs, *named.values()))
            if kind in seen:  # the setting takes as long as a small model's kernels
                return call(*inputs, **named)
            with torch._inductor.config.patch(freezing=True):
                outputs = call(*inputs, **named)
            seen.add(kind)
            return outputs

        return frozen

    def prepared(self, inputs: Sequence[torch.Tensor]) -> None:
        """Tell the compiler that the batch axis varies, where it does."""
        if not self._fixed:
            for tensor in inputs:
                torch._dynamo.maybe_mark_dynamic(tensor, 0)

    @property
    def graphs(self) -> int:
        """Graphs compiled so far."""
        return self._graphs() - self._base[0]

    @property
    def breaks(self) -> int:
        """Places where the compiler gave up and went on eagerly."""
        return self._breaks() - self._base[1]

    def _graphs(self) -> int:
        return int(self._counters["stats"]["unique_graphs"])

    def _breaks(self) -> int:
        return sum(self._counters["graph_break"].values())


class Forward:
    """A model with the sizes of batches it is prepared for."""

    def __init__(self, module: Adapted, pieces: Pieces, compiled: Compiled | None) -> None:
        """Nothing is computed yet."""
        self.pieces, self.compiled = pieces, compiled
        # The largest first, so that memory for it serves the others too; eager mode has nothing to prepare.
        self.sizes = pieces.buckets[::-1] or (UNLIMITED if compiled else (1,))
        self._call = compiled.compile(module) if compiled else module
        self.context = compiled.context if compiled else torch.inference_mode
        self.captured, self._mark = 0, 0

    def __call__(self, names: Sequence[str], inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The model's outputs; one input goes by position, several by name."""
        if self.compiled:
            self.compiled.prepared(inputs)
        if len(names) == 1:
            outputs: tuple[torch.Tensor, ...] = self._call(*inputs)
        else:
            outputs = self._call(**dict(zip(names, inputs, strict=True)))
        size = inputs[0].shape[0]
        if any(output.dim() == 0 or output.shape[0] != size for output in outputs):
            shapes = ", ".join(str(tuple(output.shape)) for output in outputs)
            raise BadInput(f"outputs must have the batch of {size} as their first axis, not be of shape {shapes}.")
        return outputs

    def prepared(self) -> None:
        """What is compiled or captured from now on is late."""
        self._mark = self._made()

    def count_as_late(self) -> None:
        """Nothing was compiled or captured in time."""
        self._mark = 0

    def account(self) -> dict[str, str]:
        """Counts, where there is anything to count."""
        breaks = self.compiled.breaks if self.compiled else 0
        late = self._made() - self._mark
        said = {"recompiled": str(late)} if late else {}
        fallbacks = []
        if breaks:
            said["graph_breaks"] = str(breaks)
            fallbacks.append(f"{breaks} breaks in the compiled graph: what lies there ran eagerly")
        if self._made() >= LIMIT:
            fallbacks.append(f"inputs of more than {LIMIT} kinds: the rest ran eagerly")
        return said | ({"fallback": "; ".join(fallbacks)} if fallbacks else {})

    def _made(self) -> int:
        return self.captured + (self.compiled.graphs if self.compiled else 0)


def tensors(batch: Batch, piece: Piece) -> list[torch.Tensor]:
    """A piece of a batch as tensors on the CPU, padded to its size."""
    return [torch.from_numpy(padded(array[piece.start : piece.stop], piece.size)) for array in batch.values()]


class HostPath:
    """Computes on the CPU, in the caller's thread."""

    def __init__(self, forward: Forward) -> None:
        """Nothing is computed yet."""
        self.forward = forward

    def __call__(self, batch: Batch) -> list[np.ndarray]:
        """The outputs of a batch of any size."""
        with self.forward.context():
            parts = [self._piece(batch, piece) for piece in self.forward.pieces.cut(rows_of(batch))]
        return list(joined(parts))

    def warm_up(self, batch: Batch) -> None:
        """Compile and run every size."""
        with quiet():  # remarks of the compiler on PyTorch's own code
            for size in self.forward.sizes:
                self(resized(batch, size))
        self.forward.prepared()

    def account(self) -> dict[str, str]:
        """What the model counts."""
        return self.forward.account()

    def close(self) -> None:
        """Drop the model and what was compiled of it."""
        if self.forward.compiled:
            torch._dynamo.reset()
        del self.forward

    def _piece(self, batch: Batch, piece: Piece) -> list[np.ndarray]:
        outputs = self.forward(list(batch), tensors(batch, piece))
        return [output[: piece.stop - piece.start].numpy() for output in outputs]
