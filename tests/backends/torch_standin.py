"""A stand-in for a CUDA device: queues what PyTorch would queue on streams and computes it on the CPU, late.

Streams run only as far as somebody waits for them, so whoever forgets to wait computes with old or overwritten numbers.
Some kinds of streams may run ahead of the others: as far as their own waits allow.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

KINDS = ("upload", "compute", "download")  # in the order in which a lane makes its streams


class Event:
    """`recorded` counts the marks put into queues, `reached` those that were passed; `queue` holds the last one."""

    def __init__(self, device: StandIn) -> None:
        self._device = device
        self.recorded = self.reached = 0
        self.queue: Stream | None = None

    def record(self) -> None:
        self.recorded += 1
        self.queue, mark = self._device.current, self.recorded

        def reach(force: bool) -> bool:
            self.reached = mark
            return True

        self._device.queue("record", reach)

    def wait(self) -> None:
        mark, queue = self.recorded, self.queue

        def reached(force: bool) -> bool:
            while force and self.reached < mark:
                assert queue.advance(force=True)
            return self.reached >= mark

        self._device.queue("wait", reached)

    def synchronize(self) -> None:
        mark, queue = self.recorded, self.queue
        while self.reached < mark:
            assert queue.advance(force=True)


class Stream:
    """Operations in order; each returns whether it could run."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.operations: deque[Callable[[bool], bool]] = deque()

    def advance(self, *, force: bool) -> bool:
        """Run the next operation; with `force`, first whatever it waits for."""
        if not self.operations or not self.operations[0](force):
            return False
        self.operations.popleft()
        return True


class StandIn:
    """What `Cuda` offers. `log` lists what was queued, `ahead` names the kinds of streams that run ahead."""

    device = torch.device("cpu")

    def __init__(self, ahead: str = "") -> None:
        self.ahead, self.log = ahead, []
        self._streams: list[Stream] = []
        self.current: Stream | None = None
        self.captures: list[tuple[int, ...]] = []
        self.held, self.peak, self.released = 0, 0, False
        self.where: set[str] = set()

    def stream(self) -> Stream:
        self._streams.append(Stream(KINDS[len(self._streams) % 3]))
        return self._streams[-1]

    def event(self) -> Event:
        return Event(self)

    def buffer(self, shape: Sequence[int], dtype: torch.dtype, where: str) -> torch.Tensor:
        tensor = torch.zeros(tuple(shape), dtype=dtype)
        self.where.add(where)
        if where == "device":
            self.held += tensor.nbytes
            self.peak = max(self.peak, self.held)
            weakref.finalize(tensor, self._freed, tensor.nbytes)
        return tensor

    def _freed(self, count: int) -> None:
        self.held -= count

    @contextmanager
    def on(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before
        for each in self._streams:
            while each.kind in self.ahead and each.advance(force=False):
                pass

    def copy(self, target: torch.Tensor, source: torch.Tensor) -> None:
        self.queue("copy", lambda force: target.copy_(source) is target)

    def run(self, call: Callable[[], Sequence[torch.Tensor]]) -> Sequence[torch.Tensor]:
        if getattr(call, "queued", False):
            return call()
        while self.current.advance(force=True):  # its shapes must be known
            pass
        self.log.append((self.current.kind, "run"))
        return call()

    def capture(self, call: Callable[[], Sequence[torch.Tensor]]):  # type: ignore[no-untyped-def]
        for stream in self._streams:
            while stream.advance(force=True):
                pass
        outputs = call()
        self.captures.append(tuple(outputs[0].shape))

        def compute(force: bool) -> bool:
            for target, source in zip(outputs, call(), strict=True):
                target.copy_(source)
            return True

        def replay() -> Sequence[torch.Tensor]:
            self.queue("replay", compute)
            return outputs

        replay.queued = True  # type: ignore[attr-defined]
        return replay, outputs

    def peak_bytes(self) -> int:
        return self.peak

    def release(self) -> None:
        self.released = True

    def queue(self, name: str, operation: Callable[[bool], bool]) -> None:
        self.current.operations.append(operation)
        self.log.append((self.current.kind, name))
