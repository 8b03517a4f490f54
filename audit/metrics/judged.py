"""Benchmarks that a model judges: its verdicts are read and averaged, never replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audit.metrics import labels
from audit.metrics.log import first_responses
from benchmarks._metrics.means import proportion
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from loadgen_harness.types import Score

VBENCH = "results_*_eval_results.json"
DIMENSIONS = (
    "subject_consistency",
    "dynamic_degree",
    "motion_smoothness",
    "appearance_style",
    "scene",
    "background_consistency",
)
JUDGE = "are judged by a language model, which e2e-rag/accuracy_eval.py of mlcommons/inference asks"


def videos(run: Run, data: Path | None) -> list[Score]:
    """The mean of VBench's six dimensions in percent; `data` is the file that VBench wrote of this run's videos.

    VBench judges some dimensions per pair of frames, so no interval can be made of its file: it is the value alone.
    """
    count = sum(1 for _ in first_responses(run))
    path = labels.find(data, VBENCH)
    found = labels.document(path)
    means = [_mean(found, dimension, path) for dimension in DIMENSIONS]
    value = 100 * float(np.mean(means))
    return [Score("vbench_score", value, value, value, count, "VBench's own figures")]


def questions(run: Run, data: Path | None) -> list[Score]:
    """The share of answers in percent that the judge called correct, by sample index in verdicts.json."""
    indices = [response.qsl_idx for response in first_responses(run)]
    verdicts = labels.verdicts(data, indices, JUDGE)
    return [proportion("E2E_ACCURACY", sum(verdicts.values()), len(verdicts), scale=100)]


def _mean(found: object, dimension: str, path: Path) -> float:
    entry = found.get(dimension) if isinstance(found, dict) else None
    value = entry[0] if isinstance(entry, list) and entry else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadInput(f"{path} has no figure for {dimension}: run text_to_video/wan-2.2-t2v-a14b/run_evaluation.py.")
    return float(value)
