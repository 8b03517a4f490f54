"""The digest of a model: of every file that its weights lie in, not of one file alone that a backend is given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

BESIDE = {".onnx": (".onnx.data", ".onnx_data", ".data"), ".xml": (".bin",)}  # weights kept in a file apart
WHOLE_FOLDER = ("saved_model.pb", "config.json")  # TensorFlow's and transformers' models are folders


def digest(model: Path | None, assets: Sequence[str] = ()) -> str:
    """SHA-256 of a model: of its file, or where it has several, of the lines "name digest" of all; empty for none.

    A task's own model (a `.py` file) counts with the task's assets, where its weights come from.
    """
    if model is None:
        return ""
    from benchmarks._data import fetch

    files = sorted(set(_files(model, assets)))
    if len(files) == 1:
        return fetch.digest(files[0])
    lines = "".join(f"{path.name} {fetch.digest(path)}\n" for path in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _files(model: Path, assets: Sequence[str]) -> Iterator[Path]:
    if model.is_dir() or model.name in WHOLE_FOLDER:
        yield from _below(model if model.is_dir() else model.parent)
        return
    yield model
    for ending in BESIDE.get(model.suffix, ()):
        yield from (path for path in (model.with_suffix(ending),) if path.is_file())
    if model.suffix == ".py":
        from benchmarks._data import assets as known

        for name in assets:
            yield from _below(known.resolve(name))


def _below(folder: Path) -> Iterator[Path]:
    """Every file of a folder but hidden ones, such as the record that an asset is complete."""
    return (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
