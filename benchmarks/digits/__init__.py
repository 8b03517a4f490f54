"""Digit classification: a small convolutional network on 1,000 held-out MNIST images."""

from __future__ import annotations

from loadgen_harness.types import Benchmark, Metric, Variant

BENCHMARK = Benchmark(
    name="digits",
    title="Digit classification (small CNN, MNIST)",
    checker_name="digits",
    variants={"": Variant("digits", "test", total_count=1000, performance_count=1000)},
    metrics=(Metric("accuracy", unit="%", pattern="accuracy={value:.3f}%, good={correct}, total={n}"),),
    sample="one 28 x 28 grey image",
    response_dtype="int32",
    backends=("onnxruntime", "null"),
    precisions=("fp32", "int8"),
    assets=("mnist-5k",),
    requirements=("onnxruntime",),
    model={"fp32": "model/digits-fp32.onnx", "int8": "model/digits-int8.onnx"},
    license="model Apache-2.0; MNIST CC BY-SA 3.0, fetched and not redistributed",
)
