"""Where replicas of a backend live, one module each; each defines WORKER."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

RunBatch = Callable[[Sequence[int], Sequence[int], Sequence[int] | int, int], None]


@dataclass(frozen=True)
class Batching:
    """Dynamic batching: a batch goes when it holds `max_batch` samples or its oldest has waited `max_wait_ns`."""

    max_batch: int = 1
    max_wait_ns: int = 0
    threads: int = 1
