"""Long-lived threads on one backend: LoadGen's thread goes on while they compute, for Server."""

from __future__ import annotations

import threading

from loadgen_harness.errors import BadInput
from loadgen_harness.workers import Work, Worker, check_local


class ThreadWorker(Worker):
    """As many threads as replicas; each takes a batch, answers it, and takes the next."""

    def __init__(self, work: Work) -> None:
        """Several threads need a backend that is thread-safe."""
        super().__init__(work)
        check_local(work.spec)
        count = work.spec.replicas
        if count > 1 and not getattr(work.backend, "thread_safe", False):  # streaming backends make no such promise
            raise BadInput(f"backend {work.spec.backend} serves one thread at a time: choose --worker process.")
        names = [f"worker-{number}" for number in range(count)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]

    def start(self) -> None:
        """The threads wait for batches."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """The threads end with the driver's last batch."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        take, issue = self.work.driver.take, self.work.sut.issue
        try:
            while (batch := take()) is not None:
                issue(*batch)
        except BaseException as error:
            self.work.fail(error)


WORKER = ThreadWorker
