"""Prompts that ask for three to five tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Variant


class QSL(QuerySampleLibrary):
    """Sample i asks for 3 + i % 3 tokens."""

    def __init__(self, variant: Variant, data_dir: Path | None) -> None:
        """As many as the round wants."""
        super().__init__(total_count=variant.total_count, performance_count=variant.performance_count)

    def read(self, index: int) -> dict[str, Any]:
        """A request."""
        return {"prompt": str(index), "max_new_tokens": 3 + index % 3}
