"""SmolLM2 under test: a response is the generated token ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadgen_harness.stream import StreamSUT


class SUT(StreamSUT):
    """Answers with token ids as little-endian int32."""

    def respond(self, tokens: Sequence[int], text: str) -> bytes:
        """The ids alone: TEST06 compares them with the first token reported."""
        return np.asarray(tokens, dtype="<i4").tobytes()
