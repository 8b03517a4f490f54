"""A response is the token ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadgen_harness.stream import StreamSUT


class SUT(StreamSUT):
    """Token ids as little-endian int32."""

    def respond(self, tokens: Sequence[int], text: str) -> bytes:
        """The ids alone."""
        return np.asarray(tokens, "<i4").tobytes()
