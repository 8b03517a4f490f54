"""Samples that cross to another process without a copy, whatever they are made of."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from loadgen_harness.arena import pack, unpack

ARRAYS = arrays.arrays(
    dtype=st.sampled_from([np.float32, np.int64, np.uint8, np.float16, np.bool_]),
    shape=arrays.array_shapes(min_dims=0, max_dims=3, min_side=0),
)
SAMPLES = st.one_of(
    ARRAYS, st.text(), st.dictionaries(st.text(max_size=3), ARRAYS, max_size=3), st.lists(st.integers())
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return set(one) == set(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return bool(one == other)


@settings(max_examples=25, deadline=None)
@given(st.lists(SAMPLES, max_size=5))
def test_what_goes_in_comes_out(samples: list[Any]) -> None:
    fd, layout = pack(samples)
    found = unpack(fd, layout)
    assert len(found) == len(samples)
    assert all(map(same, samples, found))


def test_arrays_are_views_that_a_process_may_write_for_itself() -> None:
    fd, layout = pack([np.arange(1000), np.arange(1000)])
    other = os.dup(fd)
    first, second = unpack(fd, layout), unpack(other, layout)
    assert not first[0].flags.owndata
    first[0][0] = 7
    assert (first[0][0], second[0][0]) == (7, 0)
