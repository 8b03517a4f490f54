"""Resolves pinned assets to folders of verified files: from the cache, a local folder, or the ordinary clients.

LGH_CACHE names the cache, LGH_ASSETS a folder of package files used instead of a download, LGH_OFFLINE=1 forbids one.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import tomllib
from importlib import resources
from pathlib import Path

from benchmarks._data.fetch import Asset, Progress, digest, download, unpack
from loadgen_harness.cache import home, locked
from loadgen_harness.errors import BadInput, UnknownName

MANIFEST = "manifest.json"


@functools.cache
def catalogue() -> dict[str, Asset]:
    """All pinned assets by name."""
    text = (resources.files("benchmarks._data") / "assets.toml").read_text(encoding="utf-8")
    return {name: parse(name, table) for name, table in tomllib.loads(text).items()}


def parse(name: str, table: dict[str, object]) -> Asset:
    """An Asset from its TOML table."""
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    return Asset(name=name, **{**table, **lists})  # type: ignore[arg-type]


def describe(name: str) -> str:
    """One line for people: package, version, client, size and licence."""
    asset = _asset(name)
    return f"{name}: {asset.package} {asset.version} ({asset.source}, {asset.bytes / 1e6:.1f} MB), {asset.licence}"


def resolve(
    name: str, *, folder: Path | None = None, offline: bool = False, on_progress: Progress | None = None
) -> Path:
    """The folder of an unpacked, digest-verified asset; raises UnknownName, or BadInput naming the remedy.

    `folder` holds package files that are used instead of a download. Safe to call from several processes at once.
    """
    asset = _asset(name)
    target = home() / asset.folder
    if not (target / MANIFEST).is_file():
        with locked(target):
            if not (target / MANIFEST).is_file():  # another process may have built it meanwhile
                work = target.with_name(target.name + ".part")
                package = _package(asset, work, folder or _local(), offline or _offline(), on_progress)
                _build(asset, package, work, target)
    return verified(asset, target)


@functools.cache
def verified(asset: Asset, target: Path) -> Path:
    """`target`, its files checked once per process against its manifest; raises BadInput for a damaged one."""
    remedy = f"delete {target} and run again."
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        package, files = manifest["sha256"], manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"asset {asset.name} has an unreadable manifest ({error}): {remedy}") from error
    if package != asset.sha256 or set(manifest.get("members", files)) != set(asset.members):
        raise BadInput(f"asset {asset.name} in the cache was unpacked from another pin: {remedy}")
    for member, wanted in files.items():
        path = target / member
        if not path.is_file() or digest(path) != wanted:
            raise BadInput(f"asset {asset.name} is damaged ({member} is missing or altered): {remedy}")
    return target


def _asset(name: str) -> Asset:
    if name not in catalogue():
        raise UnknownName("asset", name, catalogue())
    return catalogue()[name]


def _local() -> Path | None:
    return Path(os.environ["LGH_ASSETS"]) if os.environ.get("LGH_ASSETS") else None


def _offline() -> bool:
    return os.environ.get("LGH_OFFLINE", "") not in ("", "0")


def _package(asset: Asset, work: Path, local: Path | None, offline: bool, on_progress: Progress | None) -> Path:
    """The verified package file: from the local folder, an earlier interrupted attempt, or the client."""
    if local is not None:
        file = local / asset.file
        if not file.is_file():
            raise BadInput(f"asset {asset.name}: {asset.file} is not in {local}: put it there or unset LGH_ASSETS.")
        return _checked(asset, file, f"replace it by the file of {asset.package} {asset.version}")
    arrived = work / "arrived"
    kept = arrived / asset.file
    if kept.is_file() and digest(kept) == asset.sha256:
        return kept
    if offline:
        raise BadInput(f"asset {asset.name} is not in {home()} and LGH_OFFLINE forbids to fetch it: run once online.")
    shutil.rmtree(arrived, ignore_errors=True)
    arrived.mkdir(parents=True)
    file = _checked(asset, download(asset, arrived, on_progress), "the source changed or the transfer broke: run again")
    return file.rename(kept)


def _checked(asset: Asset, file: Path, remedy: str) -> Path:
    found = digest(file)
    if found != asset.sha256:
        raise BadInput(
            f"asset {asset.name}: {file.name} has SHA-256 {found[:16]}… where {asset.sha256[:16]}… is pinned: {remedy}."
        )
    return file


def _build(asset: Asset, package: Path, work: Path, target: Path) -> None:
    """Unpack into a folder beside the target, write the manifest last, rename."""
    fresh = work / "unpacked"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    files = {member: digest(fresh / member) for member in unpack(asset, package, fresh)}
    pinned = {"package": asset.file, "sha256": asset.sha256, "members": asset.members}
    manifest = {"asset": asset.name, **pinned, "files": files}
    (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    fresh.rename(target)
    shutil.rmtree(work)
