"""Every batch backend keeps what tests/backends/conformance.py states; the slow cases are other ways to run it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.backends.conformance import CHECKS, Case, Subject

FEW = (1, 3, 8)
DYNAMIC = {"buckets": "8", "quantizer": "dynamic"}

# XLA and TensorFlow make their threads once per process, so all of their cases ask for as many
FIRST = (  # one or two ways for each backend, in every `make test`
    Case("onnxruntime"),
    Case("onnxruntime", "int8", 0.05, {"cache": "none"}, kinds=("image", "wide"), cycles=3),
    Case("litert"),
    Case("jax", options={"threads": "1", "buckets": "2,8"}, cycles=3),
    Case("openvino"),
    Case("torch", cycles=5),
    Case("tensorflow", options={"threads": "1"}, cycles=3),
)
OTHERS = (
    Case("onnxruntime", options={"binding": "true"}),
    Case("litert", options={"xnnpack": "false"}),
    Case("jax", options={"threads": "1", "buckets": "4"}, format=".stablehlo", sizes=FEW, cycles=5),
    Case("jax", "bf16", 2e-2, {"threads": "1", "buckets": "4"}, sizes=FEW, cycles=3, may_fall_back=True),
    Case("jax", "fp16", 3e-3, {"threads": "1", "buckets": "4"}, sizes=FEW, cycles=3, may_fall_back=True),
    Case("openvino", options={"hint": "throughput"}),
    Case("openvino", options={"shapes": "static"}, cycles=5),
    Case("openvino", format=".xml", cycles=5),
    Case("openvino", "bf16", 2e-2, cycles=4, may_fall_back=True),
    Case("openvino", "fp16", 3e-3, cycles=4, may_fall_back=True),
    Case("torch", "bf16", 2e-2, cycles=5),
    Case("torch", format=".pt2", cycles=5),
    Case("torch", "fp16", 3e-3, cycles=4),
    Case("torch", options={"buckets": "1,4", "channels_last": "true"}, cycles=4),
    Case("torch", options={"mode": "compile"}, sizes=FEW, cycles=2),
    Case("torch", "int8", 0.05, {"buckets": "8"}, sizes=FEW, cycles=2, kinds=("image",)),
    Case("torch", "int8", 0.05, DYNAMIC, sizes=FEW, cycles=2, kinds=("image",), may_fall_back=True),
    Case("tensorflow", options={"threads": "1"}, format="saved_model.pb", cycles=3),
    Case("tensorflow", options={"threads": "1", "xla": "true"}, sizes=FEW, cycles=3),
)
CASES = (*FIRST, *(pytest.param(case, marks=pytest.mark.slow) for case in OTHERS))


@pytest.fixture(scope="module", params=CASES, ids=str)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A backend, its models in a folder of its own."""
    with Subject(request.param, tmp_path_factory.mktemp("tiny")) as made:
        yield made


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conforms(subject: Subject, check: Callable[[Subject], None]) -> None:
    check(subject)
