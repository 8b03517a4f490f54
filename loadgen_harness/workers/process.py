"""Replicas in processes of their own: each takes batches from the table in shared memory and answers through a ring.

LoadGen's process then runs no Python while the test goes on. What a replica computes comes back as bytes in its ring,
where a thread of the bridge completes it. A socket carries what is rare: readiness, samples, calibration, the end.
"""

from __future__ import annotations

import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import reduction
from multiprocessing.connection import Connection, wait
from typing import Any

from loadgen_harness import arena, placement
from loadgen_harness.errors import BadInput, RunFailed
from loadgen_harness.qsl import Indices, QuerySampleLibrary
from loadgen_harness.sut import BatchSUT
from loadgen_harness.workers import Work, Worker

RING_BYTES = 16 << 20  # of a replica's answers on their way; larger messages go through in parts
ANYWHERE = placement.Place("cpu")
LAST_WORDS_S = 1.0  # a replica that closed its socket has ended or is about to


class ProcessWorker(Worker):
    """Starts the replicas, hands them samples, and ends the run when one of them dies."""

    remote = True

    def __init__(self, work: Work) -> None:
        """Raises BadInput for a layout that this machine or benchmark does not allow."""
        super().__init__(work)
        self._places = placement.places(work.spec)
        if work.spec.postprocess not in ("", "process"):
            raise BadInput(f"--postprocess takes process, not {work.spec.postprocess!r}.")
        if work.spec.postprocess and not apart(work.sut):
            raise BadInput(f"{work.spec.benchmark} has no step of its own after the model: leave --postprocess out.")
        self._replicas: list[Peer] = []
        self._others: list[Peer] = []  # post-processors
        self._closing = False
        self._watcher = threading.Thread(target=self._watch, name="replicas", daemon=True)
        self._accounts: list[dict[str, Any]] = []

    def start(self) -> None:
        """Start the processes and wait until each has loaded its backend."""
        for number, place in enumerate(self._places):
            self._launch(number, place)
        self._watcher.start()
        for peer in (*self._others, *self._replicas):
            peer.answer()

    def library(self, qsl: QuerySampleLibrary) -> QuerySampleLibrary:
        """The same library, whose samples the replicas share."""
        share = SharedSamples(qsl, self._replicas)
        qsl.load, qsl.unload = share.load, share.unload  # type: ignore[method-assign]
        return qsl

    def seconds(self, batch: int, kind: str) -> float:
        """Measured in the first replica."""
        self._replicas[0].tell("seconds", batch, kind)
        return float(self._replicas[0].answer())

    def describe(self) -> dict[str, str]:
        """What the replicas' backends say of themselves, after the test."""
        for replica in self._replicas:
            replica.tell("describe")
        return merged([replica.answer() for replica in self._replicas])

    def account(self) -> dict[str, Any]:
        """Of each replica: device, cores, peak memory, waits for Python's lock."""
        return {"processes": self._accounts}

    def close(self) -> None:
        """Collect the accounts and let the processes end, which closes what they wrote into."""
        self._closing = True
        for place, replica in zip(self._places, self._replicas, strict=True):
            self._accounts.append({"device": place.device, "cores": sorted(place.cores), **replica.end()})
        for other in self._others:
            other.end()
        self.work.driver.close()  # type: ignore[attr-defined]

    def _launch(self, number: int, place: placement.Place) -> None:
        """One replica, with the process that post-processes for it where that is wanted."""
        driver: Any = self.work.driver
        answers = driver.bridge.Ring(RING_BYTES)
        driver.listen(answers)
        written = answers
        if self.work.spec.postprocess:
            written = driver.bridge.Ring(RING_BYTES)
            rings = [written.fd, answers.fd]
            self._others.append(Peer(f"post-processor {number}", self.work, ["postprocess", ANYWHERE], rings))
        role = ["answer", place]
        self._replicas.append(Peer(f"worker process {number}", self.work, role, [driver.table.fd, written.fd]))

    def _watch(self) -> None:
        """Passes messages on; a process that ends before close() ends the run, with its own account of the cause."""
        try:
            watched = {peer.socket: peer for peer in (*self._replicas, *self._others)}
            while watched:
                for ready in wait(list(watched)):
                    self._hear(watched, ready)
        except BaseException as error:
            self.work.fail(error)

    def _hear(self, watched: dict[Any, Peer], ready: Any) -> None:
        peer = watched[ready]
        try:
            kind, body = peer.socket.recv()
        except (EOFError, OSError):
            del watched[ready]
            if not self._closing:
                self.work.fail(peer.obituary())
            return
        if kind == "error":
            self.work.fail(_error(peer.name, body))
        peer.answers.put(body)


class Peer:
    """A process of ours as LoadGen's process sees it, and the socket to it."""

    def __init__(self, name: str, work: Work, role: Sequence[Any], fds: Sequence[int]) -> None:
        """Start it; `role` is its part and its Place, `fds` the shared memory it maps."""
        self.name, self._fail = name, work.fail
        self.answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        ours, theirs = socket.socketpair()
        self.socket = Connection(ours.detach())
        part, place = role
        sizes = (work.batching.max_batch, work.batching.max_wait_ns, work.batching.spin_ns)
        cores = ",".join(map(str, sorted(place.cores)))
        passed = [theirs.fileno(), *fds]
        command = [sys.executable, "-m", "loadgen_harness.replica", part, str(work.folder), place.device, cores]
        command += [str(number) for number in (*sizes, *passed)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=passed)
        theirs.close()

    def tell(self, verb: str, *arguments: Any) -> None:
        """Ask for something; answer() waits for the reply."""
        try:
            self.socket.send((verb, *arguments))
        except OSError:
            self._fail(self.obituary())

    def answer(self) -> Any:
        """The reply to what was asked last; the run ends meanwhile if the process does."""
        return self.answers.get()

    def hand(self, fd: int, layout: arena.Layout, indices: Sequence[int]) -> None:
        """Give it samples in shared memory."""
        self.tell("load", layout, indices)
        reduction.send_handle(self.socket, fd, self._process.pid)

    def end(self) -> dict[str, Any]:
        """Its own account; the process ends."""
        self.tell("end")
        account: dict[str, Any] = self.answer()
        self._process.wait()
        return account

    def obituary(self) -> RunFailed:
        """What is known of a process that ended too early."""
        try:
            code = self._process.wait(LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            return RunFailed(f"{self.name} closed its connection: look into child.log for its last words")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return RunFailed(f"{self.name} {how}")


class SharedSamples:
    """Loads a library's samples once, into memory that all replicas map."""

    def __init__(self, qsl: QuerySampleLibrary, replicas: Sequence[Peer]) -> None:
        """Takes the place of the library's load and unload."""
        self._qsl, self._replicas = qsl, replicas
        self._load, self._unload = qsl.load, qsl.unload

    def load(self, indices: Indices) -> None:
        """Read the samples here, share them, and return when every replica has them."""
        self._load(indices)
        chosen = list(dict.fromkeys(int(index) for index in indices))
        fd, layout = arena.pack(self._qsl.get(chosen))
        for replica in self._replicas:
            replica.hand(fd, layout, chosen)
        for replica in self._replicas:
            replica.answer()
        self._qsl.adopt(dict(zip(chosen, arena.unpack(fd, layout), strict=True)))

    def unload(self, indices: Indices) -> None:
        """Everywhere."""
        self._unload(indices)
        for replica in self._replicas:
            replica.tell("unload", [int(index) for index in indices])
        for replica in self._replicas:
            replica.answer()


def apart(sut: Any) -> bool:
    """Whether what follows the model is `respond` alone, so that it can run elsewhere."""
    return isinstance(sut, BatchSUT) and type(sut).answer is BatchSUT.answer


def _error(name: str, account: Mapping[str, str]) -> BaseException:
    """The exception that a process reported; its traceback goes into the log with it."""
    known = account["input"]
    error = BadInput(account["message"]) if known else RunFailed(f"{name}: {account['message']}")
    error.add_note(account["traceback"])
    return error


WORKER = ProcessWorker


def merged(accounts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """One account of several: what all say alike once, whole numbers added up where they differ, else each in turn."""
    found: dict[str, str] = {}
    for key in dict.fromkeys(key for account in accounts for key in account):
        said = [account[key] for account in accounts if key in account]
        different = list(dict.fromkeys(said))
        counts = len(different) > 1 and all(text.isdecimal() for text in said)
        found[key] = str(sum(map(int, said))) if counts else "; ".join(different)
    return found
