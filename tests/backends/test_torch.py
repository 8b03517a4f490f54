"""The PyTorch backend on a tiny model of its own; CUDA's stages on a stand-in for the device."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, UnknownName

torch = pytest.importorskip("torch", reason="pip install torch==2.13.0")

SOURCE = '''
"""A convolution and a linear layer."""
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.out = torch.nn.Linear(8 * 8 * 8, 10)

    def forward(self, image):
        hidden = torch.relu(self.conv(image))
        return self.out(hidden.flatten(1)), hidden

def model():
    torch.manual_seed(0)
    return Net().eval()
'''
PAIR = """
import torch

class Pair(torch.nn.Module):
    def forward(self, mask, ids):
        return (mask * ids).sum(1)

def model():
    return Pair().eval()
"""
IMAGES = np.random.default_rng(0).random((40, 3, 8, 8), np.float32)
SIZES = (1, 2, 3, 8, 9, 33, 40)
TOLERANCE = {"bf16": 2e-2, "fp16": 2e-3, "int8": 5e-2, "fp32": 1e-5, "tf32": 1e-5}


def written(folder: Path, source: str) -> Path:
    path = folder / "torch_model.py"
    path.write_text(source, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("net"), SOURCE)


@pytest.fixture(scope="module")
def expected(model: Path) -> list[np.ndarray]:
    from loadgen_harness.backends import task_model

    with torch.inference_mode():
        return [each.numpy() for each in task_model(model)(torch.from_numpy(IMAGES))]


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from loadgen_harness.backends import task_model

    path = tmp_path_factory.mktemp("exported") / "net.pt2"
    shapes = ({0: torch.export.Dim("n", min=1, max=1024)},)
    torch.export.save(torch.export.export(task_model(model), (torch.zeros(2, 3, 8, 8),), dynamic_shapes=shapes), path)
    return path


def backend(model: Path | None, precision: str = "fp32", device: str = "cpu", *, calibrated: bool = True, **options):  # type: ignore[no-untyped-def]
    made = registry.load(registry.BACKENDS, "torch")({"threads": "1", **options})
    if calibrated:
        made.calibration = lambda: ({"input": IMAGES[i : i + 1]} for i in range(8))
    made.load(model, device, precision)
    return made


def check(made, expected: list[np.ndarray], precision: str, sizes: tuple[int, ...] = SIZES) -> None:  # type: ignore[no-untyped-def]
    scale = [np.abs(each).max() for each in expected]
    for size in sizes:
        for found, wanted, unit in zip(made.predict({"input": IMAGES[:size]}), expected, scale, strict=True):
            assert found.shape == (size, *wanted.shape[1:])
            assert found.dtype == np.float32 and found.flags.c_contiguous
            np.testing.assert_allclose(found / unit, wanted[:size] / unit, atol=TOLERANCE[precision])
    assert [each.shape[0] for each in made.predict({"input": IMAGES[:0]})] == [0] * len(expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("options", [{}, {"buckets": "1,4,16"}, {"channels_last": "true", "deterministic": "true"}])
def test_eager(model: Path, expected: list[np.ndarray], precision: str, options: dict[str, str]) -> None:
    made = backend(model, precision, **options)
    check(made, expected, precision)
    said = made.describe()
    assert (said["mode"], said["precision"], said["threads"], said["device"]) == ("eager", precision, "1", "cpu")
    assert said.get("buckets", "") == options.get("buckets", "")
    assert not {"fallback", "recompiled"} & said.keys()
    made.close()
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_exported_program(exported: Path, expected: list[np.ndarray]) -> None:
    made = backend(exported, calibrated=False)
    check(made, expected, "fp32")
    with pytest.raises(AssertionError, match="Guard"):
        made.predict({"input": IMAGES[:, :, :4]})


@pytest.mark.slow
def test_compiled_for_any_size(model: Path, expected: list[np.ndarray]) -> None:
    made = backend(model, mode="compile")
    check(made, expected, "fp32")
    assert made.thread_safe
    with ThreadPoolExecutor(4) as pool:
        for logits, _ in pool.map(lambda _: made.predict({"input": IMAGES}), range(40)):
            np.testing.assert_allclose(logits, expected[0], atol=1e-5)
    said = made.describe()
    assert said["mode"] == "compile (default)"
    assert not {"fallback", "recompiled", "graph_breaks"} & said.keys()
    made.close()


def test_compiling_after_loading_is_told(exported: Path, model: Path) -> None:
    late = backend(model, calibrated=False, mode="compile", buckets="4")
    assert "recompiled" not in late.describe()
    late.predict({"input": IMAGES[:3]})
    assert late.describe()["recompiled"] == "1"
    late.predict({"input": IMAGES[:2]})
    assert late.describe()["recompiled"] == "1"
    late.close()
    assert late.describe()["recompiled"] == "1"


@pytest.mark.slow
def test_broken_graphs_are_told(tmp_path: Path) -> None:
    broken = SOURCE.replace("hidden = torch.relu", "torch._dynamo.graph_break()\n        hidden = torch.relu")
    made = backend(written(tmp_path, broken), mode="compile", buckets="2")
    said = made.describe()
    assert int(said["graph_breaks"]) >= 1
    assert "what lies there ran eagerly" in said["fallback"]
    made.close()


def test_static_int8(model: Path, expected: list[np.ndarray]) -> None:
    pytest.importorskip("torchao", reason="pip install torchao==0.18.0")
    made = backend(model, "int8", buckets="8")
    check(made, expected, "int8")
    said = made.describe()
    assert said["quantizer"].startswith("static (torchao ")
    assert (said["int8_layers"], said["mode"], said["precision"]) == ("2 of 2", "compile (default)", "int8")
    assert not {"fallback", "recompiled"} & said.keys()
    made.close()


@pytest.mark.slow
def test_dynamic_int8(exported: Path, expected: list[np.ndarray]) -> None:
    pytest.importorskip("torchao", reason="pip install torchao==0.18.0")
    made = backend(exported, "int8", quantizer="dynamic", calibrated=False, buckets="8")
    check(made, expected, "int8")
    said = made.describe()
    assert (said["int8_layers"], said["fallback"]) == ("1 of 2", "layers that stay in fp32: 1 conv2d")
    made.close()


def test_several_inputs_go_by_name(tmp_path: Path) -> None:
    made = backend(written(tmp_path, PAIR), calibrated=False, buckets="4")
    ids = np.arange(10, dtype=np.int64).reshape(5, 2)
    (found,) = made.predict({"ids": ids, "mask": np.array([[0, 1]] * 5)})
    np.testing.assert_array_equal(found, ids[:, 1])
    with pytest.raises(BadInput, match="first axis"):
        made.predict({"ids": ids, "mask": ids[:2]})


def test_a_read_only_batch_and_what_is_kept(model: Path, expected: list[np.ndarray]) -> None:
    made = backend(model)
    frozen = IMAGES[::-1]
    frozen.flags.writeable = False
    first = made.predict({"input": frozen})[0]
    made.predict({"input": IMAGES * 2})
    np.testing.assert_allclose(first, expected[0][::-1], atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"mode": "compile", "buckets": "4"}])
def test_memory_comes_back(model: Path, options: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from loadgen_harness.backends.torch import model as torch_model

    read, seen = torch_model.task_model, []

    def watched(path: Path):  # type: ignore[no-untyped-def]
        module = read(path)
        seen.append(weakref.ref(module.conv.weight))
        return module

    monkeypatch.setattr(torch_model, "task_model", watched)
    made = backend(model, **options)
    made.close()
    gc.collect()
    assert seen[0]() is None
    with pytest.raises(BadInput, match="no model"):
        made.predict({"input": IMAGES})


REFUSED = [
    ({"mode": "graph"}, "cpu", "fp32", "mode=compile"),
    ({}, "cpu", "tf32", "--precision fp32"),
    ({"mode": "eager"}, "cpu", "int8", "mode=compile"),
    ({"threads": "-1"}, "cpu", "fp32", "negative"),
    ({"buckets": "1,zero"}, "cpu", "fp32", "such as 1,8,32"),
    ({"buckets": "0"}, "cpu", "fp32", "such as 1,8,32"),
]


@pytest.mark.parametrize(("options", "device", "precision", "remedy"), REFUSED)
def test_refused(model: Path, options: dict[str, str], device: str, precision: str, remedy: str) -> None:
    with pytest.raises(BadInput, match=remedy):
        backend(model, precision, device, **options)


@pytest.mark.parametrize("options", [{"mode": "eagre"}, {"compile_mode": "max"}, {"quantizer": "statik"}])
def test_misspelt_options(model: Path, options: dict[str, str]) -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        backend(model, **options)


@pytest.mark.parametrize(("device", "precision"), [("cpuu", "fp32"), ("cpu", "fp23")])
def test_misspelt_names(model: Path, device: str, precision: str) -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        backend(model, precision, device)


def test_no_gpu(model: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(BadInput, match="--device cpu"):
        backend(model, device="cuda:1")


def test_static_int8_needs_calibration(model: Path) -> None:
    with pytest.raises(BadInput, match="calibration set"):
        backend(model, "int8", calibrated=False)


def test_unusable_files(tmp_path: Path, exported: Path) -> None:
    with pytest.raises(BadInput, match="needs a model file"):
        backend(None)
    with pytest.raises(BadInput, match=r"torch\.nn\.Module"):
        backend(written(tmp_path, "def model():\n    return 3\n"))
    for size in (0, 100, 3000):
        broken = tmp_path / f"broken{size}.pt2"
        broken.write_bytes(exported.read_bytes()[:size])
        with pytest.raises(BadInput, match=rf"broken{size}\.pt2 is no exported program"):
            backend(broken)
    fixed = SOURCE.replace("return self.out(hidden.flatten(1)), hidden", "raise RuntimeError('no such kernel.')")
    with pytest.raises(BadInput, match=r"eager at fp32 \(no such kernel\)"):
        backend(written(tmp_path, fixed))
    with pytest.raises(BadInput, match="first axis"):
        backend(written(tmp_path, SOURCE.replace("return self.out(hidden.flatten(1)), hidden", "return hidden.sum()")))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Backends that load "cuda" open the device that this function makes."""
    from loadgen_harness.backends import torch as module
    from tests.backends.torch_standin import StandIn

    def install(ahead: str = "") -> StandIn:
        made = StandIn(ahead)
        monkeypatch.setattr(module, "_open", lambda device: made)
        monkeypatch.setattr(module, "_provider", lambda device: "a stand-in")
        return made

    return install


@pytest.mark.parametrize("ahead", ["", "upload", "upload+compute", "download"])
@pytest.mark.parametrize("options", [{}, {"buckets": "4"}, {"mode": "graph", "buckets": "1,4"}, {"pinned": "false"}])
def test_stages_wait_for_each_other(  # type: ignore[no-untyped-def]
    model: Path, expected: list[np.ndarray], stand_in, ahead: str, options: dict[str, str]
) -> None:
    device = stand_in(ahead)
    made = backend(model, device="cuda", **options)
    check(made, expected, "fp32", (1, 9, 40))
    assert device.where == {"device", "pageable" if "pinned" in options else "pinned"}
    assert made.describe()["staging"] == ("pageable" if "pinned" in options else "pinned")
    made.close()


def test_one_capture_a_bucket(model: Path, expected: list[np.ndarray], stand_in) -> None:  # type: ignore[no-untyped-def]
    device = stand_in()
    made = backend(model, "tf32", device="cuda", mode="graph", buckets="8,1,4")
    assert device.captures == [(8, 10), (4, 10), (1, 10)]  # the largest first: its memory serves the others
    assert not made.thread_safe
    device.log.clear()
    made.predict({"input": IMAGES[:20]})  # 8 + 8 + 4
    assert len(device.captures) == 3
    assert [name for kind, name in device.log if kind == "compute"] == [
        "wait", "wait", "copy", "replay", "record"] * 3  # fmt: skip
    assert [name for kind, name in device.log if kind == "upload"] == ["copy", "record"] * 3
    said = made.describe()
    assert (said["graphs"], said["buckets"], said["mode"], said["precision"]) == ("3", "1,4,8", "graph", "tf32")
    assert "recompiled" not in said and int(said["device_peak_bytes"]) == device.peak > 0
    made.close()
    gc.collect()
    assert device.released and device.held == 0
    assert made.describe()["device_peak_bytes"] == said["device_peak_bytes"]


def test_a_late_capture_is_told(model: Path, expected: list[np.ndarray], stand_in) -> None:  # type: ignore[no-untyped-def]
    stand_in()
    made = backend(model, device="cuda", mode="graph", buckets="4", calibrated=False)
    check(made, expected, "fp32")
    assert made.describe()["recompiled"] == "1"
    made.close()


def test_threads_have_lanes_of_their_own(model: Path, expected: list[np.ndarray], stand_in) -> None:  # type: ignore[no-untyped-def]
    device = stand_in()
    made = backend(model, device="cuda")
    assert made.thread_safe and len(device._streams) == 3
    with ThreadPoolExecutor(1) as pool:
        (logits, _) = pool.submit(made.predict, {"input": IMAGES}).result()
    np.testing.assert_allclose(logits, expected[0], atol=1e-5)
    assert len(device._streams) == 6
    made.close()
