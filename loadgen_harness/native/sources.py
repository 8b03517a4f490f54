"""LoadGen's own C++ sources, unaltered: from LOADGEN_SRC or its source distribution, every file checked by digest."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from loadgen_harness.native.presence import NoBridge

VERSION = "6.0.17"
VARIABLE = "LOADGEN_SRC"
ARCHIVE = f"mlcommons_loadgen-{VERSION}.tar.gz"
DIGESTS = Path(__file__).with_name("loadgen.sha256")  # of the archive and of every file that is compiled
PIP_S = 300.0


def unaltered(folder: Path) -> list[Path]:
    """LoadGen's files in `folder`, put there from where they can be had; raises NoBridge."""
    files = {name: digest for name, digest in digests().items() if name != ARCHIVE}
    given = os.environ.get(VARIABLE, "")
    if given or not _intact(folder, files):
        contents = _given(Path(given), files) if given else _downloaded(files)
        _write(folder, contents)
    return [folder / name for name in files]


def digests() -> dict[str, str]:
    """SHA-256 by file name, from the table beside this module (in sha256sum's own form)."""
    pairs = (line.split(maxsplit=1) for line in DIGESTS.read_text(encoding="ascii").splitlines())
    return {name: digest for digest, name in pairs}


def _intact(folder: Path, files: dict[str, str]) -> bool:
    return all((folder / name).is_file() and _sha256((folder / name).read_bytes()) == files[name] for name in files)


def _given(source: Path, files: dict[str, str]) -> dict[str, bytes]:
    if not source.is_file() and not (source / "loadgen.cc").is_file():
        raise NoBridge(f"{VARIABLE} names {source}, which is neither a folder with loadgen.cc nor {ARCHIVE}")
    try:
        if source.is_file():
            return _of_archive(source, files)
        contents = {name: (source / name).read_bytes() for name in files}
    except OSError as error:
        raise NoBridge(f"{VARIABLE} lacks a readable file of LoadGen {VERSION} ({error})") from error
    return _checked(contents, files, source)


def _of_archive(archive: Path, files: dict[str, str]) -> dict[str, bytes]:
    found, wanted = _sha256(archive.read_bytes()), digests()[ARCHIVE]
    if found != wanted:
        seen = f"SHA-256 {found[:12]}…, not {wanted[:12]}…"
        raise NoBridge(f"{archive} is not LoadGen {VERSION}'s source distribution ({seen})")
    root = ARCHIVE.removesuffix(".tar.gz")
    contents = {}
    with tarfile.open(archive) as tar:
        for name in files:  # read by name, so that no path of the archive reaches the disk
            member = tar.extractfile(f"{root}/{name}")
            contents[name] = member.read() if member else b""
    return _checked(contents, files, archive)


def _checked(contents: dict[str, bytes], files: dict[str, str], origin: Path) -> dict[str, bytes]:
    altered = [name for name, content in contents.items() if _sha256(content) != files[name]]
    if altered:
        raise NoBridge(
            f"{origin} differs from LoadGen {VERSION} in {', '.join(altered)}: only unaltered sources are used"
        )
    return contents


def _downloaded(files: dict[str, str]) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="lgh-loadgen-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
        command += ["--retries=1", "--no-deps", "--no-binary=mlcommons-loadgen", f"--dest={folder}"]
        command += [f"mlcommons-loadgen=={VERSION}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoBridge(f"pip could not fetch LoadGen's sources ({error})") from error
        archive = next(Path(folder).glob("*.tar.gz"), None)
        if done.returncode or archive is None:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            said = last.removeprefix("ERROR: ")
            raise NoBridge(f"pip could not fetch LoadGen's sources ({said}; offline, set {VARIABLE} to {ARCHIVE})")
        return _of_archive(archive, files)


def _write(folder: Path, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        file = folder / name
        if file.is_file() and file.read_bytes() == content:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(file)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
