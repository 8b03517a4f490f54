"""The TensorRT backend on stand-ins for TensorRT 10 and 11 and the CUDA runtime; never on the real ones."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import sys
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, MissingDependency, UnknownName
from tests.backends import tensorrt_standin as standin

ROWS = np.random.default_rng(0).random((100, 4), np.float32)
OURS = ("tensorrt", *(f"tensorrt.{part}" for part in ("build", "cache", "cuda", "lanes")))
NETWORK = {"inputs": {"image": [-1, 4]}, "layers": ["CONVOLUTION"]}

Use = Callable[..., Any]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Use]:
    """The backend's class with this version of TensorRT on this GPU."""
    monkeypatch.setenv("LGH_CACHE", str(tmp_path / "cache"))
    package = "loadgen_harness.backends"
    before = {name: sys.modules.pop(f"{package}.{name}", None) for name in OURS}

    def install(gpu: standin.Gpu, version: str = "10.13.3.9") -> Any:
        for name in OURS:
            sys.modules.pop(f"{package}.{name}", None)
        cuda = types.ModuleType(f"{package}.tensorrt.cuda")
        cuda.Cuda = functools.partial(standin.Cuda, gpu)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, cuda.__name__, cuda)
        monkeypatch.setitem(sys.modules, "tensorrt", standin.module(gpu, version))
        return importlib.import_module(f"{package}.tensorrt").BACKEND

    yield install
    for name, module in before.items():
        sys.modules.pop(f"{package}.{name}", None)
        if module is not None:
            sys.modules[f"{package}.{name}"] = module


@pytest.fixture
def gpu() -> standin.Gpu:
    return standin.Gpu()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path)


def written(folder: Path, name: str = "net.onnx", **changes: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(NETWORK | changes), encoding="utf-8")
    return path


def loaded(kind: Any, model: Path | None, precision: str = "fp32", device: str = "cuda", **options: str) -> Any:
    made = kind(options)
    made.calibration = lambda: iter([{"input": ROWS[:1]}, {"input": ROWS[1:2]}])
    made.load(model, device, precision)
    return made


def check(made: Any, *sizes: int) -> None:
    for size in sizes:
        double, total = made.predict({"input": ROWS[:size]})
        np.testing.assert_array_equal(double, ROWS[:size] * 2)
        np.testing.assert_allclose(total, ROWS[:size].sum(1), rtol=1e-6)
        assert double.flags.c_contiguous and double.flags.owndata


@pytest.mark.parametrize("version", ["10.13.3.9", "11.4.0.106"])
@pytest.mark.parametrize("mode", ["graph", "enqueue"])
@pytest.mark.parametrize("contexts", ["1", "3"])
def test_batches_of_any_size(use: Use, gpu: standin.Gpu, model: Path, version: str, mode: str, contexts: str) -> None:
    made = loaded(use(gpu, version), model, mode=mode, contexts=contexts)
    check(made, 1, 2, 3, 31, 32, 33, 100, 0)
    with ThreadPoolExecutor(4) as pool:
        for double, _ in pool.map(lambda n: made.predict({"image": ROWS[:n]}), range(1, 60)):
            np.testing.assert_array_equal(double, ROWS[: len(double)] * 2)
    said = made.describe()
    assert (said["version"], said["mode"], said["provider"]) == (
        version, mode, "NVIDIA Stand-in (compute capability 9.0)")  # fmt: skip
    assert said["typing"] == ("strong" if version.startswith("11") else "weak")
    assert "recompiled" not in said
    made.close()
    assert not gpu.memory_table and not gpu.queues


def test_a_graph_for_each_bucket_and_context(use: Use, gpu: standin.Gpu, model: Path) -> None:
    made = loaded(use(gpu), model, buckets="4,16,64")
    assert made.describe()["buckets"] == "4,16"
    assert gpu.captured == 4
    queued, launched = gpu.queued, gpu.launched
    check(made, 36)  # 16 + 16 + 4
    assert (gpu.queued - queued, gpu.launched - launched) == (0, 3)
    made.close()


def test_the_narrowest_profile_serves(use: Use, gpu: standin.Gpu, model: Path) -> None:
    made = loaded(use(gpu), model, profiles="1:1:1, 1:8:16", mode="enqueue", contexts="1")
    (build,) = gpu.builds
    assert [profile["image"] for profile in build["profiles"]] == [[(1, 4)] * 3, [(1, 4), (8, 4), (16, 4)]]
    check(made, 1, 16, 17)
    made.close()


def test_a_fixed_batch(use: Use, gpu: standin.Gpu, tmp_path: Path) -> None:
    made = loaded(use(gpu), written(tmp_path, inputs={"image": [2, 4]}))
    assert made.describe()["buckets"] == "2"
    check(made, 1, 2, 5, 0)
    made.close()


def test_other_open_axes(use: Use, gpu: standin.Gpu, tmp_path: Path) -> None:
    model = written(tmp_path, inputs={"image": [-1, -1]})
    with pytest.raises(BadInput, match="--option axes="):
        loaded(use(gpu), model)
    made = loaded(use(gpu), model, axes="1:4:8", buckets="2")
    assert gpu.builds[0]["profiles"][0]["image"] == [(1, 1), (32, 4), (32, 8)]
    check(made, 2)
    assert made.describe()["recompiled"] == "1"  # captured for 8, not 4
    with pytest.raises(BadInput, match="of shape"):
        made.predict({"input": np.zeros((2, 9), np.float32)})
    check(made, 5)
    made.close()


def test_bfloat16_outputs(use: Use, gpu: standin.Gpu, tmp_path: Path) -> None:
    made = loaded(use(gpu), written(tmp_path, outputs="BF16"))
    double, _ = made.predict({"input": ROWS[:3]})
    assert double.dtype == np.float32
    np.testing.assert_allclose(double, ROWS[:3] * 2, rtol=1e-2)


def test_engines_are_kept(use: Use, gpu: standin.Gpu, model: Path, tmp_path: Path) -> None:
    kind = use(gpu)
    assert loaded(kind, model).describe()["engine"].startswith("built in ")
    assert loaded(kind, model, mode="enqueue", contexts="1").describe()["engine"] == "cached"
    assert len(gpu.builds) == 1
    for options in ({"precision": "fp16"}, {"profiles": "1:8:8"}, {"level": "4"}):
        loaded(kind, model, **options)
    loaded(kind, written(tmp_path, note="altered"))
    assert len(gpu.builds) == 5
    loaded(use(gpu, "10.14.0.1"), model)
    loaded(use(standin.Gpu("NVIDIA Other")), model)
    assert len(gpu.builds) == 6
    assert {path.suffix for path in (tmp_path / "cache" / "tensorrt").iterdir()} == {".engine", ".cache", ".lock"}
    assert gpu.builds[1]["timings"] == b"t"  # those of the build before


def test_weights_beside_the_model_belong_to_it(use: Use, gpu: standin.Gpu, model: Path) -> None:
    kind, weights = use(gpu), model.with_name("net.onnx.data")
    for content in (b"1", b"2", b"2"):
        weights.write_bytes(content)
        loaded(kind, model)
    assert len(gpu.builds) == 2


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-3], lambda data: data[:50] + b"?" + data[51:], lambda data: b""]
)
def test_a_damaged_engine_is_built_again(
    use: Use, gpu: standin.Gpu, model: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    kind = use(gpu)
    loaded(kind, model)
    for path in (tmp_path / "cache" / "tensorrt").iterdir():
        if path.suffix in (".engine", ".cache"):
            path.write_bytes(damage(path.read_bytes()))
    check(loaded(kind, model), 3)
    assert len(gpu.builds) == 2
    loaded(kind, model)
    assert len(gpu.builds) == 2


def test_an_engine_that_tensorrt_refuses_is_built_again(
    use: Use, gpu: standin.Gpu, model: Path, tmp_path: Path
) -> None:
    kind = use(gpu)
    loaded(kind, model)
    from loadgen_harness.backends.tensorrt import cache

    (path,) = (tmp_path / "cache" / "tensorrt").glob("*.engine")
    cache.write(path, b"weak\nnonsense")
    check(loaded(kind, model), 3)
    assert len(gpu.builds) == 2


def test_foreign_timings_are_left_out(use: Use, gpu: standin.Gpu, model: Path, tmp_path: Path) -> None:
    kind = use(gpu)
    loaded(kind, model)
    from loadgen_harness.backends.tensorrt import cache

    (path,) = (tmp_path / "cache" / "tensorrt").glob("timings-*")
    cache.write(path, b"of another driver")
    loaded(kind, model, "fp16")
    assert gpu.builds[1]["timings"] == b""


@pytest.mark.parametrize(
    ("precision", "flags"),
    [("fp32", []), ("tf32", ["TF32"]), ("fp16", ["FP16"]), ("bf16", ["BF16"]), ("int8", ["FP16", "INT8"])],
)
def test_tensorrt_10_chooses_among_precisions(
    use: Use, gpu: standin.Gpu, model: Path, precision: str, flags: list[str]
) -> None:
    said = loaded(use(gpu), model, precision).describe()
    (build,) = gpu.builds
    assert (build["flags"], build["strong"], said["typing"]) == (flags, False, "weak")
    wanted = [float(ROWS[row].sum()) for row in (0, 1)] if precision == "int8" else []
    assert build["calibrated"] == pytest.approx(wanted)


@pytest.mark.parametrize("version", ["10.13.3.9", "11.4.0.106"])
@pytest.mark.parametrize(
    ("precision", "changes"),
    [("int8", {"layers": ["QUANTIZE", "DEQUANTIZE"]}), ("fp8", {"layers": ["QUANTIZE"]}), ("fp16", {"type": "HALF"}),
     ("bf16", {"type": "BF16"})],
)  # fmt: skip
def test_a_file_that_states_its_precision(
    use: Use, gpu: standin.Gpu, tmp_path: Path, version: str, precision: str, changes: dict[str, Any]
) -> None:
    made = loaded(use(gpu, version), written(tmp_path, **changes), precision)
    check(made, 3)
    (build,) = gpu.builds
    assert (build["strong"], build["flags"], made.describe()["typing"]) == (True, [], "strong")


def test_calibration_belongs_to_the_engine(use: Use, gpu: standin.Gpu, model: Path) -> None:
    kind = use(gpu)
    loaded(kind, model, "int8")
    other = kind({})
    other.calibration = lambda: iter([{"input": ROWS[5:6]}])
    other.load(model, "cuda", "int8")
    assert len(gpu.builds) == 2
    other.calibration = None
    with pytest.raises(BadInput, match="calibration set"):
        other.load(model, "cuda", "int8")
    other.calibration = lambda: iter([])
    with pytest.raises(BadInput, match="empty"):
        other.load(model, "cuda", "int8")


def test_tensorrt_11_needs_modelopt_for_other_precisions(
    use: Use, gpu: standin.Gpu, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = use(gpu, "11.4.0.106")
    for precision in ("fp16", "bf16", "int8"):
        with pytest.raises(MissingDependency, match=r"nvidia-modelopt\[onnx\]"):
            loaded(kind, model, precision)
    calls = _modelopt(monkeypatch)
    for precision in ("fp16", "bf16", "int8"):
        check(loaded(kind, model, precision), 3)
    assert calls == ["fp16", "bf16", "int8 image (2, 4) entropy"]
    assert all(build["strong"] for build in gpu.builds)


def _modelopt(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """ModelOpt's two functions, with the parameters of version 0.47; what they were called for."""
    calls: list[str] = []

    def convert_to_mixed_precision(onnx_path: str, low_precision_type: str, keep_io_types: bool) -> Any:
        calls.append(low_precision_type)
        return types.SimpleNamespace(SerializeToString=Path(onnx_path).read_bytes)

    def quantize(
        onnx_path: str, quantize_mode: str, calibration_data: dict[str, np.ndarray], calibration_method: str,
        calibration_eps: list[str], output_path: str,
    ) -> None:  # fmt: skip
        ((name, array),) = calibration_data.items()
        calls.append(f"{quantize_mode} {name} {array.shape} {calibration_method}")
        Path(output_path).write_bytes(Path(onnx_path).read_bytes())

    for name, function in {"autocast": convert_to_mixed_precision, "quantization": quantize}.items():
        made = types.ModuleType(f"modelopt.onnx.{name}")
        setattr(made, function.__name__, function)
        monkeypatch.setitem(sys.modules, made.__name__, made)
    return calls


def test_an_engine_from_a_file(use: Use, gpu: standin.Gpu, model: Path, tmp_path: Path) -> None:
    kind = use(gpu)
    loaded(kind, model, profiles="1:4:8")
    (stored,) = (tmp_path / "cache" / "tensorrt").glob("*.engine")
    plan = tmp_path / "net.plan"
    plan.write_bytes(stored.read_bytes().partition(b"\n")[2])
    made = loaded(kind, plan)
    check(made, 1, 8, 9)
    assert (made.describe()["engine"], made.describe()["buckets"]) == ("a file", "1,2,4,8")
    with pytest.raises(BadInput, match=r"net\.plan is no engine for TensorRT 11.*\.onnx"):
        loaded(use(gpu, "11.4.0.106"), plan)


UNUSABLE = [
    ({"unsupported": True}, "fp32", "Could not find any implementation for node"),
    ({"inputs": {"image": [-1, 4], "length": []}}, "fp32", "without a batch axis"),
    ({"open": True}, "fp32", "known only after computing"),
    ({}, "fp8", "Q/DQ pairs"),
]


@pytest.mark.parametrize(("changes", "precision", "reason"), UNUSABLE)
def test_unusable_models(
    use: Use, gpu: standin.Gpu, tmp_path: Path, changes: dict[str, Any], precision: str, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        loaded(use(gpu), written(tmp_path, **changes), precision)


def test_unusable_files(use: Use, gpu: standin.Gpu, tmp_path: Path) -> None:
    kind = use(gpu)
    broken = tmp_path / "broken.onnx"
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(BadInput, match=r"broken\.onnx cannot be read by TensorRT \(ModelProto could not be parsed\)"):
        loaded(kind, broken)
    for absent in (None, tmp_path / "absent.onnx"):
        with pytest.raises(BadInput, match="needs an ONNX file"):
            loaded(kind, absent)


REFUSED = [
    ({"profiles": "8"}, "smallest:best:largest"),
    ({"profiles": "8:4:16"}, "smallest:best:largest"),
    ({"axes": "many"}, "option axes"),
    ({"contexts": "0"}, "at least 1 context"),
    ({"level": "6"}, "level"),
    ({"buckets": "x"}, "such as 1,8,32"),
]


@pytest.mark.parametrize(("options", "reason"), REFUSED)
def test_refused_options(use: Use, gpu: standin.Gpu, model: Path, options: dict[str, str], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        loaded(use(gpu), model, **options)


def test_refused_names(use: Use, gpu: standin.Gpu, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = use(gpu)
    with pytest.raises(UnknownName, match="did you mean"):
        loaded(kind, model, mode="grap")
    with pytest.raises(UnknownName, match="did you mean"):
        loaded(kind, model, "fp61")
    with pytest.raises(BadInput, match="--device cuda"):
        loaded(kind, model, device="cpu")
    with pytest.raises(BadInput, match="install 10 or later"):
        loaded(use(gpu, "8.6.1"), model)
    with pytest.raises(BadInput, match="wants inputs image"):
        loaded(use(gpu), model).predict({"a": ROWS, "b": ROWS})
    with pytest.raises(BadInput, match="no model"):
        use(gpu)({}).predict({"input": ROWS})


def test_the_cache_cannot_be_written(use: Use, gpu: standin.Gpu, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BadInput, match="LGH_CACHE"):
        loaded(use(gpu), model, cache=str(tmp_path / "file"))


def test_what_is_missing_is_named() -> None:
    try:
        importlib.import_module("tensorrt")
        pytest.skip("TensorRT is installed")
    except ModuleNotFoundError:
        pass
    assert "tensorrt" in registry.missing(registry.BACKENDS, "tensorrt")
    with pytest.raises(MissingDependency, match="pip install tensorrt"):
        registry.load(registry.BACKENDS, "tensorrt")


def test_the_runtime_names_what_it_calls() -> None:
    """Every name that the wrapper uses exists in cuda-python; without a driver it says so in one sentence."""
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="pip install cuda-bindings")
    path = Path(registry.__file__).parent / "backends" / "tensorrt" / "cuda.py"
    spec = importlib.util.spec_from_file_location("cuda_by_itself", path)  # its package wants TensorRT
    assert spec and spec.loader
    cuda = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cuda)
    source = path.read_text(encoding="utf-8")
    used = {part.split("(")[0].split(".")[0] for part in source.replace(")", "(").split("runtime.")[2:]}
    assert not {name.strip(" ,:") for name in used if not hasattr(runtime, name.strip(" ,:"))}
    if runtime.cudaGetDeviceCount()[0] != runtime.cudaError_t.cudaSuccess:
        with pytest.raises(BadInput, match="check the driver"):
            cuda.Cuda(0)
