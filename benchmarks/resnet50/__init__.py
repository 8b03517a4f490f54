"""Image classification, MLPerf's resnet50; so far with synthetic samples and labels only."""

from __future__ import annotations

from loadgen_harness.types import Benchmark, Metric, Variant

BENCHMARK = Benchmark(
    name="resnet50",
    title="Image classification (ResNet-50 v1.5, ImageNet), synthetic samples",
    checker_name="resnet",
    variants={"": Variant("resnet50", "synthetic", total_count=50_000, performance_count=1024)},
    metrics=(Metric("acc", unit="%", pattern="accuracy={value:.3f}%, good={correct}, total={n}"),),
    sample="one image (here: an invented answer without an image)",
    response_dtype="float32",
    backends=("null",),
    precisions=("fp32",),
    synthetic=True,
    license="nothing but numbers made by a formula",
)
