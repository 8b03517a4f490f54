"""Image classification: EfficientNet-Lite0 on 136 labelled photos with classes of ImageNet."""

from __future__ import annotations

from loadgen_harness.types import Benchmark, Metric, Variant

BENCHMARK = Benchmark(
    name="image_classification",
    title="Image classification (EfficientNet-Lite0, ImageNet classes)",
    checker_name="image_classification",
    variants={"": Variant("image_classification", "photos", total_count=136, performance_count=136)},
    metrics=(
        Metric("accuracy", unit="%", pattern="accuracy={value:.3f}%, good={correct}, total={n}"),
        Metric("top5", unit="%", pattern="top5={value:.3f}%, good={correct}, total={n}"),
    ),
    sample="one photo of 224 x 224 pixels",
    response_dtype="int32",
    backends=("onnxruntime", "torch", "openvino", "litert", "jax", "tensorrt", "null"),
    precisions=("fp32", "int8"),
    assets=("tuxpaint-stamps", "foolbox-images", "efficientnet-lite0"),
    requirements=("PIL",),
    model={
        "fp32": (
            "made:efficientnet-lite0-fp32.onnx",
            "made:efficientnet-lite0-fp32.tflite",
            "torch_model.py",
            "jax_model.py",
        ),
        "int8": ("made:efficientnet-lite0-int8.onnx", "made:efficientnet-lite0-int8.tflite"),
    },
    recipe="1",
    license="model Apache-2.0; stamps GPL-2, ImageNet photos for research: all fetched, none redistributed",
)
