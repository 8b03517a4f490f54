"""Official benchmarks whose metric cannot be computed from the log and label files, and who computes it instead."""

from __future__ import annotations

from collections.abc import Mapping

REFUSED: Mapping[str, str] = {
    "pointpainting": (
        "the mAPH of pointpainting needs rotated 3D boxes and Waymo's own frames: "
        "run automotive/3d-object-detection/accuracy_waymo.py of mlcommons/inference."
    ),
    "qwen3.6-27b": (
        "mlcommons/inference publishes no accuracy script for qwen3.6-27b: "
        "take the score of the MLPerf Endpoints harness, accuracy_results.json."
    ),
    "e2e-rag-db": (
        "the accuracy of e2e-rag-db compares the built database with a reference: "
        "run e2e-rag/datasetup_accuracy_eval.py of mlcommons/inference with --manifest."
    ),
}
