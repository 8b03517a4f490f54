"""A replica's process, started by workers/process.py: takes batches from shared memory, answers into a ring.

`python -m loadgen_harness.replica answer FOLDER DEVICE CORES MAX_BATCH MAX_WAIT_NS SPIN_NS SOCKET TABLE RING`, the last
three being file descriptors; or `postprocess … SOCKET OUTPUTS RING`: that one turns model outputs into responses.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import reduction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from loadgen_harness import arena, calibrate, child, native, placement, system
from loadgen_harness.native import presence
from loadgen_harness.stream import StreamSUT
from loadgen_harness.sut import Ids, Responses
from loadgen_harness.types import RunSpec
from loadgen_harness.workers import Batching

IDLE_S = 60.0
ORPHANED = 4


class RingDriver:
    """The way back to LoadGen's process: a SUT completes into it as into any driver."""

    name = "native"

    def __init__(self, ring: Any) -> None:
        """Write into `ring`."""
        self._ring = ring

    def complete(self, ids: Ids, responses: Responses, tokens: Sequence[int] | None = None) -> None:
        """Send finished samples."""
        native.answer(self._ring, ids, responses, tokens)

    def first_token(self, ids: Ids, responses: Sequence[bytes]) -> None:
        """Send first tokens."""
        native.first_token(self._ring, ids, responses)


def main() -> None:
    """Serve until told to end, or until LoadGen's process is gone."""
    role, folder, device, cores, *rest = sys.argv[1:]
    child.prepare_process()
    if cores:
        os.sched_setaffinity(0, placement.cores_of(cores))
    numbers = [int(text) for text in rest]
    spec = replace(child.read_spec(Path(folder)), device=device)
    kind = PostProcessing if role == "postprocess" else Answering
    kind(spec, Batching(*numbers[:3]), numbers[3:]).serve()


class Served:
    """What both kinds of process share: a thread that obeys the socket, and last words for what goes wrong."""

    def __init__(self, spec: RunSpec, batching: Batching, fds: Sequence[int]) -> None:
        """Nothing is loaded yet; fds[0] is the socket."""
        self.spec, self.batching = spec, batching
        self.bridge = presence.load()
        self.sut: Any = None
        self._socket = Connection(fds[0])
        self._said = threading.Lock()

    def serve(self) -> None:
        """Load, say so, work; the socket's thread ends the process."""
        try:
            self.load()
            gc.collect()
            gc.freeze()
            threading.Thread(target=self._obey, name="socket", daemon=True).start()
            self._say("ready", None)
            self.work()
            threading.Event().wait()  # completing threads live on until the end is asked for
        except BaseException as error:
            self.fail(error)

    def load(self) -> None:
        """Make what answers."""
        raise NotImplementedError

    def work(self) -> None:
        """Until there is nothing more to do."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """Last words: LoadGen's process ends the run with them."""
        known, text = child.told(error)
        lines = "".join(traceback.format_exception(error))
        try:
            self._say("error", {"input": known, "message": text, "traceback": lines})
        except OSError:
            traceback.print_exception(error)  # nobody listens any more: the log keeps it
        sys.stderr.flush()
        os._exit(child.FAILED)

    def _obey(self) -> None:
        """Do what LoadGen's process asks for; its end is ours."""
        try:
            while True:
                verb, *arguments = self._socket.recv()
                self._say(verb, getattr(self, f"do_{verb}")(*arguments))
                if verb == "end":
                    os._exit(0)
        except (EOFError, ConnectionError):
            os._exit(ORPHANED)
        except BaseException as error:
            self.fail(error)

    def _say(self, kind: str, body: Any) -> None:
        with self._said:
            self._socket.send((kind, body))

    def do_load(self, layout: arena.Layout, indices: Sequence[int]) -> None:
        """Map samples that LoadGen's process wrote."""
        samples = arena.unpack(reduction.recv_handle(self._socket), layout)
        self.sut.qsl.adopt(dict(zip(indices, samples, strict=True)))

    def do_unload(self, indices: Sequence[int]) -> None:
        """Let samples go."""
        self.sut.qsl.unload(indices)

    def do_seconds(self, batch: int, kind: str) -> float:
        """Calibration, here where the backend is."""
        return calibrate.seconds(self.sut, batch, kind)

    def do_end(self) -> dict[str, Any]:
        """What only this process knows."""
        return {"pid": os.getpid(), "host_peak_bytes": system.peak_bytes(), "gil": self.bridge.gil()}


class Answering(Served):
    """Takes batches and answers them, whole or up to the model's outputs."""

    def __init__(self, spec: RunSpec, batching: Batching, fds: Sequence[int]) -> None:
        """fds: socket, table, ring."""
        super().__init__(spec, batching, fds)
        self._table, self._ring = self.bridge.Table.attach(fds[1]), self.bridge.Ring.attach(fds[2])

    def load(self) -> None:
        """The backend on this replica's device."""
        parts = child.assemble(self.spec)
        self.sut = child.build_sut(parts, RingDriver(self._ring), self.fail)
        child.load(parts, self.sut, self.spec)
        if isinstance(self.sut, StreamSUT):
            self.sut.start()

    def do_describe(self) -> dict[str, str]:
        """What really ran."""
        described: dict[str, str] = self.sut.backend.describe()
        return described

    def work(self) -> None:
        """Batch after batch until the table is closed."""
        if isinstance(self.sut, StreamSUT):
            return self._stream(self.sut)
        seat = native.Seat(self.bridge, self._table, self.batching)
        issue = self._hand_on if self.spec.postprocess else self.sut.issue
        while count := seat.next_batch():
            issue(*seat.batch(count))

    def _stream(self, sut: StreamSUT) -> None:
        """Request after request, each only when a slot is free: what waits can still go to another replica."""
        seat = native.Seat(self.bridge, self._table, replace(self.batching, max_batch=1, max_wait_ns=0))
        slots = threading.Semaphore(sut.backend.slots)
        sut.finished = slots.release
        while True:
            slots.acquire()
            if not seat.next_batch():
                return
            sut.issue(*seat.batch(1))

    def _hand_on(self, ids: np.ndarray, indices: np.ndarray) -> None:
        """Compute, and leave the rest to the post-processor."""
        sut = self.sut
        outputs = [np.ascontiguousarray(each) for each in sut.run_model(sut.collate(sut.qsl.get(indices)))]
        shapes = json.dumps([(output.dtype.str, output.shape) for output in outputs]).encode()
        self._ring.send([ids, shapes, *outputs])


class PostProcessing(Served):
    """Turns model outputs into responses, so that Python's work on them holds nothing else up."""

    def __init__(self, spec: RunSpec, batching: Batching, fds: Sequence[int]) -> None:
        """fds: socket, the ring of outputs, the ring of responses."""
        super().__init__(spec, batching, fds)
        self._outputs, self._ring = self.bridge.Ring.attach(fds[1]), self.bridge.Ring.attach(fds[2])

    def load(self) -> None:
        """The task's code alone: the backend stays unloaded."""
        self.sut = child.build_sut(child.assemble(self.spec), RingDriver(self._ring), self.fail)

    def work(self) -> None:
        """Message after message; LoadGen's process ends this one."""
        while True:
            message = self._outputs.receive(IDLE_S, self.batching.spin_ns)
            if message is not None:
                self._respond(*message)
                self._outputs.release()

    def _respond(self, ids: memoryview, shapes: memoryview, *arrays: memoryview) -> None:
        made = [
            np.frombuffer(array, np.dtype(dtype)).reshape(shape)
            for array, (dtype, shape) in zip(arrays, json.loads(bytes(shapes)), strict=True)
        ]
        self.sut.driver.complete(np.frombuffer(ids, np.uint64), self.sut.respond(made))


if __name__ == "__main__":
    main()
