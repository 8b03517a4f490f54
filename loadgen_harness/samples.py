"""The per-sample record `samples.npy`: one row per sample, collected per batch off the hot path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

DTYPE = np.dtype(
    [
        ("id", "<u8"),  # LoadGen's response id
        ("index", "<i8"),  # sample index in the query sample library
        ("scheduled", "<i8"),  # monotonic ns at which LoadGen meant to hand the query over; 0: the driver cannot know
        ("issued", "<i8"),  # LoadGen handed it over
        ("dequeued", "<i8"),  # taken into a batch
        ("started", "<i8"),  # the batch was full or its deadline came: compute begins
        ("computed", "<i8"),  # the response was ready, in the replica where there is one
        ("first_token", "<i8"),  # 0 where the benchmark does not stream
        ("done", "<i8"),  # completion reported to LoadGen
        ("tokens", "<i4"),  # output tokens, 0 where the benchmark does not stream
        ("batch", "<i4"),  # samples in the batch
    ]
)
_NEW = ("scheduled", "computed")
FORMAT_1 = np.dtype([(name, DTYPE[name].str) for name in DTYPE.names or () if name not in _NEW])
LIMIT = 50_000_000  # rows; past that recording stops (4 GB) and run.json says how many were left out


# One batch as the hot path leaves it, references only: ids, indices, when issued (all at once, or each), dequeued,
# started, computed, done, first token, tokens. A plain tuple is made in a fifth of the time that a named one takes.
Batch = tuple[Sequence[int], Sequence[int], Sequence[int] | int, int, int, int, int, int, int]
TIMES = ("dequeued", "started", "computed", "done", "first_token", "tokens")  # its numbers from the fourth on


class Recorder:
    """Collects batches during a run; `list.append` is atomic, so several threads may share one."""

    def __init__(self, limit: int = LIMIT) -> None:
        """Keep at most `limit` rows."""
        self._batches: list[Batch] = []
        self._room = limit
        self.left_out = 0

    def add(self, batch: Batch) -> None:
        """Note one finished batch."""
        count = len(batch[0])
        if self._room >= count:
            self._room -= count
            self._batches.append(batch)
        else:
            self.left_out += count

    def table(self) -> np.ndarray:
        """All rows as a structured array of DTYPE, in order of completion."""
        sizes = np.array([len(batch[0]) for batch in self._batches], dtype=np.int64)
        rows = np.zeros(int(sizes.sum()), dtype=DTYPE)
        if not len(rows):
            return rows
        rows["id"] = np.fromiter(chain.from_iterable(batch[0] for batch in self._batches), np.uint64, len(rows))
        rows["index"] = np.fromiter(chain.from_iterable(batch[1] for batch in self._batches), np.int64, len(rows))
        rows["issued"] = np.fromiter(chain.from_iterable(map(_issued, self._batches)), np.int64, len(rows))
        for place, name in enumerate(TIMES, start=3):
            rows[name] = np.repeat(np.array([batch[place] for batch in self._batches], dtype=np.int64), sizes)
        rows["dequeued"] = np.maximum(rows["dequeued"], rows["issued"])  # it came while the batch was gathering
        rows["batch"] = np.repeat(sizes, sizes)
        return rows

    def save(self, path: Path) -> int:
        """Write samples.npy; returns how many rows were left out."""
        write(path, self.table())
        return self.left_out


def write(path: Path, table: np.ndarray) -> None:
    """A table as samples.npy, under a temporary name first."""
    temporary = path.with_suffix(".npy.partial")
    with temporary.open("wb") as file:
        np.save(file, table)
    os.replace(temporary, path)


def upgraded(table: np.ndarray) -> np.ndarray:
    """A table of FORMAT_1 as one of DTYPE: nothing scheduled, computed when done."""
    rows = np.zeros(len(table), dtype=DTYPE)
    for name in FORMAT_1.names or ():
        rows[name] = table[name]
    rows["computed"] = table["done"]
    return rows


def _issued(batch: Batch) -> Sequence[int]:
    return [batch[2]] * len(batch[0]) if isinstance(batch[2], int) else batch[2]
