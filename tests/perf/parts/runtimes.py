"""Offline through LoadGen against a bare loop of the same runtime: EfficientNet-Lite0 in each that is installed."""

from __future__ import annotations

from loadgen_harness import registry
from tests.perf.parts.models import Model, compared
from tests.perf.ratios import Row
from tests.perf.session import Effort, Part, Session

BENCHMARK, BATCH, LONGER = "image_classification", 8, 4.0
WAYS = (
    ("onnxruntime fp32", "onnxruntime", "fp32", {}),
    ("onnxruntime int8", "onnxruntime", "int8", {}),
    ("torch eager fp32", "torch", "fp32", {"mode": "eager"}),
    ("torch compile fp32", "torch", "fp32", {"mode": "compile", "buckets": str(BATCH)}),
    ("openvino fp32", "openvino", "fp32", {}),
    ("openvino int8", "openvino", "int8", {}),
    ("litert fp32", "litert", "fp32", {}),
    ("jax fp32", "jax", "fp32", {}),
)
START_S = 8.0  # importing a framework, loading, compiling


def chosen() -> list[Model]:
    """The ways whose framework is installed."""
    return [
        Model(name, BATCH, BENCHMARK, precision, backend, options, LONGER)
        for name, backend, precision, options in WAYS
        if not registry.missing(registry.BACKENDS, backend)
    ]


def measure(session: Session) -> list[Row]:
    """Samples per second with their ratio to the bare loop in the same process, before and after."""
    return [each for model in chosen() for each in compared("runtimes", session, model, ("native",))]


def seconds(effort: Effort) -> float:
    """Of each pair the loops and the test, and what a framework takes to start."""
    rounds = effort.pairs + (0 if effort.few else 1)
    return len(chosen()) * rounds * (4.4 * effort.model_s * LONGER + START_S)


PART = Part("runtimes", "Offline in every runtime: LoadGen / bare loop", seconds, measure)
