"""Messages between processes: any size goes through, in order, and a lagging reader holds the writer back."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen_harness import native
from loadgen_harness.errors import RunFailed
from loadgen_harness.native import presence

pytestmark = pytest.mark.skipif(bool(presence.missing()), reason=presence.missing())

SMALLEST = 4096


def ring(size: int = SMALLEST) -> tuple[Any, Any]:
    """Both ends of one ring, as two processes have them."""
    made = presence.load().Ring(size)
    return made, presence.load().Ring.attach(made.fd)


def received(end: Any) -> list[bytes] | None:
    """The next message, let go at once."""
    parts = end.receive(1.0)
    if parts is None:
        return None
    copied = [bytes(part) for part in parts]
    end.release()
    return copied


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 20_000), max_size=4), max_size=8))
def test_messages_of_any_size_arrive_whole_and_in_order(sizes: list[list[int]]) -> None:
    writer, reader = ring()
    rng = np.random.default_rng(0)
    sent = [[rng.bytes(size) for size in message] for message in sizes]
    thread = threading.Thread(target=lambda: [writer.send(message) for message in sent])
    thread.start()
    got = [received(reader) for _ in sent]
    thread.join(5)
    assert not thread.is_alive()
    assert got == sent


def test_a_reader_that_waits_wakes_and_one_that_waits_in_vain_gets_nothing() -> None:
    writer, reader = ring()
    assert reader.receive(0.01) is None
    timer = threading.Timer(0.05, writer.send, ([b"late"],))
    timer.start()
    assert received(reader) == [b"late"]
    timer.join()


def test_the_writer_waits_for_room_without_holding_python_up() -> None:
    writer, reader = ring()
    done = threading.Event()

    def fill() -> None:
        for _ in range(100):
            writer.send([bytes(1000)])
        done.set()

    thread = threading.Thread(target=fill)
    thread.start()
    assert not done.wait(0.1)
    assert [received(reader) for _ in range(100)] == [[bytes(1000)]] * 100
    assert done.wait(5)
    thread.join()


def test_closing_ends_both_sides() -> None:
    writer, reader = ring()
    writer.send([b"last"])
    writer.close()
    assert received(reader) == [b"last"]
    assert reader.closed
    assert reader.receive(5.0) is None
    with pytest.raises(RuntimeError, match="closed"):
        writer.send([bytes(100)])


def test_responses_carry_ids_bytes_offsets_and_counts() -> None:
    writer, reader = ring()
    native.answer(writer, [7, 9], [b"one", b"three"], [1, 3])
    ids, data, offsets, tokens = received(reader) or []
    assert np.frombuffer(ids, np.uint64).tolist() == [7, 9]
    assert data == b"onethree"
    assert np.frombuffer(offsets, np.uint64).tolist() == [0, 3, 8]
    assert np.frombuffer(tokens, np.int64).tolist() == [1, 3]
    native.answer(writer, np.array([1, 2], np.uint64), np.array([[1], [2]], np.float32), None)
    _, data, offsets, tokens = received(reader) or []
    assert np.frombuffer(data, np.float32).tolist() == [1, 2]
    assert (offsets, tokens) == (b"", b"")


@pytest.mark.parametrize(
    ("ids", "responses"),
    [
        (np.array([1, 2], np.uint64), np.zeros((3, 1), np.uint8)),
        (np.array([1, 2], np.int32), np.zeros((2, 1), np.uint8)),  # never converted behind our back
        (np.array([1, 2], np.uint64), np.zeros((2, 4), np.uint8)[:, ::2]),
        (np.array([1, 2], np.uint64), [b"one"]),
    ],
)
def test_unfit_responses_are_refused(ids: np.ndarray, responses: Any) -> None:
    writer, _ = ring()
    with pytest.raises(RunFailed, match="respon"):
        native.answer(writer, ids, responses, None)


def test_a_seat_takes_no_array_that_it_would_have_to_convert() -> None:
    bridge = presence.load()
    table = bridge.Table(16, 16)
    with pytest.raises(TypeError, match="uint64"):
        bridge.Seat(table, np.zeros(4, np.int32), np.zeros(4, np.int64), 0, 0)
    with pytest.raises(ValueError, match="length"):
        bridge.Seat(table, np.zeros(4, np.uint64), np.zeros(3, np.int64), 0, 0)


def test_an_answer_to_nothing_is_refused() -> None:
    bridge = presence.load()
    made = bridge.Bridge(bridge.Table(16, 16), memoryview(bytearray(16)).cast("Q"), lambda error: None)
    with pytest.raises(RunFailed, match="never issued"):
        native.answer(made, [3], [b""], None)
    made.stop()
    with pytest.raises(RunFailed, match="stopped"):
        native.answer(made, [3], [b""], None)
