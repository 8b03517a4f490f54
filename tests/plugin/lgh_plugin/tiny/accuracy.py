"""The share of numbers that came back."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks._metrics.classes import top1
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Score


def score(responses: Mapping[int, bytes], qsl: QuerySampleLibrary) -> list[Score]:
    """Right answers in percent."""
    return [top1("right", responses, qsl.label, "int32")]
