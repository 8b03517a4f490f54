"""Predicts in LoadGen's issuing thread: no hop, for SingleStream, MultiStream and Offline."""

from __future__ import annotations

from loadgen_harness.errors import BadInput
from loadgen_harness.workers import Work, Worker, check_local


class InlineWorker(Worker):
    """No thread at all: the driver calls the system under test."""

    inline = True

    def __init__(self, work: Work) -> None:
        """One replica, since LoadGen issues from one thread."""
        super().__init__(work)
        check_local(work.spec)
        if work.spec.replicas > 1:
            raise BadInput(
                "--worker inline answers on LoadGen's one thread: --replicas beyond 1 need --worker thread or process."
            )

    def start(self) -> None:
        """Nothing to start."""

    def close(self) -> None:
        """Nothing to stop."""


WORKER = InlineWorker
