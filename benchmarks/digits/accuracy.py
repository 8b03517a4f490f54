"""The share of digits recognised."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks._metrics.classes import top1
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Score


def score(responses: Mapping[int, bytes], qsl: QuerySampleLibrary) -> list[Score]:
    """Top-1 accuracy in percent with its Wilson interval."""
    return [top1("accuracy", responses, qsl.label, "int32")]
