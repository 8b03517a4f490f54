"""A benchmark whose responses are made after the model, so that they can be made in a process of their own."""

from __future__ import annotations

from loadgen_harness.types import Benchmark, Variant

BENCHMARK = Benchmark(
    name="echo",
    title="Answers that pass through",
    checker_name="echo",
    variants={"": Variant("echo")},
    metrics=(),
    sample="nothing",
    response_dtype="uint8",
    backends=("busy", "null"),
    precisions=("none",),
    synthetic=True,
)
