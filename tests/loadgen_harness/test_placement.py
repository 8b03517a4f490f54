"""Where replicas go: devices in turn, cores as asked for, and one sentence where that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen_harness.errors import BadInput
from loadgen_harness.placement import cores_of, groups, places
from tests.fakes import tiny

OURS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


def test_devices_take_turns(tmp_path: Path) -> None:
    found = places(tiny(tmp_path, device="cuda:0, cuda:1", replicas=4))
    assert [place.device for place in found] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert [place.device for place in places(tiny(tmp_path, device="cuda:0,cuda:1"))] == ["cuda:0", "cuda:1"]
    assert all(not place.cores for place in found)
    with pytest.raises(BadInput, match="--replicas"):
        places(tiny(tmp_path, device="cuda:0,cuda:1", replicas=3))


@given(st.sets(st.integers(0, 300), min_size=1))
def test_cores_are_read_in_the_kernels_notation(cores: set[int]) -> None:
    assert cores_of(",".join(map(str, sorted(cores)))) == cores


def test_ranges_of_cores() -> None:
    assert cores_of("0-3,8") == {0, 1, 2, 3, 8}
    for text in ("", "a", "3-1", "1-", "1,,2"):
        with pytest.raises(BadInput, match="--pin"):
            cores_of(text)


def test_an_even_split_uses_every_core_once() -> None:
    for count in range(1, len(OURS) + 1):
        split = groups("split", count)
        assert sorted(core for group in split for core in group) == OURS
        assert max(map(len, split)) - min(map(len, split)) <= 1
    with pytest.raises(BadInput, match="cannot split"):
        groups("split", len(OURS) + 1)


def test_numa_nodes_take_turns(tmp_path: Path) -> None:
    for node, cores in enumerate((str(OURS[0]), str(OURS[-1]), "")):
        (tmp_path / f"node{node}").mkdir()
        (tmp_path / f"node{node}" / "cpulist").write_text(cores + "\n")
    assert groups("numa", 3, tmp_path) == [{OURS[0]}, {OURS[-1]}, {OURS[0]}]
    with pytest.raises(BadInput, match="NUMA"):
        groups("numa", 1, tmp_path / "none")


def test_named_cores_must_be_ours_and_one_group_each() -> None:
    assert groups(f"{OURS[0]}", 1) == [{OURS[0]}]
    assert groups("none", 2) == [frozenset(), frozenset()]
    with pytest.raises(BadInput, match="2 groups"):
        groups("0/1", 3)
    with pytest.raises(BadInput, match="may not use"):
        groups("100000", 1)
