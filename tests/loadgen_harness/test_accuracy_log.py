"""The accuracy log, entry by entry: LoadGen's form and others, damage, constant memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen_harness import accuracy_log
from loadgen_harness.accuracy_log import Response
from loadgen_harness.run import Run

LOG = "mlperf_log_accuracy.json"


def loadgen(*entries: dict[str, Any]) -> str:
    """A log in LoadGen's own form."""
    shown = [", ".join(f'"{key}" : {json.dumps(value)}' for key, value in entry.items()) for entry in entries]
    return "[" + ",".join(f"\n{{ {each} }}" for each in shown) + "\n]\n"


def run(path: Path, text: str) -> Run:
    (path / LOG).write_text(text)
    return Run(path)


def entry(number: int, data: bytes = b"\1\2") -> dict[str, Any]:
    return {"seq_id": number, "qsl_idx": number * 3, "data": data.hex().upper()}


ENTRIES = [entry(0), entry(1, b""), {**entry(2), "token_data": "0A00", "token_count": 7}, entry(3, b"\xff" * 40)]
RESPONSES = (
    Response(0, 0, b"\1\2"),
    Response(1, 3, b""),
    Response(2, 6, b"\1\2", b"\x0a\0", 7),
    Response(3, 9, b"\xff" * 40),
)
FORMS = {
    "LoadGen's": loadgen(*ENTRIES),
    "one line": json.dumps(ENTRIES),
    "compact": json.dumps(ENTRIES, separators=(",", ":")),
    "indented": json.dumps(ENTRIES, indent=4),
    "other key order": json.dumps([dict(reversed(each.items())) for each in ENTRIES]),
    "spaced": json.dumps(ENTRIES).replace(",", " \n ,\t ").replace("[", " [\n\n "),
    "commas first": loadgen(*ENTRIES).replace(",\n{", "\n,{"),
}


@pytest.mark.parametrize("chunk", [1, 5, 64, 1 << 20])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, chunk: int) -> None:
    monkeypatch.setattr(accuracy_log, "CHUNK", chunk)
    found = run(tmp_path, form)
    assert tuple(found.iter_responses()) == RESPONSES
    assert found.response_entries == RESPONSES
    assert found.responses == {0: b"\1\2", 3: b"", 6: b"\1\2", 9: b"\xff" * 40}
    assert not any(LOG in each for each in found.damage)


@pytest.mark.parametrize("text", ["", " \n", "[]", "[\n]\n", "[ ] "])
def test_nothing_logged(tmp_path: Path, text: str) -> None:
    found = run(tmp_path, text)
    assert found.response_entries == ()
    assert not any(LOG in each for each in found.damage)


GOOD = loadgen(*ENTRIES)
DAMAGED = {
    "cut": (GOOD[:-30], 3),
    "cut after an entry": (GOOD[: GOOD.index("},") + 1], 1),
    "cut after a comma": (GOOD[: GOOD.index("},") + 2], 1),
    "no end": (GOOD.rstrip()[:-1], 4),
    "a comma too many": (GOOD.replace("\n]", ",\n]"), 4),
    "a comma too few": (GOOD.replace("},", "}", 1), 1),
    "more after the end": (GOOD + "[]", 4),
    "no list": (json.dumps(ENTRIES[0]), 0),
    "a list in it": ("[[1]]", 0),
    "a number in it": ("[7]", 0),
    "truncated for submission": (GOOD[:80] + "\n\n...\n\n" + GOOD[-60:], 1),
    "no hexadecimal": (GOOD.replace("0102", "01ZZ", 1), 0),
    "odd": (GOOD.replace("0102", "010", 1), 0),
    "a key missing": (GOOD.replace("qsl_idx", "other", 1), 0),
    "infinite": (GOOD.replace(": 3,", ": Infinity,"), 1),
    "huge": (GOOD.replace(": 3,", f": {'9' * 5000},"), 1),
    "deep": (GOOD.replace(": 3,", f": {'[' * 100_000},"), 1),
    "word": ("[nul", 0),
    "half a word": ('[{"a": nul', 0),
    "escape": ('[{"a": "\\u12', 0),
}


@pytest.mark.parametrize(("text", "count"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_named_and_what_stands_before_is_given(tmp_path: Path, text: str, count: int) -> None:
    found = run(tmp_path, text)
    assert tuple(found.iter_responses()) == RESPONSES[:count]
    assert sum(LOG in each for each in found.damage) == 1
    assert found.response_entries == ()


def test_wrong_encodings(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        (tmp_path / LOG).write_bytes(GOOD.encode(encoding))
        assert Run(tmp_path).response_entries == ()
        assert any(LOG in each for each in Run(tmp_path).damage)


def test_an_entry_may_be_longer_than_a_piece(tmp_path: Path) -> None:
    volume = bytes(range(256)) * 40_000
    found = list(run(tmp_path, loadgen(entry(0, volume), entry(1))).iter_responses())
    assert [each.data for each in found] == [volume, b"\1\2"]


@pytest.mark.parametrize("text", ['[{"data" : "' + "0" * 5_000, '[{"data" : [' + "1, " * 5_000])
def test_an_entry_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    for name, value in (("CHUNK", 100), ("ENTRY", 1_000), ("LOOSE", 500)):
        monkeypatch.setattr(accuracy_log, name, value)
    found = run(tmp_path, text)
    assert found.response_entries == ()
    assert any("too long" in each for each in found.damage)


@given(st.lists(st.tuples(st.integers(0, 2**63), st.binary(max_size=60), st.none() | st.integers(0, 99)), max_size=20))
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, table: list[Any]) -> None:
    written = [
        {"seq_id": n, "qsl_idx": index, "data": data.hex(), **({} if count is None else {"token_count": count})}
        for n, (index, data, count) in enumerate(table)
    ]
    found = run(tmp_path_factory.mktemp("log"), loadgen(*written)).response_entries
    assert found == tuple(Response(n, index, data, None, count) for n, (index, data, count) in enumerate(table))


def test_reading_takes_constant_memory(tmp_path: Path) -> None:
    count = 5_000
    lines = ",\n".join(f'{{ "seq_id" : {n}, "qsl_idx" : {n}, "data" : "{n:05000X}" }}' for n in range(count))
    found = run(tmp_path, f"[\n{lines}\n]\n")
    tracemalloc.start()
    try:
        assert sum(each.qsl_idx for each in found.iter_responses()) == count * (count - 1) // 2
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
        _ = found.damage
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()
