"""The TensorFlow backend, where TensorFlow is installed: signatures, archives, threads."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, UnknownName
from tests.backends import tiny

pytest.importorskip("tensorflow", reason="backend tensorflow: run `pip install tensorflow`.")
from loadgen_harness.backends import tensorflow as backend_module

OPTIONS = {"threads": "1"}  # TensorFlow keeps what the first backend of a process asked for


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny image model; a backend is made first, before TensorFlow starts."""
    backend_module.BACKEND(OPTIONS)
    return tiny.file("image", "saved_model.pb", tmp_path_factory.mktemp("tiny"))


def load(path: Path, **options: str) -> Any:
    """A backend that has loaded a file."""
    made = registry.load(registry.BACKENDS, "tensorflow")({**OPTIONS, **options})
    made.load(path, "cpu", "fp32")
    return made


def test_an_archive_is_the_folder(model: Path, tmp_path: Path) -> None:
    """Also one whose files lie in a folder of their own inside."""
    archive = Path(shutil.make_archive(str(tmp_path / "saved_model"), "zip", model.parent.parent, model.parent.name))
    batch = tiny.batch("image", 3)
    for path in (archive, model):
        for found, wanted in zip(load(path).predict(batch), tiny.reference("image", batch), strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "saved_model.zip", "w") as archive:
        archive.writestr("note.txt", "no model")
    with pytest.raises(BadInput, match=r"saved_model\.zip cannot be read"):
        load(tmp_path / "saved_model.zip")


def test_unknown_signature_and_devices(model: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'serving_default'"):
        load(model, signature="serving_defalt")
    with pytest.raises(BadInput, match="finds no device 'cpu:9'"):
        backend_module.BACKEND(OPTIONS).load(model, "cpu:9", "fp32")


def test_what_ran(model: Path) -> None:
    backend = load(model, xla="true")
    backend.predict(tiny.batch("image", 2))
    said = backend.describe()
    assert said["mode"] == "graph, compiled by XLA" and said["provider"] == "device:CPU:0"


def test_threads_are_made_once_per_process() -> None:
    backend_module.BACKEND(OPTIONS)
    with pytest.raises(BadInput, match="in this process and keeps them"):
        backend_module.BACKEND({"threads": "77"})
