"""The streaming reader of `:::MLLOG` logs: last values, everything wanted of repeated keys, damage, constant memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen_harness import log_record
from loadgen_harness.run import Run
from tests.loadgen_harness.logs import large, line

ROOT = Path(__file__).resolve().parents[2]
DETAIL = "mlperf_log_detail.txt"


def run(path: Path, *lines: str, end: str = "\n") -> Run:
    (path / DETAIL).write_bytes("\n".join(lines).encode() + end.encode())
    return Run(path)


def test_last_values_lines_and_times(tmp_path: Path) -> None:
    found = run(tmp_path, line("a", 1), line("b", {"x": 1}), line("a", 2.5e6, time_ms=7.25), line("c", "é"))
    assert found.log == {"a": 2_500_000.0, "b": {"x": 1}, "c": "é"}
    assert [found.line(key) for key in ("a", "b", "c", "none")] == [3, 2, 4, 0]
    assert (found.time_ms("a"), found.time_ms("none")) == (7.25, None)
    assert found.damage == ()


def test_names_of_sut_sources_and_version(tmp_path: Path) -> None:
    sources = {"/loadgen.cc": "12", "/utils.h": "34"}
    found = run(
        tmp_path,
        line("loadgen_version", "6.0.17 @ abcdef"),
        line("loadgen_file_sha1", sources),
        line("sut_name", "PySUT"),
        line("qsl_name", "PyQSL"),
    )
    assert (found.loadgen_version, found.sut_name, found.qsl_name) == ("6.0.17", "PySUT", "PyQSL")
    assert found.loadgen_sources == sources
    assert Run(tmp_path / "none").loadgen_sources == {}


def test_every_power_begin_of_an_accuracy_run(tmp_path: Path) -> None:
    starts = [line("power_begin", f"11-22-2026 08:00:0{second}.000") for second in range(3)]
    mode, end = line("effective_test_mode", "AccuracyOnly"), line("power_end", "11-22-2026 08:00:09.000")
    assert run(tmp_path, mode, *starts, end).duration_s == 9.0
    assert run(tmp_path, *starts, end).duration_s == 7.0


def test_errors_are_kept_up_to_a_thousand_and_counted_beyond(tmp_path: Path) -> None:
    complaints = [line("error_runtime", f"late {number}", error=True) for number in range(5_000)]
    complaints[2_000:2_000] = [line("warning_generic_message", "slow", warning=True)] * 3
    found = run(tmp_path, line("a", 1), *complaints, line("result_validity", "VALID"))
    assert (found.error_count, len(found.log_errors)) == (5_000, log_record.KEPT)
    assert found.log_errors[-1] == "error_runtime: late 999"
    assert found.log_warnings == ("warning_generic_message: slow",) * 3
    assert not found.valid
    assert found.damage == ()


def test_complaints_across_many_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_record, "CHUNK", 1_000)
    lines = [line("k", n, error=n % 7 == 0, warning=n % 5 == 0) for n in range(9_000)]
    found = run(tmp_path, *lines)
    assert found.error_count == sum(n % 7 == 0 for n in range(9_000))
    assert found._log.warning_count == sum(n % 5 == 0 and n % 7 != 0 for n in range(9_000))
    assert (found.log["k"], found.line("k")) == (8_999, 9_000)


@pytest.mark.parametrize("chunk", [1, 7, 100, 300, 1_000])
def test_the_size_of_pieces_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    lines = [line(f"key{n % 5}", "x" * n, error=n == 20) for n in range(40)]
    lines[7:7] = ["torn", '{"key"', ":::MLLOG "]
    whole = run(tmp_path, *lines)
    expected = (whole.log, [whole.line(key) for key in whole.log], whole.damage, whole.log_errors)
    monkeypatch.setattr(log_record, "CHUNK", chunk)
    pieced = Run(tmp_path)
    assert (pieced.log, [pieced.line(key) for key in pieced.log], pieced.damage, pieced.log_errors) == expected
    assert len(expected[2]) == 3


GOOD = line("a", 1)
SWAPPED = ':::MLLOG {"value": 7, "key": "a", "metadata": {"is_warning": false, "is_error": true}}'
TORN = GOOD[:60]
DAMAGED = {
    "torn": TORN,
    "torn into the next": TORN + GOOD,
    "two in one": GOOD + GOOD,
    "nul": GOOD.replace("loadgen.cc", "load\0gen"),
    "torn in its key": GOOD.replace('a", "value": 1', ""),
    "no record": "hello",
    "prefix alone": ":::MLLOG ",
    "shifted": " " + GOOD,
    "no metadata": ':::MLLOG {"key": "a", "value": 1}',
    "deep": ':::MLLOG {"key": "a", "value": ' + "[" * 100_000 + "}}",
    "digits": ':::MLLOG {"key": "a", "value": ' + "9" * 5_000 + ', "metadata": {"is_error": false}}',
}


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_line_is_named_and_the_others_are_read(tmp_path: Path, damaged: str) -> None:
    found = run(tmp_path, line("b", 3), damaged, *[GOOD] * 3, line("c", 4))
    assert found.log == {"a": 1, "b": 3, "c": 4}
    assert found.damage == (f"{DETAIL} line 2: not a LoadGen record",)


def test_a_value_that_is_no_json_where_it_matters(tmp_path: Path) -> None:
    """LoadGen does not escape: a quote in a name breaks its line. In a line that nobody reads it goes unnoticed."""
    broken = line("sut_name", "x").replace('"x"', '"my "fast" SUT"')
    found = run(tmp_path, broken, line("b", 3))
    assert (found.sut_name, found.log) == ("", {"b": 3})
    assert found.damage == (f"{DETAIL} line 1: not a LoadGen record",)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", '1, "value": 2'])
def test_what_readers_take_differently_is_damage(tmp_path: Path, value: str) -> None:
    found = run(tmp_path, line("a", 1), line("b", 77).replace("77", value))
    assert found.log == {"a": 1}
    assert found.damage == (f"{DETAIL} line 2: not strict JSON: NaN, Infinity or a key twice",)


def test_many_damaged_lines_are_counted(tmp_path: Path) -> None:
    found = run(tmp_path, *["x"] * 500, line("b", 3))
    assert len(found.damage) == log_record.SHOWN + 1
    assert found.damage[-1] == f"{DETAIL}: 500 damaged places in all"
    assert found.log == {"b": 3}


def test_a_log_that_stops_in_a_line(tmp_path: Path) -> None:
    found = run(tmp_path, GOOD, TORN, end="")
    assert found.damage == (f"{DETAIL} line 2: not a LoadGen record",)
    assert run(tmp_path, GOOD, GOOD, end="").damage == ()


def test_other_writers_of_the_same_records(tmp_path: Path) -> None:
    """Keys in another order, other spaces, Windows' line ends and blank lines are no damage."""
    compact = GOOD.replace('": ', '":').replace(":::MLLOG{", ":::MLLOG {")
    found = run(tmp_path, SWAPPED, "", compact, line("b", 3) + "\r", "\r")
    assert found.log == {"a": 1, "b": 3}
    assert found.log_errors == ("a: 7",)
    assert found.damage == ()


@pytest.mark.parametrize(("encoding", "count"), [("utf-16", 5), ("utf-8-sig", 1), ("latin-1", 1)])
def test_wrong_encodings(tmp_path: Path, encoding: str, count: int) -> None:
    text = "\n".join([line("a", 1), line("b", "x").replace('"x"', '"größer"'), line("c", 2), ""])
    (tmp_path / DETAIL).write_bytes(text.encode(encoding))
    found = Run(tmp_path)
    assert len(found.damage) >= 1
    assert all(each.startswith(DETAIL) for each in found.damage)
    assert (found.log.get("c") == 2) == (encoding != "utf-16")


def test_a_line_too_long_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_record, "CHUNK", 64 << 10)
    monkeypatch.setattr(log_record.pieces, "__defaults__", (128 << 10,))
    found = run(tmp_path, line("a", 1), line("b", "x" * (1 << 20)), line("c", 2))
    assert (found.log, found.line("c")) == ({"a": 1, "c": 2}, 3)
    assert found.damage == (f"{DETAIL} line 2: too long for a LoadGen record",)


def test_sets_may_be_long_and_nothing_else(tmp_path: Path) -> None:
    indices = list(range(300_000))
    found = run(tmp_path, line("loaded_qsl_set", indices), line("sut_name", "x" * (2 << 20)), line("c", 2))
    assert found.log["loaded_qsl_set"] == indices
    assert "sut_name" not in found.log
    assert len(found.damage) == 1


def test_more_keys_than_loadgen_has(tmp_path: Path) -> None:
    found = run(tmp_path, *(line(f"key{number}", number) for number in range(5_000)))
    assert len(found.log) == 1_000
    assert found.damage[-1] == f"{DETAIL}: 4000 damaged places in all"


def test_halves_of_characters_can_be_printed(tmp_path: Path) -> None:
    found = run(tmp_path, GOOD.replace("1,", '"\\ud800x",', 1), line("error", "\ud83d", error=True))
    found.log["a"].encode()
    found.log_errors[0].encode()


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), VALUES, st.booleans(), st.booleans()), max_size=30))
@settings(max_examples=80, deadline=None)
def test_it_reads_what_a_simple_reader_reads(tmp_path_factory: pytest.TempPathFactory, table: list[Any]) -> None:
    path = tmp_path_factory.mktemp("log")
    lines = [line(key, value, error=error, warning=warning) for key, value, error, warning in table]
    found = run(path, *lines)
    simple = {entry["key"]: entry["value"] for entry in (json.loads(each[9:]) for each in lines)}
    assert json.dumps(found.log) == json.dumps(simple)
    assert found.error_count == sum(error for _, _, error, _ in table)
    assert found.damage == ()


LIMITED = """
import re, resource, sys
from loadgen_harness.run import Run
def status(key): return int(re.search(key + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + (64 << 20),) * 2)
run, before = Run(sys.argv[1]), status("VmHWM")
read = run.log["result_samples_per_second"], run.error_count, run.line("power_end"), len(run._log.kept["power_begin"])
print(status("VmHWM") - before, *read)
"""


def grown_mib(path: Path) -> tuple[float, list[str]]:
    """Memory that reading took, in a process of its own with 64 MiB to spare, and what was read."""
    if not sys.platform.startswith("linux"):
        pytest.skip("peak memory is read from /proc")
    command = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    grown, *read = done.stdout.split()
    return int(grown) / (1 << 20), read


@pytest.mark.parametrize("errors", [False, True])
def test_memory_does_not_grow_with_the_log(tmp_path: Path, errors: bool) -> None:
    lines = large(tmp_path, 40 << 20, errors=errors)
    grown, read = grown_mib(tmp_path)
    assert read[:1] == ["1500000.0"]
    assert (int(read[1]) > 100_000) == errors
    assert (int(read[2]), int(read[3]) > 40) == (lines, True)
    assert grown < 20


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("errors", [False, True])
def test_memory_does_not_grow_with_a_very_large_log(tmp_path: Path, errors: bool) -> None:
    lines = large(tmp_path, 600 << 20, errors=errors)
    grown, read = grown_mib(tmp_path)
    assert int(read[2]) == lines
    assert grown < 20
