"""The tiny models in OpenVINO's own format."""

from __future__ import annotations

from pathlib import Path

import openvino

from tests.backends import tiny_onnx


def write(kind: str, path: Path) -> None:
    """Convert the ONNX file, weights kept in fp32."""
    source = path.with_suffix(".onnx")
    tiny_onnx.write(kind, source)
    openvino.save_model(openvino.Core().read_model(source), path, compress_to_fp16=False)
