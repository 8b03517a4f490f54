"""The build of the native bridge: whose sources, which compiler, what is remembered where it cannot be built."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from loadgen_harness.native import build, compiler, presence, sources
from loadgen_harness.native.compiler import Unit
from loadgen_harness.native.presence import NoBridge
from tests.architecture import ROOT

FILES = {"loadgen.cc": "int loadgen;\n", "loadgen.h": "#pragma once\n", "generated/version_generated.cc": "int v;\n"}
needs_compiler = pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (sources.VARIABLE, build.SKIP, presence.VARIANT, "CXX", "MAX_JOBS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def loadgen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small LoadGen as folder and archive, with its own table of digests; the folder is returned."""
    folder = tmp_path / "origin" / sources.ARCHIVE.removesuffix(".tar.gz")
    for name, text in {**FILES, "bindings.cc": "not used"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with tarfile.open(folder.parent / sources.ARCHIVE, "w:gz") as tar:
        tar.add(folder, folder.name)
    used = {**{name: folder / name for name in FILES}, sources.ARCHIVE: folder.parent / sources.ARCHIVE}
    table = tmp_path / "loadgen.sha256"
    table.write_text("".join(f"{sha256(file)}  {name}\n" for name, file in used.items()))
    monkeypatch.setattr(sources, "DIGESTS", table)
    return folder


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with C++ files of ours; the package folder in it is returned."""
    package = tmp_path / "clone/loadgen_harness/native"
    (package / "src").mkdir(parents=True)
    (package / "src/module.cc").write_text("int ours;\n")
    (tmp_path / "clone/setup.py").touch()
    monkeypatch.setattr(build, "CLONE", tmp_path / "clone")
    monkeypatch.setattr(presence, "SOURCES", package / "src")
    return package


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def place_module(package: Path) -> Path:
    """Something with the name of a bridge."""
    module = package / f"_bridge{presence.EXTENSION_SUFFIXES[0]}"
    module.write_bytes(b"no library")
    return module


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_given_sources_are_copied_and_nothing_beside_them(
    kind: str, loadgen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = loadgen if kind == "folder" else loadgen.parent / sources.ARCHIVE
    monkeypatch.setenv(sources.VARIABLE, str(given))
    copied = sources.unaltered(tmp_path / "copy")
    assert {file.relative_to(tmp_path / "copy").as_posix(): file.read_text() for file in copied} == FILES
    assert sorted(file for file in (tmp_path / "copy").rglob("*") if file.is_file()) == sorted(copied)


def test_an_altered_file_is_refused_and_named(loadgen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (loadgen / "loadgen.h").write_text("#pragma once // faster\n")
    monkeypatch.setenv(sources.VARIABLE, str(loadgen))
    with pytest.raises(NoBridge, match=r"differs from LoadGen 6\.0\.17 in loadgen\.h"):
        sources.unaltered(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_lacking_file_is_refused_and_named(loadgen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (loadgen / "generated/version_generated.cc").unlink()
    monkeypatch.setenv(sources.VARIABLE, str(loadgen))
    with pytest.raises(NoBridge, match=r"lacks a readable file .*version_generated\.cc"):
        sources.unaltered(tmp_path / "copy")


def test_another_archive_is_refused(loadgen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = loadgen.parent / sources.ARCHIVE
    archive.write_bytes(archive.read_bytes() + b"\0")
    monkeypatch.setenv(sources.VARIABLE, str(archive))
    with pytest.raises(NoBridge, match=r"is not LoadGen 6\.0\.17's source distribution \(SHA-256 "):
        sources.unaltered(tmp_path / "copy")


def test_a_path_to_nothing_is_refused(loadgen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(NoBridge, match=r"neither a folder with loadgen\.cc nor mlcommons_loadgen-6\.0\.17"):
        sources.unaltered(tmp_path / "copy")


def test_an_intact_copy_needs_no_network_and_an_altered_one_is_fetched_again(
    loadgen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sources.VARIABLE, str(loadgen))
    sources.unaltered(tmp_path / "copy")
    monkeypatch.delenv(sources.VARIABLE)
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    sources.unaltered(tmp_path / "copy")
    (tmp_path / "copy/loadgen.cc").write_text("int altered;\n")
    with pytest.raises(NoBridge, match=r"pip could not fetch LoadGen's sources \(.*offline, set LOADGEN_SRC"):
        sources.unaltered(tmp_path / "copy")


def test_the_table_is_of_the_version_that_the_suite_requires() -> None:
    assert sources.ARCHIVE in sources.digests()
    assert f'"mlcommons-loadgen=={sources.VERSION}"' in (ROOT / "setup.py").read_text("utf-8")


def units(folder: Path, texts: dict[str, str]) -> list[Unit]:
    """Files to compile, written to `folder`."""
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [Unit(folder / name, folder / "objects" / f"{name}.o", ("-O0",)) for name in texts if name.endswith(".cc")]


@needs_compiler
def test_objects_come_in_order_and_only_what_changed_is_compiled(tmp_path: Path) -> None:
    wanted = units(tmp_path, {"a.h": "", "a.cc": '#include "a.h"\n', "b.cc": "", "c.cc": '#include "a.h"\n'})
    said: list[str] = []
    command = compiler.find()
    assert compiler.compile_all(command, wanted, said.append) == [unit.target for unit in wanted]
    assert sorted(said) == ["  a.cc", "  b.cc", "  c.cc", f"compiling 3 of 3 files, {compiler.jobs()} at a time"]
    said.clear()
    compiler.compile_all(command, wanted, said.append)
    assert said == [f"compiling 0 of 3 files, {compiler.jobs()} at a time"]
    (tmp_path / "a.h").write_text("extern int changed;\n")
    said.clear()
    compiler.compile_all(command, wanted, said.append)
    assert sorted(said)[:2] == ["  a.cc", "  c.cc"]


@needs_compiler
def test_the_first_error_in_order_is_told_with_the_compilers_words(tmp_path: Path) -> None:
    wanted = units(tmp_path, {"a.cc": "", "b.cc": "wrong here;\n", "c.cc": "and here;\n"})
    with pytest.raises(NoBridge, match=r"could not compile b\.cc \(.*b\.cc:1:1: error: ") as failure:
        compiler.compile_all(compiler.find(), wanted, lambda _: None)
    assert "wrong here" in failure.value.__notes__[0]
    assert not wanted[1].target.exists()


@needs_compiler
def test_a_library_is_linked_once(tmp_path: Path) -> None:
    objects = compiler.compile_all(compiler.find(), units(tmp_path, {"a.cc": "int a;\n"}), lambda _: None)
    library = tmp_path / "a.so"
    compiler.link(compiler.find(), objects, library, flags=[])
    before = library.stat().st_mtime_ns
    compiler.link(compiler.find(), objects, library, flags=[])
    assert library.stat().st_mtime_ns == before
    compiler.link(compiler.find(), objects, library, flags=["-Wl,-s"])
    assert library.stat().st_mtime_ns > before


def test_max_jobs_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiler.jobs() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("MAX_JOBS", "7")
    assert compiler.jobs() == 7


def test_without_a_compiler_the_reason_is_remembered(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    place_module(clone)  # of an earlier build
    assert build.install(clone, lambda _: None).startswith("there is no C++ compiler (no-such-compiler;")
    assert sorted(file.name for file in clone.iterdir()) == [presence.ABSENT, "src"]
    assert presence.missing(clone) == (
        "the native bridge was not built since there is no C++ compiler (no-such-compiler; Debian and Ubuntu: "
        "apt install g++); mend that and run `python -m loadgen_harness.native.build`."
    )


def test_whatever_goes_wrong_an_installation_goes_on(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "SOURCES", None)
    reason = build.install(clone, lambda _: None)
    assert reason.startswith("its build failed (AttributeError: ")
    assert reason in presence.missing(clone)


def test_lgh_native_0_skips_the_build(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(build.SKIP, "0")
    assert build.install(clone, lambda _: None) == "LGH_NATIVE=0 was set"
    assert "since LGH_NATIVE=0 was set; mend that" in presence.missing(clone)


def test_a_bridge_is_missing_until_it_is_built_of_these_sources(clone: Path) -> None:
    assert presence.missing(clone).startswith("the native bridge was never built for Python 3.")
    presence.record_absent(clone, "it rained")
    assert "since it rained; mend that" in presence.missing(clone)
    presence.record_built(place_module(clone), presence.fingerprint())
    assert presence.missing(clone) == ""
    assert not (clone / presence.ABSENT).exists()
    (clone / "src/module.cc").write_text("int edited;\n")
    assert presence.missing(clone).startswith("the native bridge here was built from other sources than these: run ")


def test_a_chosen_bridge_must_be_there_and_load(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, presence.NAME, raising=False)
    monkeypatch.setenv(presence.VARIANT, str(clone / "nowhere.so"))
    with pytest.raises(NoBridge, match=r"nowhere\.so, which is no file"):
        presence.load()
    monkeypatch.setenv(presence.VARIANT, str(place_module(clone)))
    with pytest.raises(NoBridge, match=r"does not load \(.*: run `python -m"):
        presence.load()
    assert presence.NAME not in sys.modules


def test_variants_have_names_and_flags_of_their_own(tmp_path: Path) -> None:
    plain, address, thread = build.Variant(), build.Variant("address"), build.Variant("thread", debug=True)
    assert [each.name for each in (plain, address, thread)] == ["release", "address", "thread-debug"]
    assert build.Variant(debug=True).name == "debug"
    assert plain.compile_flags(build.OURS) == build.OURS
    assert {"-fsanitize=address", "-O1", "-DNDEBUG"} <= set(address.compile_flags(build.OURS))
    assert {"-DNDEBUG", "-DNB_COMPACT_ASSERTIONS"}.isdisjoint(thread.compile_flags(build.OURS))
    assert "-Wl,-s" in plain.link_flags()
    assert thread.link_flags() == ("-pthread", "-fsanitize=thread")
    both = "$(g++ -print-file-name=libtsan.so) $(g++ -print-file-name=libstdc++.so)"
    wanted = f'LD_PRELOAD="{both}" LGH_BRIDGE={tmp_path}'
    assert thread.environment(tmp_path) == wanted


@pytest.mark.parametrize("arguments", [[], ["--sanitize", "address"]])
def test_by_hand_a_reason_is_an_error(
    arguments: list[str], clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(build.SKIP, "0")
    monkeypatch.setattr(build, "HERE", clone)
    assert build.main(arguments) == 2
    assert "was not built since LGH_NATIVE=0 was set." in capsys.readouterr().err


STUB = """
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include "loadgen.h"
#include "version.h"
NB_MODULE(_bridge, m) {
  m.def("loadgen_version", [] { return mlperf::LoadgenVersion(); });
  m.def("complete", [] { mlperf::QuerySamplesComplete(nullptr, 0); });
}
"""


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(600)
def test_the_real_thing_compiles_and_stands_beside_the_wheel(clone: Path) -> None:
    pytest.importorskip("nanobind", reason="nanobind is needed to build by hand only")
    (clone / "src/module.cc").write_text(STUB)
    assert build.install(clone, lambda _: None) == ""
    assert presence.missing(clone) == ""
    program = "import _bridge, mlperf_loadgen; print(_bridge.loadgen_version())"
    done = subprocess.run([sys.executable, "-c", program], cwd=clone, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sources.VERSION
