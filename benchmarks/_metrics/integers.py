"""Whole numbers in response bytes whose type the log does not name: the values tell it.

An id or a class is far below 2**24, so its float32 bits, or two int32 read as one int64, are far above: over a whole
log one type alone fits. A log that holds nothing but zeros is read as the widest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadgen_harness.errors import BadInput

LARGEST = 1 << 24  # up to which float32 holds every whole number
TOKENS = ("<i8", "<i4", "<f4")
CLASSES = ("<i8", "<i4", "<f4", "|u1")
LETTERS = ("<i8", "<i4", "<i2", "|i1")
VOXELS = ("<i8", "<f8", "<i4", "<f4", "<i2", "<f2", "|u1")


def integers(parts: Sequence[bytes], types: Sequence[str], *, largest: int = LARGEST) -> list[np.ndarray]:
    """Each part as numbers of 0 to `largest`, as the first type that suits all parts; raises BadInput for none."""
    joined = b"".join(parts)
    for name in types:
        size = np.dtype(name).itemsize
        if any(len(part) % size for part in parts):
            continue
        values = np.frombuffer(joined, name)
        if _whole(values, largest):
            ends = np.cumsum([len(part) // size for part in parts])
            return np.split(values.astype(np.int64), ends[:-1])
    wanted = ", ".join(np.dtype(name).name for name in types)
    raise BadInput(f"the responses are no whole numbers up to {largest} ({wanted}): is this the log of this benchmark?")


def single(parts: Sequence[bytes], types: Sequence[str], *, largest: int = LARGEST) -> np.ndarray:
    """One number per part; raises BadInput for parts of other lengths."""
    sizes = {len(part) for part in parts}
    fitting = [name for name in types if {np.dtype(name).itemsize} == sizes]
    if not fitting:
        raise BadInput(f"a response is not one number but {max(sizes, default=0)} bytes: is this this benchmark's log?")
    return np.concatenate(integers(parts, fitting, largest=largest))


def _whole(values: np.ndarray, largest: int) -> bool:
    if not len(values):
        return True
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        return False
    return bool(values.min() >= 0 and values.max() <= largest)
