"""The digest of a model covers every file that its weights lie in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from loadgen_harness import weights


def test_one_file_has_its_own_digest(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"weights")
    assert weights.digest(model) == hashlib.sha256(b"weights").hexdigest()
    assert weights.digest(None) == ""


@pytest.mark.parametrize(
    ("name", "other"),
    [("m.onnx", "m.onnx.data"), ("m.onnx", "m.data"), ("m.xml", "m.bin"), ("saved_model.pb", "variables/v.data")],
)
def test_weights_apart_change_it(tmp_path: Path, name: str, other: str) -> None:
    model, apart = tmp_path / name, tmp_path / other
    apart.parent.mkdir(exist_ok=True)
    model.write_bytes(b"graph")
    apart.write_bytes(b"1")
    before = weights.digest(model)
    apart.write_bytes(b"2")
    assert weights.digest(model) != before


def test_a_task_model_counts_with_its_assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks._data import assets

    model, asset = tmp_path / "torch_model.py", tmp_path / "asset"
    asset.mkdir()
    model.write_text("def model(): ...\n")
    (asset / "w.safetensors").write_bytes(b"1")
    monkeypatch.setattr(assets, "resolve", lambda name: asset)
    before = weights.digest(model, ("some",))
    (asset / "w.safetensors").write_bytes(b"2")
    assert weights.digest(model, ("some",)) != before
    assert weights.digest(model) == hashlib.sha256(model.read_bytes()).hexdigest()
