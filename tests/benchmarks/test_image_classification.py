"""Image classification: tables, pixels, answers and scores; the network in each framework; accuracies where made."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks._data import assets
from benchmarks.image_classification import BENCHMARK, architecture, qsl, weights
from benchmarks.image_classification.accuracy import score
from benchmarks.image_classification.sut import SUT
from loadgen_harness import cache, model_files, registry, rounds
from loadgen_harness.errors import BadInput, UnknownName
from loadgen_harness.types import Scenario, TestMode

Image = pytest.importorskip("PIL.Image", reason="pip install loadgen-harness[images]")
RIGHT = {  # first answer, first five: exporters and quantisers are deterministic, kernels nearly
    "efficientnet-lite0-fp32.onnx": (103, 124),
    "efficientnet-lite0-int8.onnx": (102, 119),
    "efficientnet-lite0-fp32.tflite": (103, 124),
    "efficientnet-lite0-int8.tflite": (104, 125),
}
SLACK = 2  # photos that other CPUs' INT8 kernels may round to the other side


def library() -> qsl.QSL:
    """The photos; the test skips unless they are cached."""
    for asset in BENCHMARK.assets:
        resolved(asset)
    return qsl.QSL(BENCHMARK.variant(Scenario.OFFLINE, TestMode.ACCURACY), None)


def resolved(asset: str) -> Path:
    try:
        return assets.resolve(asset, offline=True)
    except BadInput:
        pytest.skip(f"asset {asset} is not in the cache; a run of image_classification fetches it")


def test_tables() -> None:
    """116 stamps with classes that exist, 100 others to calibrate with, all below one of the asset's folders."""
    labelled, others = qsl.rows("labels.txt"), qsl.rows("calibration.txt")
    files = [file for file, *_ in labelled + others]
    assert (len(labelled), len(others), len(set(files))) == (116, 100, 216)
    assert all(0 <= int(number) < 1000 and name for _, number, name in labelled)
    assert len({number for _, number, _ in labelled}) == len({name for _, _, name in labelled})
    folders = [member.removesuffix("*.png") for member in assets.catalogue()["tuxpaint-stamps"].members]
    assert all(f"{qsl.STAMPS}/{file}".startswith(tuple(folders)) and file.endswith(".png") for file in files)


def test_round_agrees() -> None:
    rules = rounds.load("mini").rules(BENCHMARK.name)
    (target,) = rules.targets
    assert (target.metric, target.reference) == ("accuracy", pytest.approx(100 * 103 / 136, abs=1e-3))
    assert target.target == pytest.approx(0.99 * target.reference, abs=1e-3)
    assert {limits.accuracy_sample_count for limits in rules.limits.values()} == {136}


def test_every_file_has_its_maker() -> None:
    makers = (Path(qsl.__file__).parent / "make_models.py").read_text()
    for name in RIGHT:
        assert f'"{name}": ' in makers
    made = {file.partition(":")[2] for each in BENCHMARK.precisions for file in BENCHMARK.files(each) if ":" in file}
    assert made == set(RIGHT)


def test_pixels_are_put_on_white_and_cropped(tmp_path: Path) -> None:
    """A tall half-transparent picture: its middle square is left, white shines through."""
    picture = np.zeros((300, 100, 4), np.uint8)
    picture[100:200] = (255, 0, 0, 255)
    Image.fromarray(picture).save(tmp_path / "tall.png")
    pixels = qsl.pixels(tmp_path / "tall.png")
    assert (pixels.shape, pixels.dtype, pixels.flags.c_contiguous) == ((3, 224, 224), np.float32, True)
    red, green = (255 - 127) / 128, (0 - 127) / 128
    assert pixels[:, 112, 112].tolist() == pytest.approx([red, green, green])
    Image.fromarray(picture[:100]).save(tmp_path / "clear.png")
    assert (qsl.pixels(tmp_path / "clear.png") == 1).all()


@pytest.mark.parametrize("size", [(1, 7), (500, 333), (256, 256), (31, 4000)])
def test_pixels_of_any_shape(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size, 127).save(tmp_path / "grey.jpg")
    assert np.abs(qsl.pixels(tmp_path / "grey.jpg")).max() < 0.02


def test_five_answers_best_first() -> None:
    logits = np.zeros((2, 1000), np.float32)
    logits[0, [7, 3, 900, 5, 8]] = [5, 4, 3, 2, 1]
    logits[1, [11, 9, 400, 401]] = [1, 1, 2, 2]  # equal logits: the smaller class first
    logits[1, 999] = 0.5
    found = SUT.respond(object.__new__(SUT), [logits])
    assert found.tolist() == [[7, 3, 900, 5, 8], [400, 401, 9, 11, 999]]
    assert (found.dtype, found.flags.c_contiguous) == (np.int32, True)
    assert SUT.respond(object.__new__(SUT), [logits[:0]]).shape == (0, 5)


class Labels:
    """A library of labels alone: sample i shows class i."""

    def label(self, index: int) -> int:
        return index


def response(*classes: int) -> bytes:
    return np.array(classes, "<i4").tobytes()


def test_scores() -> None:
    responses = {5: response(5, 0, 0, 0, 0), 2: response(1, 9, 2, 0, 0), 9: response(0, 1, 2, 3, 4)}
    first, five = score(responses, Labels())  # type: ignore[arg-type]
    assert (first.metric, first.value, first.n, first.method) == ("accuracy", pytest.approx(100 / 3), 3, "Wilson")
    assert (five.metric, five.value) == ("top5", pytest.approx(200 / 3))
    assert first.low < first.value < first.high
    assert [each.name for each in BENCHMARK.metrics] == ["accuracy", "top5"]


@pytest.mark.parametrize("responses", [{}, {0: b"\1\0\0\0"}, {0: response(0, 1, 2, 3, 4), 1: b""}])
def test_odd_responses_are_one_sentence(responses: dict[int, bytes]) -> None:
    with pytest.raises(BadInput, match="repeat the AccuracyOnly run"):
        score(responses, Labels())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    return pytest.importorskip("torch", reason="pip install loadgen-harness[torch]")


@pytest.fixture(scope="module")
def network(torch: ModuleType) -> Any:
    """The architecture with random weights and lively batch norms, not folded."""
    from benchmarks.image_classification import torch_model

    torch.manual_seed(1)
    made = torch_model.EfficientNetLite0().eval()
    for name, tensor in made.state_dict().items():
        if ".norm." in name and tensor.dtype.is_floating_point:
            tensor.uniform_(0.5, 1.5)
    return made


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Two small inputs: nothing in the network but strides depends on the size."""
    return np.random.default_rng(3).normal(size=(2, 3, 64, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def wanted(torch: ModuleType, network: Any, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(images)))


def test_architecture_is_the_published_one(network: Any) -> None:
    """Sixteen blocks and 4,652,008 parameters in 296 tensors, as many as the published file holds."""
    assert len(architecture.blocks()) == 16
    assert sum(each.numel() for each in network.parameters()) == 4_652_008
    assert len(network.state_dict()) == 296


def test_folding_changes_nothing(torch: ModuleType, network: Any, images: np.ndarray, wanted: np.ndarray) -> None:
    import copy

    folded = copy.deepcopy(network).folded()
    with torch.inference_mode():
        np.testing.assert_allclose(folded(torch.from_numpy(images)), wanted, rtol=1e-3, atol=1e-4)
    assert not [name for name in folded.state_dict() if ".norm." in name]


def test_jax_computes_the_same(network: Any, images: np.ndarray, wanted: np.ndarray) -> None:
    jax = pytest.importorskip("jax", reason="pip install loadgen-harness[jax]")
    from benchmarks.image_classification import jax_model

    state = {name: np.asarray(tensor) for name, tensor in network.state_dict().items()}
    arguments = jax_model.folded(state), {"input": images}
    quickly = {"xla_backend_optimization_level": 0}  # compiles in half the time
    (logits,) = jax.jit(jax_model.classify).lower(*arguments).compile(compiler_options=quickly)(*arguments)
    np.testing.assert_allclose(logits, wanted, rtol=1e-3, atol=1e-4)


@pytest.fixture
def saved(torch: ModuleType, tmp_path: Path) -> Iterator[Path]:
    """A file as PyTorch 1.5 wrote it: a transposed tensor, two that share a storage, a scalar."""
    both = torch.arange(6.0)
    state = {
        "turned": torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
        "first": both[:4],
        "last": both[2:],
        "count": torch.tensor(7),
    }
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    yield tmp_path / "old.pth"


def test_weights_are_read_without_torch(torch: ModuleType, saved: Path) -> None:
    found, loaded = weights.tensors(saved), torch.load(saved, weights_only=True)
    assert list(found) == list(loaded)
    for name, tensor in loaded.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)
        assert found[name].flags.c_contiguous


def test_damaged_weights_are_one_sentence(torch: ModuleType, saved: Path) -> None:
    whole = saved.read_bytes()
    for cut in (0, 10, 60, 300, len(whole) - 8):
        saved.write_bytes(whole[:cut])
        with pytest.raises(BadInput, match=r"old\.pth holds no weights"):
            weights.tensors(saved)
    torch.save({}, saved)  # the format of today
    with pytest.raises(BadInput, match="fetch it anew"):
        weights.tensors(saved)


class Evil:
    """What a hostile file would hold."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.mkdir, ("never",)


def test_nothing_but_tensors_is_unpickled(tmp_path: Path) -> None:
    parts = (weights.MAGIC, weights.PROTOCOL, {"little_endian": True}, {"weight": Evil()}, [])
    (tmp_path / "evil.pth").write_bytes(b"".join(pickle.dumps(each, 2) for each in parts))
    with pytest.raises(BadInput, match="it asks for"):
        weights.tensors(tmp_path / "evil.pth")


@pytest.mark.parametrize(("offset", "shape", "strides"), [(0, (3,), (1,)), (-1, (1,), (1,)), (0, (2, 2), (2, -1))])
def test_tensors_stay_in_their_storage(offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="out of its storage"):
        weights._tensor(np.zeros(2, np.float32), offset, shape, strides)


def test_published_weights_load_strictly(torch: ModuleType) -> None:
    from benchmarks.image_classification import torch_model

    file = resolved(architecture.ASSET) / architecture.FILE
    state = torch_model.plain().state_dict()
    assert state.keys() == {architecture.renamed(key) for key in weights.tensors(file)}
    for key, array in weights.tensors(file).items():
        np.testing.assert_array_equal(state[architecture.renamed(key)].numpy(), array, strict=True)


@pytest.fixture(scope="module")
def photos() -> qsl.QSL:
    """The library with all its photos in RAM."""
    made = library()
    made.load(range(136))
    return made


def test_photos(photos: qsl.QSL) -> None:
    assert photos.total_count == photos.performance_count == 136
    assert [photos.label(index) for index in (0, 115, 116, 135)] == [8, 751, 243, 305]
    assert all(file.is_file() for file, _ in photos.photos)
    calibration = list(photos.calibration())
    assert len(calibration) == 100 and calibration[0].shape == photos.read(0).shape


def test_unknown_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript", reason="pip install loadgen-harness[export]")
    make_models = pytest.importorskip("benchmarks.image_classification.make_models")
    with pytest.raises(UnknownName, match=r"int8\.onnx"):
        make_models.make("efficientnet-lite0-int8.onx", Path("never"))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if "tflite" in name else []) for name in RIGHT]
)
def test_accuracy_of_made_files(name: str, photos: qsl.QSL) -> None:
    """What was made here answers as README says; nothing is made for this test."""
    kind = {"onnx": "onnxruntime", "tflite": "litert"}[name.rpartition(".")[2]]
    pytest.importorskip({"onnxruntime": "onnxruntime", "litert": "ai_edge_litert"}[kind])
    if not (cache.home() / model_files.MADE / f"{BENCHMARK.name}-{BENCHMARK.recipe}" / name / "made.json").is_file():
        pytest.skip(f"{name} was not made yet; a run of image_classification makes it")
    backend = registry.load(registry.BACKENDS, kind)({"threads": "2"})
    backend.load(model_files.locate(BENCHMARK, f"made:{name}"), "cpu", "int8" if "int8" in name else "fp32")
    sut = SUT(backend, photos, None)  # type: ignore[arg-type]
    answers = np.concatenate([sut.answer(range(start, start + 17)) for start in range(0, 136, 17)])
    backend.close()
    slack = SLACK if "int8" in name else 0
    found = score({index: row.tobytes() for index, row in enumerate(answers)}, photos)
    assert [round(each.value * 1.36) for each in found] == pytest.approx(RIGHT[name], abs=slack)
