"""Completes every batch with the same preallocated rows: no model, no collation."""

from __future__ import annotations

import numpy as np

from loadgen_harness.backends import Backend
from loadgen_harness.qsl import QuerySampleLibrary
from loadgen_harness.sut import Driver, Ids, Indices, SystemUnderTest

MAX_BATCH = 1 << 16
RESPONSE_BYTES = 8  # as in null_sut.cc


class SUT(SystemUnderTest):
    """Its cost per batch is a slice and one call."""

    def __init__(self, backend: Backend, qsl: QuerySampleLibrary, driver: Driver) -> None:
        """The backend is there for what it keeps busy; nobody asks it anything."""
        self.backend, self.qsl, self.driver = backend, qsl, driver
        self._rows = np.zeros((MAX_BATCH, RESPONSE_BYTES), np.uint8)

    def issue(self, ids: Ids, indices: Indices) -> None:
        """Complete."""
        self.driver.complete(ids, self._rows[: len(ids)])
