"""Models are broken by the seed alone, keep their shapes, and answer otherwise than before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.auditee import models
from audit.auditee.models import ACTIVATION, broken
from loadgen_harness.backends import task_model
from loadgen_harness.errors import BadInput

TASK = """
import numpy as np

def model():
    return (lambda parameters, batch: [batch["input"] @ parameters["matrix"]]), {
        "bias": np.zeros(500), "matrix": np.arange(12.0).reshape(3, 4),
    }
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A tiny ONNX model: conv, relu, pooling, gemm."""
    pytest.importorskip("onnx", exc_type=ImportError)
    from tests.backends import tiny_onnx

    file = tmp_path / "image.onnx"
    tiny_onnx.write("image", file)
    return file


def weights(file: Path) -> dict[str, np.ndarray]:
    import onnx
    from onnx import numpy_helper

    return {each.name: numpy_helper.to_array(each) for each in onnx.load(str(file)).graph.initializer}


def test_the_largest_weight_of_an_onnx_model_is_shuffled(image: Path, tmp_path: Path) -> None:
    found = broken(image, tmp_path / "out", seed=1)
    assert found.path == tmp_path / "out" / "image.onnx"
    assert found.said == "the 108 weights of kernel shuffled (seed 1)"
    before, after = weights(image), weights(found.path)
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {"kernel"}
    assert after["kernel"].shape == before["kernel"].shape
    assert sorted(after["kernel"].ravel()) == sorted(before["kernel"].ravel())
    assert list((tmp_path / "out").iterdir()) == [found.path]


def test_the_seed_alone_decides(image: Path, tmp_path: Path) -> None:
    one, again, other = (
        broken(image, tmp_path / name, seed=seed).path.read_bytes() for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == again
    assert one != other


def test_an_activation_is_dropped(image: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", exc_type=ImportError)
    found = broken(image, tmp_path / "out", seed=1, way=ACTIVATION)
    assert found.said == "Relu dropped, number 1 of 1 activations"
    assert found.mild
    model = onnx.load(str(found.path))
    assert [node.op_type for node in model.graph.node] == ["Conv", "Identity", "GlobalAveragePool", "Flatten", "Gemm"]
    onnx.checker.check_model(model, full_check=True)
    with pytest.raises(BadInput, match="no activation"):
        broken(found.path, tmp_path / "more", seed=1, way=ACTIVATION)


def test_a_broken_model_runs_and_answers_otherwise(image: Path, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", exc_type=ImportError)
    from tests.backends import tiny

    pixels = {"pixels": tiny.batch("image", 2)["input"]}
    answers = []
    for way in (*models.WAYS, ""):
        file = broken(image, tmp_path / way, seed=1, way=way).path if way else image
        answers.append(runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, pixels)[0])
    assert not any(np.allclose(one, answers[-1]) for one in answers[:-1])
    assert all(one.shape == answers[-1].shape for one in answers)


def test_rows_of_a_gguf_model_trade_places(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf", exc_type=ImportError)
    source = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(source, "llama")
    matrix = np.arange(64 * 32, dtype=np.float32).reshape(64, 32)
    writer.add_tensor("norm", np.ones(32, np.float32))
    writer.add_tensor("matrix", matrix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = broken(source, tmp_path / "out", seed=3)
    assert found.said == "the 64 rows of matrix shuffled (seed 3)"
    tensors = {each.name: each.data for each in gguf.GGUFReader(found.path).tensors}
    assert not np.array_equal(tensors["matrix"], matrix)
    assert sorted(map(tuple, tensors["matrix"].tolist())) == sorted(map(tuple, matrix.tolist()))
    assert np.array_equal(tensors["norm"], np.ones(32, np.float32))
    assert {each.name: each.data for each in gguf.GGUFReader(source).tensors}["matrix"].tolist() == matrix.tolist()


def test_a_tasks_own_model_is_broken_by_a_file_that_wraps_it(tmp_path: Path) -> None:
    source = tmp_path / "task" / "jax_model.py"
    source.parent.mkdir()
    source.write_text(TASK)
    found = broken(source, tmp_path / "out", seed=1)
    assert found.path.name == "jax_model.py"
    (_, before), (_, after) = task_model(source), task_model(found.path)
    assert not np.array_equal(before["matrix"], after["matrix"])
    assert sorted(before["matrix"].ravel()) == sorted(after["matrix"].ravel())
    assert np.array_equal(before["bias"], after["bias"])


def test_a_torch_module_is_shuffled_in_place() -> None:
    torch: Any = pytest.importorskip("torch", exc_type=ImportError)
    module = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Linear(4, 2))
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    made = models.shuffled_model(module, 1)
    after = dict(made.named_parameters())
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["0.weight"]
    assert sorted(after["0.weight"].flatten().tolist()) == sorted(before["0.weight"].flatten().tolist())


def test_other_formats_are_refused_with_the_remedy(tmp_path: Path) -> None:
    for name in ("model.tflite", "model.xml", "model.engine", "config.json"):
        file = tmp_path / name
        file.write_bytes(b"")
        with pytest.raises(BadInput, match="only ONNX and GGUF"):
            broken(file, tmp_path / "out", seed=1)
    with pytest.raises(BadInput, match="ONNX models only"):
        broken(tmp_path / "model.gguf", tmp_path / "out", seed=1, way=ACTIVATION)
    assert not (tmp_path / "out").exists()


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="two axes"):
        models.shuffled_model((lambda parameters, batch: [], {"bias": np.zeros(4)}), 1)
    with pytest.raises(BadInput, match="flat dict"):
        models.shuffled_model((lambda parameters, batch: [], [np.zeros((2, 2))]), 1)
