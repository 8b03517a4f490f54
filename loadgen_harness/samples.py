"""The per-sample record `samples.npy`: one row per sample, collected per batch off the hot path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

DTYPE = np.dtype(
    [
        ("id", "<u8"),  # LoadGen's response id
        ("index", "<i8"),  # sample index in the query sample library
        ("issued", "<i8"),  # monotonic ns at which LoadGen handed the query over
        ("dequeued", "<i8"),  # taken by a worker
        ("started", "<i8"),  # the batch was full or its deadline came
        ("first_token", "<i8"),  # 0 where the benchmark does not stream
        ("done", "<i8"),  # completion reported to LoadGen
        ("tokens", "<i4"),  # output tokens, 0 where the benchmark does not stream
        ("batch", "<i4"),  # samples in the batch
    ]
)
LIMIT = 50_000_000  # rows; past that recording stops (2.8 GB) and run.json says how many were left out


class Batch(NamedTuple):
    """One batch as the hot path leaves it: references only, no per-sample work."""

    ids: Sequence[int]
    indices: Sequence[int]
    issued: Sequence[int] | int
    dequeued: int
    started: int
    done: int
    first_token: int = 0
    tokens: int = 0


class Recorder:
    """Collects batches during a run; `list.append` is atomic, so several workers may share one."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Keep at most `limit` rows."""
        self._batches: list[Batch] = []
        self._room = limit
        self.left_out = 0

    def add(self, batch: Batch) -> None:
        """Note one finished batch."""
        if self._room >= len(batch.ids):
            self._room -= len(batch.ids)
            self._batches.append(batch)
        else:
            self.left_out += len(batch.ids)

    def table(self) -> np.ndarray:
        """All rows as a structured array of DTYPE, in order of completion."""
        sizes = np.array([len(b.ids) for b in self._batches], dtype=np.int64)
        rows = np.zeros(int(sizes.sum()), dtype=DTYPE)
        if not len(rows):
            return rows
        rows["id"] = np.fromiter(chain.from_iterable(b.ids for b in self._batches), np.uint64, len(rows))
        rows["index"] = np.fromiter(chain.from_iterable(b.indices for b in self._batches), np.int64, len(rows))
        rows["issued"] = np.fromiter(chain.from_iterable(map(_issued, self._batches)), np.int64, len(rows))
        for name in ("dequeued", "started", "done", "first_token", "tokens"):
            rows[name] = np.repeat(np.array([getattr(b, name) for b in self._batches], dtype=np.int64), sizes)
        rows["dequeued"] = np.maximum(rows["dequeued"], rows["issued"])  # it came while the batch was gathering
        rows["batch"] = np.repeat(sizes, sizes)
        return rows

    def save(self, path: Path) -> None:
        """Write samples.npy under a temporary name, then rename."""
        temporary = path.with_suffix(".npy.partial")
        with temporary.open("wb") as file:
            np.save(file, self.table())
        os.replace(temporary, path)


def _issued(batch: Batch) -> Sequence[int]:
    return [batch.issued] * len(batch.ids) if isinstance(batch.issued, int) else batch.issued
