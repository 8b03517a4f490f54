"""How many prompts were counted to their end."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.types import Score


def score(responses: Mapping[int, bytes], qsl: QuerySampleLibrary) -> list[Score]:
    """The share of right answers in percent."""
    right = [
        np.frombuffer(data, "<i4").tolist() == list(range(1, qsl.read(index)["max_new_tokens"] + 1))
        for index, data in responses.items()
    ]
    share = 100 * sum(right) / len(right)
    return [Score("counted", share, share, share, len(right), "exact")]
