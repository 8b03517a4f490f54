"""Records found many at once: the same lines and keys as line by line, and nothing that has not LoadGen's shape."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen_harness.log_record import Piece
from loadgen_harness.record_block import Block, Blocks
from tests.loadgen_harness.logs import line

STALE = b':::MLLOG {"key": "stale'  # what a buffer still holds behind the piece


def block(lines: Sequence[str], blocks: Blocks | None = None) -> Block | None:
    data = "".join(f"{each}\n" for each in lines).encode()
    return (blocks or Blocks()).block(Piece(bytearray(data + STALE), len(data)))


@given(st.lists(st.sampled_from([f"key{n}" for n in range(12)] + ["", "ké", "key"]), min_size=1, max_size=300))
def test_lines_and_keys_are_those_of_a_simple_reader(names: list[str]) -> None:
    lines = [line(name, f"G {number}") for number, name in enumerate(names)]
    found = block(lines)
    assert found is not None
    assert [found.line(number).decode() for number in range(len(found))] == lines
    simple: dict[bytes, list[int]] = {}
    for number, name in enumerate(names):
        simple.setdefault(name.encode(), []).append(number)
    keys = found.keys()
    assert keys is not None
    assert {key: [int(each) for each in places] for key, places in keys.items()} == simple
    assert list(keys) == list(simple), "in the order of their first lines"


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "text",
        "}}",
        ':::MLLOG {"key": "',
        line("a", 1)[:-1],
        line("a", 1)[1:],
        line("a", 1) + line("b", 1),
        line("a", ":::MLLOG "),
        line("a", 1).replace("loadgen", "load\0gen"),
        line("a", 1) + "\r",
    ],
)
@pytest.mark.parametrize("before", [0, 1, 200])
def test_a_line_without_the_shape_makes_no_block(odd: str, before: int) -> None:
    good = [line("a", number) for number in range(before)]
    assert block([*good, odd]) is None
    assert block([odd, *good, line("z", 1)]) is None


@pytest.mark.parametrize("key", ["a\\", "k" * 201, "tab\t"])
@pytest.mark.parametrize("count", [1, 200])
def test_a_key_that_loadgen_would_not_write_is_seen(key: str, count: int) -> None:
    found = block([line("a", 1), *[line("b", 2).replace('"b"', f'"{key}"')] * count])
    assert found is not None and found.keys() is None


def test_a_key_that_does_not_end_is_seen() -> None:
    found = block([line("a", 1), ':::MLLOG {"key": "endless}}'])
    assert found is not None and found.keys() is None


def test_bytes_that_are_no_text_make_no_block() -> None:
    data = line("a", "x").encode().replace(b'"x"', b'"\xff"') + b"\n"
    assert Blocks().block(Piece(bytearray(data), len(data))) is None
    text = line("a", "x").encode().replace(b'"x"', '"größer"'.encode()) + b"\n"
    assert Blocks().block(Piece(bytearray(text), len(text))) is not None


def test_what_stands_behind_the_piece_does_not_count() -> None:
    found = block([line("a", 1)])
    assert found is not None
    assert (len(found), found.count(b":::MLLOG "), found.count(b"stale")) == (1, 1, 0)


def test_memory_is_shared_between_blocks_of_any_size() -> None:
    blocks = Blocks()
    for count in (1, 300, 2, 600, 1):
        found = block([line("a", number) for number in range(count)], blocks)
        assert found is not None and len(found) == count
