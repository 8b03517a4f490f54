"""Qwen3-VL: a product's category as JSON, compared with the shop's own level by level."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from audit.metrics import labels
from audit.metrics.log import responses, within
from benchmarks._metrics import hierarchy
from benchmarks._metrics.intervals import bootstrap
from benchmarks._metrics.means import resamples
from loadgen_harness.run import Run
from loadgen_harness.types import Score

CATEGORY = "ground_truth_category"
TRUTHS = {"true", "false", "1", "0", "yes", "no", "on", "off", "t", "f", "y", "n"}  # what the reference's schema takes


def score(run: Run, data: Path | None) -> list[Score]:
    """Hierarchical F1 of 0 to 1; `data` is the data set as JSON lines with ground_truth_category, in order."""
    path = labels.find(data, "*.jsonl")
    rows = [str(row[CATEGORY]) for row in labels.records(path, (CATEGORY,))]
    counts = np.array(
        [_levels(response.data, rows[within(response, len(rows), str(path))]) for response in responses(run)], float
    )

    def value(part: np.ndarray) -> float:
        return hierarchy.f1(*part.sum(axis=0))

    count = resamples(len(counts))
    low, high = bootstrap(value, counts, n_resamples=count)
    return [Score("F1_HIERARCHICAL", value(counts), low, high, len(counts), f"bootstrap ({count})")]


def _levels(data: bytes, wanted: str) -> tuple[int, int, int]:
    """Levels in common, found and wanted; an answer off the schema counts as that many wrong levels."""
    theirs = hierarchy.levels(wanted)
    ours = _category(data)
    if ours is None:
        return 0, len(theirs), len(theirs)
    return hierarchy.shared(ours, theirs), len(ours), len(theirs)


def _category(data: bytes) -> list[str] | None:
    try:
        answer = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    category, brand = answer.get("category"), answer.get("brand")
    valid = isinstance(category, str) and isinstance(brand, str) and _truth(answer.get("is_secondhand"))
    return hierarchy.levels(category) if valid and isinstance(category, str) else None


def _truth(value: Any) -> bool:
    """Whether the reference's schema takes a value as true or false."""
    if isinstance(value, str):
        return value.lower() in TRUTHS
    return isinstance(value, bool | int | float) and value in (0, 1)
