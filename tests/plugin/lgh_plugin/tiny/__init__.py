"""The smallest benchmark: a sample is a number, its right answer is the number."""

from __future__ import annotations

from loadgen_harness.types import Benchmark, Metric, Variant

BENCHMARK = Benchmark(
    name="tiny",
    title="Numbers that answer themselves",
    checker_name="tiny",
    variants={"": Variant("tiny")},
    metrics=(Metric("right", unit="%", pattern="right={value:.3f}%"),),
    sample="one number",
    response_dtype="int32",
    backends=("null", "broken"),
    precisions=("int32", "corrupt", "absent"),
    model={"corrupt": "corrupt.onnx"},
    input_dtype="int32",
    synthetic=True,
)
