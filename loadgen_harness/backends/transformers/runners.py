"""How a transformers model is stepped: by the library's own continuous batching, or batch by batch in a plain loop."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

import torch

SLICE_S = 0.02  # how long a caller waits at most for what was put beside the library's queue
PADDING = 0  # any id: padded places are masked


@dataclass(frozen=True)
class Ask:
    """One request: the prompt's token ids, and how many tokens shall follow them at most."""

    id: int
    prompt: tuple[int, ...]
    limit: int


@dataclass(frozen=True)
class Made:
    """New tokens of one request, stop tokens left out, and when they were on the host (monotonic ns)."""

    id: int
    tokens: tuple[int, ...]
    time_ns: int
    final: bool = False
    error: str = ""


class Runner(Protocol):
    """Steps the model in a thread of its own; `take` is called from one thread."""

    batching: str

    def add(self, ask: Ask) -> None:
        """Begin a request, or queue it."""

    def cancel(self, id: int) -> None:
        """End a request with an error; one that is over stays as it ended."""

    def fail(self, id: int, error: str) -> None:
        """End a request that was never begun."""

    def take(self, timeout: float) -> list[Made]:
        """What was made since the last call, waiting up to `timeout` seconds for something."""

    def close(self) -> None:
        """Stop; requests in flight hear no more."""


@dataclass
class _Flight:
    id: int
    seen: int = 0


class Continuous:
    """The library's manager: requests join and leave between steps, their keys and values live in pages."""

    batching = "continuous"

    def __init__(self, manager: Any, stop: frozenset[int]) -> None:
        """`manager` is a ContinuousBatchingManager that was not started yet."""
        self._manager, self._stop = manager, stop
        self._flying: dict[str, _Flight] = {}  # by the manager's name of a request, which is never used twice
        self._names: dict[int, str] = {}
        self._serial = count()
        self._beside: deque[Made] = deque()  # what did not come from the manager
        manager.start()

    @property
    def shares_prefixes(self) -> bool:
        """Whether the manager's cache may answer a prompt from an earlier one; known once a request has run."""
        return bool(self._manager.batch_processor.cache.use_prefix_sharing)

    @property
    def uses_graphs(self) -> bool:
        """Whether steps are replayed as CUDA graphs."""
        return any(self._manager.continuous_batching_config.cuda_graph_booleans)

    def add(self, ask: Ask) -> None:
        """Hand the request to the manager, which queues it until a slot is free."""
        name = str(next(self._serial))
        self._flying[name], self._names[ask.id] = _Flight(ask.id), name
        taken = self._manager.add_request(
            list(ask.prompt), request_id=name, max_new_tokens=ask.limit, streaming=True, record_timestamps=True,
            eos_token_id=sorted(self._stop) or -1,
        )  # fmt: skip
        if taken is None:
            self._end(name, f"the generation loop is gone: {self._manager.background_thread_status.fatal_error}")

    def cancel(self, id: int) -> None:
        """The manager forgets a cancelled request without a word."""
        name = self._names.get(id, "")
        if name in self._flying:
            self._manager.cancel_request(name)
            self._end(name, "cancelled")

    def fail(self, id: int, error: str) -> None:
        """Heard of at the next `take`."""
        self._beside.append(Made(id, (), time.monotonic_ns(), final=True, error=error))

    def take(self, timeout: float) -> list[Made]:
        """Results in the manager's order."""
        until = time.monotonic() + timeout
        made = self._heard(0.0)
        while not made and (left := until - time.monotonic()) > 0:
            made = self._heard(min(left, SLICE_S))
        return made

    def close(self) -> None:
        """Stop at once and give the pages back."""
        self._manager.stop(hard_stop=True)
        self._manager.destroy()

    def _heard(self, timeout: float) -> list[Made]:
        made: list[Made] = []
        result = self._manager.get_result(timeout=timeout)
        while result is not None:
            made += self._read(result)
            result = self._manager.get_result(timeout=0)
        while self._beside:
            made.append(self._beside.popleft())
        if not made and not self._manager.is_running():
            time.sleep(timeout)  # a manager that is gone answers at once
        return made

    def _read(self, result: Any) -> Iterator[Made]:
        flight = self._flying.get(result.request_id)
        if flight is None:
            return
        tokens, final = tuple(result.generated_tokens[flight.seen :]), result.is_finished()
        flight.seen += len(tokens)
        if final and not self._forget(result.request_id):
            return
        if result.error is not None:
            yield Made(flight.id, (), time.monotonic_ns(), final=True, error=str(result.error))
            return
        now = time.monotonic_ns()
        if result.timestamps:
            now -= max(0, int((time.perf_counter() - result.timestamps[-1]) * 1e9))
        yield Made(flight.id, tuple(each for each in tokens if each not in self._stop), now, final=final)

    def _end(self, name: str, error: str) -> None:
        flight = self._flying.get(name)
        if flight and self._forget(name):
            self.fail(flight.id, error)

    def _forget(self, name: str) -> bool:
        """Whether it was still known: the thread that forgets a request is the one that tells of its end."""
        flight = self._flying.pop(name, None)
        if flight and self._names.get(flight.id) == name:
            del self._names[flight.id]
        return flight is not None


@dataclass
class _Row:
    """One request of a static batch."""

    ask: Ask
    made: int = 0
    over: bool = False


@dataclass
class _Batch:
    """What the next step of a static batch needs."""

    rows: list[_Row]
    ids: torch.Tensor  # (rows, tokens)
    mask: torch.Tensor  # (rows, all tokens so far)
    cache: Any = field(default=None)

    def forward(self, model: Any) -> list[int]:
        """One step: each row's next token."""
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -self.ids.shape[1] :]
        out = model(
            input_ids=self.ids, attention_mask=self.mask, position_ids=positions, past_key_values=self.cache,
            use_cache=True, logits_to_keep=1,
        )  # fmt: skip
        chosen = out.logits[:, -1].argmax(-1, keepdim=True)
        self.ids, self.cache = chosen, out.past_key_values
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.rows), 1)], dim=1)
        tokens: list[int] = chosen[:, 0].tolist()
        return tokens


class Static:
    """Up to `slots` waiting requests are computed together, padded on the left, until the last of them has ended."""

    batching = "static"

    def __init__(self, model: Any, slots: int, stop: frozenset[int]) -> None:
        """`model` is called as its class documents; its device is where the ids go."""
        self._model, self._slots, self._stop = model, slots, stop
        self._waiting: queue.SimpleQueue[Ask | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[Made] = queue.SimpleQueue()
        self._open_ids: set[int] = set()
        self._cancelled: set[int] = set()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="static", daemon=True)
        self._thread.start()

    def add(self, ask: Ask) -> None:
        """Queue a request for the next batch."""
        self._open_ids.add(ask.id)
        self._waiting.put(ask)

    def cancel(self, id: int) -> None:
        """Heard of after the step that runs, or when the request's turn comes."""
        if id in self._open_ids:
            self._cancelled.add(id)

    def fail(self, id: int, error: str) -> None:
        """Heard of at once."""
        self._put(id, (), final=True, error=error)

    def take(self, timeout: float) -> list[Made]:
        """In the order in which it was made."""
        made: list[Made] = []
        try:
            made.append(self._made.get(timeout=timeout))
            while True:
                made.append(self._made.get_nowait())
        except queue.Empty:
            return made

    def close(self) -> None:
        """Stop after the step that runs."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()
        self._model = None

    def _put(self, id: int, tokens: tuple[int, ...], *, final: bool = False, error: str = "") -> None:
        if final:
            self._open_ids.discard(id)
            self._cancelled.discard(id)
        self._made.put(Made(id, tokens, time.monotonic_ns(), final, error))

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None and not self._closing:
            rows = [_Row(first)]
            while len(rows) < self._slots and not self._waiting.empty():
                ask = self._waiting.get()
                if ask is None:
                    return
                rows.append(_Row(ask))
            try:
                self._answer(rows)
            except Exception as error:  # whatever the model raises ends the requests that it was computing
                for row in rows:
                    self._end(row, f"{type(error).__name__}: {error}")

    def _answer(self, rows: list[_Row]) -> None:
        batch = self._collate(rows)
        while not self._closing:
            for row in rows:
                if row.ask.id in self._cancelled:
                    self._end(row, "cancelled")
            if all(row.over for row in rows):
                return
            with torch.inference_mode():
                tokens = batch.forward(self._model)
            for row, token in zip(rows, tokens, strict=True):
                self._advance(row, token)

    def _collate(self, rows: list[_Row]) -> _Batch:
        width = max(len(row.ask.prompt) for row in rows)
        padded = [[PADDING] * (width - len(row.ask.prompt)) + list(row.ask.prompt) for row in rows]
        masks = [[0] * (width - len(row.ask.prompt)) + [1] * len(row.ask.prompt) for row in rows]
        place: Callable[[Any], torch.Tensor] = lambda table: torch.tensor(table, device=self._model.device)  # noqa: E731
        return _Batch(rows, place(padded), place(masks))

    def _advance(self, row: _Row, token: int) -> None:
        if row.over:
            return
        if token in self._stop:
            row.over = True
            self._put(row.ask.id, (), final=True)
            return
        row.made += 1
        row.over = row.made == row.ask.limit
        self._put(row.ask.id, (token,), final=row.over)

    def _end(self, row: _Row, error: str) -> None:
        if not row.over:
            row.over = True
            self._put(row.ask.id, (), final=True, error=error)
