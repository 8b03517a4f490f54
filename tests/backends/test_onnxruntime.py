"""The ONNX Runtime backend on the digit classifier that ships with the suite."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from loadgen_harness import registry
from loadgen_harness.errors import BadInput, MissingDependency, UnknownName

pytest.importorskip("onnxruntime")

MODEL = Path(__file__).parents[2] / "benchmarks" / "digits" / "model" / "digits-fp32.onnx"
IMAGES = np.random.default_rng(0).random((8, 1, 28, 28), np.float32)


def backend(device: str = "cpu", model: Path | None = MODEL, **options: str):  # type: ignore[no-untyped-def]
    made = registry.load(registry.BACKENDS, "onnxruntime")({"threads": "1", **options})
    made.load(model, device, "fp32")
    return made


@pytest.fixture(scope="module")
def plain():  # type: ignore[no-untyped-def]
    made = backend()
    yield made
    made.close()


def test_unnamed_input_goes_to_the_only_one(plain) -> None:  # type: ignore[no-untyped-def]
    (unnamed,) = plain.predict({"input": IMAGES})
    (named,) = plain.predict({"image": IMAGES})
    assert unnamed.shape == (8, 10)
    np.testing.assert_array_equal(unnamed, named)


def test_batch_does_not_change_answers(plain) -> None:  # type: ignore[no-untyped-def]
    (together,) = plain.predict({"input": IMAGES})
    alone = np.concatenate([plain.predict({"input": IMAGES[i : i + 1]})[0] for i in range(8)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)


def test_several_threads_at_once(plain) -> None:  # type: ignore[no-untyped-def]
    assert plain.thread_safe
    (expected,) = plain.predict({"input": IMAGES})
    with ThreadPoolExecutor(4) as pool:
        for (found,) in pool.map(lambda _: plain.predict({"input": IMAGES}), range(40)):
            np.testing.assert_array_equal(found, expected)


def test_describe_says_what_runs() -> None:
    said = backend(threads="2", graph="basic", parallel="true", inter_threads="1", spinning="false").describe()
    assert said["provider"] == "CPUExecutionProvider"
    assert (said["threads"], said["inter_threads"], said["graph"]) == ("2", "1", "basic")
    assert (said["parallel"], said["spinning"], said["precision"]) == ("true", "false", "fp32")
    assert said["version"]


@pytest.mark.parametrize("graph", ["all", "extended", "basic", "off"])
def test_graph_levels_agree(plain, graph: str) -> None:  # type: ignore[no-untyped-def]
    (found,) = backend(graph=graph).predict({"input": IMAGES})
    np.testing.assert_allclose(found, plain.predict({"input": IMAGES})[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "device", "package"),
    [({"provider": "openvino"}, "cpu", "openvino"), ({"provider": "TensorrtExecutionProvider"}, "cpu", "gpu"),
     ({}, "cuda", "onnxruntime-gpu"), ({}, "cuda:1", "onnxruntime-gpu")],
)  # fmt: skip
def test_missing_provider_names_its_package(options: dict[str, str], device: str, package: str) -> None:
    import onnxruntime

    if len(onnxruntime.get_available_providers()) > 2:
        pytest.skip("this build has more providers than the CPU's")
    with pytest.raises(MissingDependency, match=package):
        backend(device, **options)


def test_provider_by_its_full_name() -> None:
    assert backend("cuda", provider="CPUExecutionProvider").describe()["provider"] == "CPUExecutionProvider"


@pytest.mark.parametrize(
    ("options", "device"), [({"provider": "openvinno"}, "cpu"), ({}, "cpuu"), ({"graph": "al"}, "cpu")]
)
def test_misspelt_names(options: dict[str, str], device: str) -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        backend(device, **options)


def test_fallback_to_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is built in but does not start: ONNX Runtime itself only warns."""
    import onnxruntime

    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"), pytest.raises(BadInput, match="fell back to CPU"):
        backend("cuda")


def test_corrupt_model(tmp_path: Path) -> None:
    for size in (0, 100, 20_000):
        broken = tmp_path / f"broken{size}.onnx"
        broken.write_bytes(MODEL.read_bytes()[:size])
        with pytest.raises(BadInput, match=rf"broken{size}\.onnx cannot be used"):
            backend(model=broken)


@pytest.mark.parametrize("model", [None, Path("absent.onnx")])
def test_absent_model(model: Path | None) -> None:
    with pytest.raises(BadInput, match="needs an ONNX file"):
        backend(model=model)


@pytest.mark.parametrize("options", [{"threads": "-1"}, {"threads": "many"}, {"thread": "1"}, {"parallel": "maybe"}])
def test_bad_options(options: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="onnxruntime"):
        backend(**options)
