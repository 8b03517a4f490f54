"""Folders that somebody filled with bad intent: nothing outside is read, nothing crashes, hangs or fills the memory."""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadgen_harness.inside import Damaged, Inside
from loadgen_harness.run import Run
from loadgen_harness.samples import DTYPE
from tests.loadgen_harness import endpoint_folders, test_plain_log
from tests.loadgen_harness.logs import line
from tests.rights import plain_rights

FILES = ("run.json", "mlperf_log_detail.txt", "mlperf_log_summary.txt", "mlperf_log_accuracy.json", "samples.npy")
PROPERTIES = [
    name for kind in Run.__mro__ for name, each in vars(kind).items() if isinstance(each, property | cached_property)
]
SECRET = line("sut_name", "a secret")


def read_everything(run: Run) -> dict[str, Any]:
    found = {name: getattr(run, name) for name in PROPERTIES}
    found["entries"] = list(run.iter_responses())
    found["places"] = [(run.line(key), run.time_ms(key)) for key in run.log]
    found["damage"] = run.damage
    return found


def make(folder: Path) -> Path:
    """A whole run folder with one record in each file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text('{"spec": {"benchmark": "x"}}')
    (folder / "mlperf_log_detail.txt").write_text(SECRET + "\n")
    (folder / "mlperf_log_summary.txt").write_text("SUT name : a secret\n")
    (folder / "mlperf_log_accuracy.json").write_text('[\n{ "seq_id" : 0, "qsl_idx" : 1, "data" : "00" }\n]\n')
    np.save(folder / "samples.npy", np.zeros(3, DTYPE))
    return folder


def nothing_was_read(run: Run, name: str) -> None:
    found = read_everything(run)
    empty: dict[str, Any] = {
        "run.json": found["meta"] == {},
        "mlperf_log_detail.txt": run.log == {},
        "mlperf_log_summary.txt": run.summary == {},
        "mlperf_log_accuracy.json": run.response_entries == () and found["entries"] == [],
        "samples.npy": run.samples is None,
    }
    assert empty[name]
    assert run.read(name, 1 << 20) == b""
    assert any(each.startswith(f"{name}: ") for each in run.damage), run.damage


@pytest.mark.parametrize("name", FILES)
def test_links_out_of_the_folder_are_not_followed(tmp_path: Path, name: str) -> None:
    outside = make(tmp_path / "outside") / name
    inside = make(tmp_path / "tree" / "run")
    (inside / name).unlink()
    (inside / name).symlink_to(outside)
    nothing_was_read(Run(inside), name)
    nothing_was_read(Run(inside, root=tmp_path / "tree"), name)
    assert Run(inside, root=tmp_path).damage == ()


@pytest.mark.parametrize("name", FILES)
def test_links_inside_the_root_are_followed(tmp_path: Path, name: str) -> None:
    other, inside = make(tmp_path / "tree" / "other") / name, make(tmp_path / "tree" / "run")
    (inside / name).unlink()
    (inside / name).symlink_to(os.path.relpath(other, inside))
    found = Run(inside, root=tmp_path / "tree")
    assert found.damage == ()
    assert (found.sut_name, len(found.response_entries)) == ("a secret", 1)


def test_a_folder_that_is_a_link_out_of_the_root(tmp_path: Path) -> None:
    make(tmp_path / "outside")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "run").symlink_to(tmp_path / "outside")
    for name in FILES:
        nothing_was_read(Run(tmp_path / "tree" / "run", root=tmp_path / "tree"), name)
    assert Run(tmp_path / "tree" / "run").damage == (), "without a root the folder that was asked for is read"


def test_a_root_is_no_prefix_of_names(tmp_path: Path) -> None:
    make(tmp_path / "tree-2")
    with pytest.raises(Damaged, match="outside"):
        Inside(tmp_path / "tree").path(tmp_path / "tree-2" / "run.json")
    assert Inside("/").read(tmp_path / "tree-2" / "run.json", 100).startswith(b"{")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listener(path: Path) -> None:
    os.chdir(path.parent)  # socket names are short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def dead(path: Path) -> None:
    path.symlink_to("nowhere")


ODD: list[Callable[[Path], None]] = [fifo, device, listener, loop, dead, Path.mkdir]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__)
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_regular_file_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, odd: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make(tmp_path / "run")
    (folder / name).unlink()
    odd(folder / name)
    for root in (None, Path("/")):
        nothing_was_read(Run(folder, root=root), name)


def test_files_without_permission(tmp_path: Path) -> None:
    folder = make(tmp_path / "run")
    for name in FILES:
        (folder / name).chmod(0)
    with plain_rights():
        for name in FILES:
            nothing_was_read(Run(folder), name)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5_000, "new\nline", "\udcff", "..", "-rf", "*?[", "\u202egnp"])
def test_tricks_in_names(tmp_path: Path, name: str) -> None:
    found = read_everything(Run(tmp_path / name))
    assert not found["valid"]
    assert all(each.isprintable() for each in found["damage"])


@pytest.mark.parametrize("name", ["config.yaml", "performance/result_summary.json"])
def test_endpoint_folders_keep_to_their_root_too(tmp_path: Path, name: str) -> None:
    outside = endpoint_folders.write(tmp_path / "outside", endpoint_folders.summary())
    inside = endpoint_folders.write(tmp_path / "run", endpoint_folders.summary())
    (inside / name).unlink()
    (inside / name).symlink_to(outside / name)
    run = Run(inside)
    assert run.damage == (f"{name}: lies outside the folder that may be read",)
    assert ("endpoints_version" in run.log) == (name == "config.yaml")
    assert ("endpoints_type" in run.log) != (name == "config.yaml")


def test_large_small_files_are_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "run")
    for name in ("run.json", "mlperf_log_summary.txt"):
        with (folder / name).open("wb") as file:
            file.truncate(1 << 40)  # sparse
    run = Run(folder)
    assert (run.meta, run.summary) == ({}, {})
    assert [each.split(":")[0] for each in run.damage] == ["run.json", "mlperf_log_summary.txt"]


RECORDS = [
    line("loadgen_version", "6.0.17 @ x"),
    line("loadgen_file_sha1", {"/a": "0"}),
    line("effective_scenario", "SingleStream"),
    line("effective_test_mode", "PerformanceOnly"),
    line("loaded_qsl_set", [1, 2, 3]),
    line("power_begin", "11-22-2026 08:00:00.500"),
    line("error_runtime", "late", error=True),
    line("result_validity", "INVALID"),
    line("result_invalid_reason", "too short"),
    line("early_stopping_latency_ss", 1.5e6),
    line("power_end", "11-22-2026 08:00:09.000"),
]
ACCURACY = '[\n{ "seq_id" : 0, "qsl_idx" : 1, "data" : "00FF" },\n{ "seq_id" : 1, "qsl_idx" : 2, "data" : "" }\n]\n'


def npy() -> bytes:
    header = str({"descr": DTYPE.descr, "fortran_order": False, "shape": (2,)}).ljust(500).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(2 * DTYPE.itemsize)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that is read, whole and sound, by the kind of folder that it stands in."""
    endpoint_folders.write(folder, endpoint_folders.summary(), endpoint_folders.accuracy(0.5))
    names = ("config.yaml", "performance/result_summary.json", "accuracy/accuracy_results.json")
    return {
        "mlperf_log_detail.txt": ("\n".join(RECORDS) + "\n").encode(),
        "plain/mlperf_log_detail.txt": test_plain_log.log(test_plain_log.TEXTS).encode(),
        "plain/mlperf_log_summary.txt": test_plain_log.SUMMARY.encode(),
        "mlperf_log_accuracy.json": ACCURACY.encode(),
        "run.json": b'{"format": 2, "spec": {"benchmark": "x", "scenario": "Offline"}, "digests": {"a": "b"}}',
        "samples.npy": npy(),
        **{f"endpoints/{name}": (folder / name).read_bytes() for name in names},
    }


TOKENS = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"[" * 3_000, b"{" * 900, b"9" * 6_000, b"1e999", b"NaN",
    b"-Infinity", b'"', b"\\", b"\\ud800", b"}}", b":::MLLOG ", b'"pid": 1', b"null", b"{}", b"[]", b"*a", b"&a ",
    b": ", b"- ", b"!!python/object", b"\xe2\x80\xa8", b"-1", b"true", b"ns : ", b"ERROR : ",
    b'"is_error": true', b"/" * 300,
)  # fmt: skip
EDIT = st.tuples(
    st.sampled_from(("cut", "drop", "insert", "double", "flip", "swap")),
    st.floats(0, 1),
    st.floats(0, 0.3),
    st.sampled_from(TOKENS) | st.binary(max_size=6),
)


def mangled(content: bytes, edits: list[tuple[str, float, float, bytes]]) -> bytes:
    """Content with some of it cut off, dropped, doubled, swapped, flipped or put in."""
    for kind, where, length, token in edits:
        begin = int(where * len(content))
        end = min(len(content), begin + int(length * len(content)) + 1)
        part = content[begin:end]
        if kind == "flip":
            part = bytes(each ^ (token[0] if token else 1) for each in part[:3]) + part[3:]
        changed = {"insert": token + part, "double": part * 3, "swap": part[::-1], "flip": part}
        content = content[:begin] + changed.get(kind, b"") + (b"" if kind == "cut" else content[end:])
    return content[: 1 << 20]


MANGLED = st.tuples(st.integers(0, 8), st.lists(EDIT, min_size=1, max_size=6))
Mangled = tuple[int, list[tuple[str, float, float, bytes]]]


def peak() -> int:
    """Peak memory of this process in bytes, 0 where it cannot be told."""
    if not sys.platform.startswith("linux"):
        return 0
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) << 10 if found else 0


def survives(folder: Path, sound: Mapping[str, bytes], case: Mangled) -> None:
    """One mangled file in a folder of otherwise sound ones is read to the end."""
    name = list(sound)[case[0]]
    first = name.split("/")[0]
    kind = first if first in ("plain", "endpoints") else ""
    put(folder / name, mangled(sound[name], case[1]))
    try:
        check(read_everything(Run(folder / kind if kind else folder)))
    finally:
        put(folder / name, sound[name])


def put(path: Path, content: bytes) -> None:
    """A file in a new place on the disk: an older table may still be mapped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def check(found: Mapping[str, Any]) -> None:
    """What was read has the right kinds, and can be printed."""
    for sentence in found["damage"]:
        sentence.encode()
        assert len(sentence) < 1_000
    for text in (*found["log_errors"], *found["log_warnings"], *found["invalid_reasons"]):
        text.encode()
    assert found["result"] is None or isinstance(found["result"].value, float)
    assert found["power_window"] is None or len(found["power_window"]) == 2


def fuzz(folder: Path, examples: int) -> None:
    """Run `examples` mangled folders; memory stays bounded over all of them."""
    sound = contents(folder / "made")
    for name, content in sound.items():
        put(folder / "run" / name, content)

    @given(MANGLED)
    @settings(
        max_examples=examples,
        deadline=timedelta(seconds=5),
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def each(case: Mangled) -> None:
        survives(folder / "run", sound, case)

    before = peak()
    each()
    assert peak() - before < 300 << 20


def test_mangled_files(tmp_path: Path) -> None:
    fuzz(tmp_path, 200)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_thousand_mangled_files(tmp_path: Path) -> None:
    fuzz(tmp_path, 10_000)
