"""The smallest streaming benchmark: tokens 1, 2, 3, … for every prompt."""

from __future__ import annotations

from loadgen_harness.types import Benchmark, Variant

BENCHMARK = Benchmark(
    name="tiny_stream",
    title="Counting",
    checker_name="tiny_stream",
    variants={"": Variant("tiny_stream"), "Interactive": Variant("tiny_stream-interactive")},
    metrics=(),
    sample="one prompt",
    token="one number",
    response_dtype="int32",
    backends=("null_stream",),
    precisions=("none",),
    synthetic=True,
)
