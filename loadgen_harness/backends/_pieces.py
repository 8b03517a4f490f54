"""How a batch of any size becomes pieces of the sizes that a model is prepared for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from loadgen_harness.backends import Batch
from loadgen_harness.errors import BadInput


@dataclass(frozen=True)
class Piece:
    """Rows `start` to `stop` of a batch, computed as a batch of `size`."""

    start: int
    stop: int
    size: int


@dataclass(frozen=True)
class Pieces:
    """The sizes prepared for, in ascending order; none: a batch is one piece as it is.

    `exact`: a rest keeps its size where that is not smaller than the smallest.
    """

    buckets: tuple[int, ...]
    exact: bool = False

    def cut(self, rows: int) -> list[Piece]:
        """At least one piece, also of an empty batch: frameworks allow none, but its outputs have shapes."""
        if not self.buckets:
            return [Piece(0, rows, max(rows, 1))]
        largest = self.buckets[-1]
        whole = [Piece(start, start + largest, largest) for start in range(0, rows - largest, largest)]
        rest = rows - largest * len(whole)
        size = next(bucket for bucket in self.buckets if bucket >= rest)
        if self.exact:
            size = max(rest, self.buckets[0])
        return [*whole, Piece(rows - rest, rows, size)]


def parse_buckets(text: str, backend: str) -> tuple[int, ...]:
    """Sizes from "1,8,32"; raises BadInput for what is no list of positive numbers."""
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise BadInput(f"option buckets of backend {backend} must be sizes of batches such as 1,8,32, not {text!r}.")
    return tuple(sorted({int(part) for part in parts}))


def up_to(largest: int, step: int = 8) -> tuple[int, ...]:
    """1, 8, 64, … up to the largest batch of a run, which is one of them; 1, 8 and 32 where that is not known."""
    sizes = [1]
    while sizes[-1] * step < (largest or 32):
        sizes.append(sizes[-1] * step)
    return tuple(sorted({*sizes, largest or 32}))


def rows_of(batch: Batch) -> int:
    """The size of a batch; raises BadInput where its arrays do not agree on one."""
    sizes = {array.shape[0] if array.ndim else -1 for array in batch.values()}
    if len(sizes) != 1 or -1 in sizes:
        raise BadInput(f"a batch must hold arrays whose first axis is the batch, not {sizes or 'nothing'}.")
    return sizes.pop()


def resized(batch: Batch, size: int) -> dict[str, np.ndarray]:
    """A batch of `size` made of this one's rows."""
    count = max(rows_of(batch), 1)
    return {name: np.take(padded(array, count), np.arange(size) % count, axis=0) for name, array in batch.items()}


def padded(part: np.ndarray, size: int) -> np.ndarray:
    """Rows, writable and contiguous, padded by repeating the last one; a row of zeros where there is none.

    A repeated row is valid input, and leaves the value range that dynamic quantization sees as it was.
    """
    lacking = size - len(part)
    if lacking:
        filler = part[-1:] if len(part) else np.zeros((1, *part.shape[1:]), part.dtype)
        part = np.concatenate([part, np.repeat(filler, lacking, axis=0)])
    return np.require(part, requirements=["C", "W"])


def joined(parts: list[list[np.ndarray]]) -> Iterator[np.ndarray]:
    """The outputs of a batch from those of its pieces."""
    for each in zip(*parts, strict=True):
        yield each[0] if len(each) == 1 else np.concatenate(each)
