"""Nothing to score."""

from __future__ import annotations

from lgh_bench.instant.accuracy import score as score
