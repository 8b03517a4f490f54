"""The ONNX Runtime backend: INT8 from a calibration set, bound buffers, CUDA graphs on a stand-in, fallbacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, UnknownName
from tests.backends import tiny

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
import onnxruntime

from loadgen_harness.backends import onnxruntime as backend_module
from loadgen_harness.backends.onnxruntime import binding, models

DIGITS = Path(__file__).parents[2] / "benchmarks" / "digits" / "model"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny image model."""
    return tiny.file("image", ".onnx", tmp_path_factory.mktemp("tiny"))


def photos(count: int = 16) -> Iterator[dict[str, np.ndarray]]:
    """A calibration set."""
    return (tiny.batch("image", 1, seed) for seed in range(count))


def load(model: Path, precision: str, calibration: Any = photos, cache: str = "none", **options: str) -> Any:
    """A backend that has loaded a file."""
    made = registry.load(registry.BACKENDS, "onnxruntime")({"threads": "1", "cache": cache, **options})
    made.calibration = calibration
    made.load(model, "cpu", precision)
    return made


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_int8_says_what_it_was_made_with(image: Path, method: str) -> None:
    backend = load(image, "int8", method=method)
    said, batch = backend.describe(), tiny.batch("image", 5)
    assert said["calibration"].startswith(f"16 samples, {method}, sha256 ")
    assert said["quantisation"].startswith("qdq, per channel") and said["precision"] == "int8"
    assert ("7 bits" in said["quantisation"]) == models.short_of_bits()
    for found, wanted in zip(backend.predict(batch), tiny.reference("image", batch), strict=True):
        np.testing.assert_allclose(found, wanted, atol=0.2)
        assert np.abs(found - wanted).max() > 1e-4, "nothing was quantised"


def test_int8_is_made_once_per_model_and_set(image: Path, tmp_path: Path) -> None:
    for calibration in (photos, photos, lambda: photos(8)):
        load(image, "int8", calibration, cache=str(tmp_path)).close()
    assert len(list(tmp_path.glob("*.int8.onnx"))) == len(list(tmp_path.iterdir())) == 2


def test_the_cache_lies_beside_the_assets(monkeypatch: pytest.MonkeyPatch, image: Path, tmp_path: Path) -> None:
    monkeypatch.setenv("LGH_CACHE", str(tmp_path))
    load(image, "int8", cache="").close()
    assert len(list((tmp_path / "onnxruntime").glob("*.int8.onnx"))) == 1
    assert models.engines("none", image) == {}


def test_weights_beside_the_model_count(tmp_path: Path) -> None:
    model = tmp_path / "a.onnx"
    model.write_bytes(b"graph")
    before = models._digest(model)
    (tmp_path / "a.onnx.data").write_bytes(b"weights")
    assert models._digest(model) != before


@pytest.mark.parametrize(("calibration", "words"), [(None, "was given none"), (lambda: (), "set is empty")])
def test_int8_without_data(image: Path, calibration: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        load(image, "int8", calibration)


def test_a_file_in_int8_is_taken_as_it_is() -> None:
    said = load(next(DIGITS.glob("*int8.onnx")), "int8", None).describe()
    assert said["precision"] == "int8" and "calibration" not in said


def test_fp16_is_for_other_devices(image: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="computes fp16 in fp32"):
        load(image, "fp16")
    made = load(models.fp16(image, tmp_path).file, "fp32")
    batch = tiny.batch("image", 5)
    for found, wanted in zip(made.predict(batch), tiny.reference("image", batch), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-2)


def test_the_oldest_buffers_go(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "MOST", 2)
    backend = load(image, "fp32", binding="true")
    for size in (1, 2, 3, 3):
        backend.predict(tiny.batch("image", size))
    assert len(backend._bound._own.kept) == 2
    assert backend.describe()["prepared"] == "3 batch sizes"  # with the warm-up's, of one sample


@pytest.mark.parametrize(
    ("options", "words"),
    [({"cuda_graph": "true"}, "needs a CUDA device"), ({"provider_options": "fast"}, "is key=value,key=value")],
)
def test_options_that_do_not_fit(image: Path, options: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        load(image, "fp32", **options)


def test_unknown_method() -> None:
    with pytest.raises(UnknownName, match="did you mean 'entropy'"):
        backend_module.BACKEND({"method": "entropi"})


def test_device_numbers() -> None:
    assert backend_module._device_id("cuda:1") == {"device_id": "1"}
    with pytest.raises(BadInput, match="write it like cuda:1"):
        backend_module._device_id("cuda:x")


def test_settings_of_providers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, image: Path) -> None:
    """What would be handed to TensorRT on a machine that has it."""
    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    options = {"cuda_graph": "true", "cache": str(tmp_path), "provider_options": "trt_builder_optimization_level=5"}
    backend = backend_module.BACKEND({"provider": "tensorrt", **options})
    backend._precision = "fp16"
    engines = str(tmp_path / f"tensorrt-{models._digest(image)[:16]}")
    assert not backend.thread_safe
    assert backend._providers(image, "cuda:1") == [
        ("TensorrtExecutionProvider", {
            "device_id": "1", "trt_cuda_graph_enable": "1", "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": engines, "trt_timing_cache_enable": "1", "trt_fp16_enable": "1",
            "trt_builder_optimization_level": "5",
        }),
        ("CUDAExecutionProvider", {"device_id": "1"}),
    ]  # fmt: skip


class Part(SimpleNamespace):
    """Operators that one provider runs, as a session tells of them."""

    def get_nodes(self) -> list[SimpleNamespace]:
        """The operators."""
        return [SimpleNamespace(op_type=kind) for kind in self.kinds]


def test_operators_elsewhere_are_a_fallback() -> None:
    first = Part(ep_name="CUDAExecutionProvider", kinds=["Conv", "Relu", "Gemm"])
    other = Part(ep_name="CPUExecutionProvider", kinds=["NonZero", "NonZero"])
    for parts, words in (
        ([first], ""),
        ([first, other], "2 of 5 operators do not run on CUDAExecutionProvider: NonZero 2 (CPUExecutionProvider)"),
    ):
        session = SimpleNamespace(
            get_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
            get_provider_graph_assignment_info=lambda parts=parts: parts,
        )
        assert backend_module._elsewhere(session) == words


class Value:
    """An OrtValue of a device, whose memory is an array here."""

    def __init__(self, array: np.ndarray) -> None:
        """Hold it."""
        self.array = array

    def update_inplace(self, array: np.ndarray) -> None:
        """Copy to the device."""
        self.array[:] = array

    def numpy(self) -> np.ndarray:
        """Copy from the device."""
        return self.array.copy()


class Binding:
    """An IOBinding over one input and one output."""

    def __init__(self) -> None:
        """Nothing bound."""
        self.inputs: dict[str, Value] = {}
        self.output: Value | None = None
        self.fixed = False

    def bind_ortvalue_input(self, name: str, value: Value) -> None:
        """As ONNX Runtime's."""
        self.inputs[name] = value

    def bind_output(self, name: str, device: str, number: int) -> None:
        """The session makes the output's memory."""
        self.fixed = False

    def bind_ortvalue_output(self, name: str, value: Value) -> None:
        """The output's memory is this."""
        self.output, self.fixed = value, True

    def get_outputs(self) -> list[Value]:
        """The output."""
        return [self.output] if self.output else []

    def synchronize_inputs(self) -> None:
        """Nothing to wait for."""

    def synchronize_outputs(self) -> None:
        """Nothing to wait for."""


class Session:
    """Doubles its input; captures by the rules of CUDA graphs: fixed memory, one graph per id, replays as captured."""

    def __init__(self) -> None:
        """Nothing captured."""
        self.graphs: dict[int, tuple[Value, Value]] = {}
        self.plain = 0

    def io_binding(self) -> Binding:
        """A new one."""
        return Binding()

    def get_outputs(self) -> list[SimpleNamespace]:
        """One."""
        return [SimpleNamespace(name="doubled")]

    def run_with_iobinding(self, bound: Binding, options: Any) -> None:
        """Compute, capture or replay."""
        graph = options.graph if options else -1
        (source,) = bound.inputs.values()
        if graph == -1:
            self.plain += 1
            if not bound.fixed:
                bound.output = Value(np.zeros_like(source.array))
        else:
            if graph not in self.graphs:
                if not bound.fixed:
                    raise RuntimeError("capture needs fixed outputs")
                self.graphs[graph] = (source, bound.output)
            source, output = self.graphs[graph]
            if output is not bound.output:
                raise RuntimeError("a graph replays into the memory it was captured with")
        bound.output.array[:] = source.array * 2

    def release_captured_graph(self, graph: int) -> None:
        """Forget one."""
        del self.graphs[graph]


class Options:
    """RunOptions."""

    graph = -1

    def add_run_config_entry(self, key: str, value: str) -> None:
        """Only the graph's id counts."""
        self.graph = int(value) if key == "gpu_graph_id" else self.graph


def test_cuda_graphs_on_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "MOST", 2)
    value = SimpleNamespace(ortvalue_from_numpy=lambda array, device, number: Value(array))
    framework, session = SimpleNamespace(OrtValue=value, RunOptions=Options), Session()
    bound = binding.Bound(session, framework, binding.Place("cuda", 0), graphs=True)
    for size in (1, 2, 1, 2, 3, 3, 1):
        array = np.arange(size, dtype=np.float32) + size
        np.testing.assert_array_equal(bound.run({"x": array})[0], array * 2)
    assert session.plain == 4 and sorted(session.graphs) == [3, 4]  # sizes 1 and 2 went for 3, then 1 came anew
