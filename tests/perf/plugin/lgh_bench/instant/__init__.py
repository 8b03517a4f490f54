"""A benchmark without a model: what remains is LoadGen, the driver and the worker."""

from __future__ import annotations

from loadgen_harness.types import Benchmark, Variant

BENCHMARK = Benchmark(
    name="instant",
    title="Answers that are there already",
    checker_name="instant",
    variants={"": Variant("instant")},
    metrics=(),
    sample="nothing",
    response_dtype="uint8",
    backends=("busy", "null"),
    precisions=("none",),
    synthetic=True,
)
