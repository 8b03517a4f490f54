"""The JAX backend: programs per batch size, exported functions, what XLA made of a precision."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, UnknownName
from tests.backends import tiny

pytest.importorskip("jax")
import jax

from loadgen_harness.backends import jax as backend_module

OPTIONS = {"threads": "1"}  # JAX keeps what the first backend of a process asked for


def load(path: Path, precision: str = "fp32", **options: str) -> Any:
    """A backend that has loaded a file."""
    made = registry.load(registry.BACKENDS, "jax")({**OPTIONS, **options})
    made.load(path, "cpu", precision)
    return made


def wide(folder: Path) -> Path:
    """The tiny model that compiles fastest."""
    return tiny.file("wide", "jax_model.py", folder)


def test_memory_is_not_taken_in_advance() -> None:
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_batches_become_pieces_of_few_programs(tmp_path: Path) -> None:
    backend = load(wide(tmp_path), buckets="2, 4")
    for size in (1, 2, 3, 4, 4, 7, 9):
        batch = tiny.batch("wide", size)
        (found,) = backend.predict(batch)
        np.testing.assert_allclose(found, tiny.reference("wide", batch)[0], atol=1e-4)
    said = backend.describe()
    assert said["compiled"].startswith("2 programs in ") and said["recompiled"] == "2"


def test_a_calibration_set_tells_the_shapes(tmp_path: Path) -> None:
    def absent() -> list[Any]:
        raise BadInput("this benchmark has no calibration set.")

    for calibration, late in ((lambda: [tiny.batch("wide", 1)], "0"), (absent, "1"), (list, "1")):
        backend = backend_module.BACKEND({**OPTIONS, "buckets": "1,2"})
        backend.calibration = calibration
        backend.load(wide(tmp_path), "cpu", "fp32")
        backend.predict(tiny.batch("wide", 2))
        assert backend.describe().get("recompiled", "0") == late


def test_without_buckets_each_size_is_compiled(tmp_path: Path) -> None:
    backend = load(wide(tmp_path), buckets="")
    for size in (1, 3, 3):
        backend.predict(tiny.batch("wide", size))
    assert backend.describe()["compiled"].startswith("2 programs in ")


def test_bad_sizes() -> None:
    with pytest.raises(BadInput, match="must be sizes of batches"):
        backend_module.BACKEND({**OPTIONS, "buckets": "0,1"})


def test_what_xla_made_of_bf16(tmp_path: Path) -> None:
    """XLA computes bf16 in fp32 on CPUs without such units, which its program tells."""
    backend = load(wide(tmp_path), "bf16")
    backend.predict(tiny.batch("wide", 1))
    said = backend.describe()
    if "fallback" in said:
        assert said["fallback"] == "1 of 1 matrix products are not computed in bf16: fp32 1"
        assert said["precision"] == "fp32"
    else:
        assert said["precision"] == "bf16"


def test_an_exported_function_keeps_its_precision(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot be cast to bf16: export the model"):
        load(tiny.file("wide", ".stablehlo", tmp_path), "bf16")


def test_an_exported_function_needs_an_open_batch(tmp_path: Path) -> None:
    shape = {"features": jax.ShapeDtypeStruct((2, 4), np.float32)}
    (tmp_path / "fixed.stablehlo").write_bytes(jax.export.export(jax.jit(lambda batch: batch))(shape).serialize())
    with pytest.raises(BadInput, match=r"fixed\.stablehlo has a fixed batch axis"):
        load(tmp_path / "fixed.stablehlo")


def test_a_task_file_that_gives_no_pair(tmp_path: Path) -> None:
    (tmp_path / "jax_model.py").write_text("def model():\n    return 7\n", encoding="utf-8")
    with pytest.raises(BadInput, match="must give a pair of a function and its parameters"):
        load(tmp_path / "jax_model.py")


@pytest.mark.parametrize(
    ("device", "error", "words"),
    [("cuda", BadInput, r"choose cpu, or `pip install jax\[cuda\]`"), ("cpu:9", BadInput, "choose one of"),
     ("cpu:x", BadInput, "choose one of"), ("cppu", UnknownName, "did you mean 'cpu'")],
)  # fmt: skip
def test_absent_devices(device: str, error: type[Exception], words: str) -> None:
    if device == "cuda" and jax.default_backend() == "gpu":
        pytest.skip("there is a GPU")
    with pytest.raises(error, match=words):
        backend_module._device(device)


def test_threads_are_made_once_per_process() -> None:
    backend_module.BACKEND(OPTIONS)
    with pytest.raises(BadInput, match="in this process and keeps them"):
        backend_module.BACKEND({"threads": "77"})


def test_programs_are_kept(tmp_path: Path) -> None:
    before = jax.config.jax_compilation_cache_dir
    try:
        load(wide(tmp_path), cache=str(tmp_path / "programs")).close()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "programs")
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
