"""The per-sample record."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from loadgen_harness.samples import DTYPE, FORMAT_1, Recorder, upgraded


def test_no_rows() -> None:
    table = Recorder().table()
    assert table.dtype == DTYPE
    assert len(table) == 0


def test_batches_become_rows() -> None:
    recorder = Recorder()
    recorder.add(([7, 2**64 - 1], [70, 80], [100, 110], 120, 130, 135, 140, 0, 0))
    recorder.add(([9], [90], 200, 210, 220, 228, 230, 225, 5))
    recorder.add((range(3), range(10, 13), 300, 310, 320, 325, 330, 0, 0))
    table = recorder.table()
    assert table["id"].tolist() == [7, 2**64 - 1, 9, 0, 1, 2]
    assert table["index"].tolist() == [70, 80, 90, 10, 11, 12]
    assert table["issued"].tolist() == [100, 110, 200, 300, 300, 300]
    assert table["dequeued"].tolist() == [120, 120, 210, 310, 310, 310]
    assert table["computed"].tolist() == [135, 135, 228, 325, 325, 325]
    assert table["scheduled"].tolist() == [0] * 6
    assert table["done"].tolist() == [140, 140, 230, 330, 330, 330]
    assert table["batch"].tolist() == [2, 2, 1, 3, 3, 3]
    assert table["first_token"].tolist() == [0, 0, 225, 0, 0, 0]
    assert table["tokens"].tolist() == [0, 0, 5, 0, 0, 0]


def test_a_sample_is_not_taken_before_it_was_issued() -> None:
    """It joined a batch that was already gathering."""
    recorder = Recorder()
    recorder.add(([1, 2], [0, 1], [100, 150], 110, 160, 165, 170, 0, 0))
    table = recorder.table()
    assert table["dequeued"].tolist() == [110, 150]


def test_the_limit_counts_what_it_leaves_out() -> None:
    recorder = Recorder(limit=3)
    for first in range(0, 8, 2):
        recorder.add(([first, first + 1], [0, 1], 1, 2, 3, 4, 5, 0, 0))
    recorder.add(([99], [0], 1, 2, 3, 4, 5, 0, 0))
    assert recorder.table()["id"].tolist() == [0, 1, 99]
    assert recorder.left_out == 6


def test_save(tmp_path: Path) -> None:
    recorder = Recorder(limit=1)
    for _ in range(3):
        recorder.add(([1], [2], 3, 4, 5, 6, 7, 0, 0))
    assert recorder.save(tmp_path / "samples.npy") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["samples.npy"]
    assert np.array_equal(np.load(tmp_path / "samples.npy"), recorder.table())


def test_the_record_is_packed_in_this_order() -> None:
    """Written by the native bridge as well, so its layout is a contract."""
    names = "id index scheduled issued dequeued started computed first_token done tokens batch"
    assert DTYPE.names == tuple(names.split())
    assert (DTYPE.itemsize, FORMAT_1.itemsize) == (80, 64)


def test_the_first_format_is_upgraded() -> None:
    old = np.zeros(2, FORMAT_1)
    for number, name in enumerate(FORMAT_1.names or ()):
        old[name] = (10 * number, 10 * number + 1)
    new = upgraded(old)
    assert new.dtype == DTYPE
    assert all(new[name].tolist() == old[name].tolist() for name in FORMAT_1.names or ())
    assert new["scheduled"].tolist() == [0, 0]
    assert new["computed"].tolist() == old["done"].tolist()
