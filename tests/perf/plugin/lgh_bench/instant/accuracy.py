"""Nothing to score."""

from __future__ import annotations

from collections.abc import Mapping

from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Score


def score(responses: Mapping[int, bytes], qsl: QuerySampleLibrary) -> list[Score]:
    """No score."""
    return []
