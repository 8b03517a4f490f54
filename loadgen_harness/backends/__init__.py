"""What a backend is: one module per framework, defining BACKEND, a class made as `BACKEND(options)`."""

from __future__ import annotations

import importlib.util
import queue
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from loadgen_harness.errors import BadInput

KINDS = {bool: "true or false", int: "a whole number", float: "a number"}  # of options, in words
Batch = Mapping[str, np.ndarray]  # input name -> array whose first axis is the batch
Calibration = Callable[[], Iterable[Batch]]  # batches of the task's calibration set, read anew by each call


class ModelReader(Protocol):
    """What every backend says of the models it runs; the choice among a task's files is model_files.py's.

    Its module may define functions that preflight calls on one that has loaded nothing, and that raise what `load`
    would before it reads a model: `check_device(backend, device)`, `check_precision(backend, precision, device)` with
    `cast` and `calibration` set as below, `check_file(backend, name)`. One that needs no model is loaded instead.
    """

    needs_model: bool  # whether `load` wants a model file
    formats: tuple[str, ...]  # endings of the files it reads, best first: ".onnx", "torch_model.py" (see task_model)
    casts: tuple[str, ...]  # precisions that it makes itself, from the file of the task's first precision
    keeps_precision: bool  # whether it also runs a file at the file's own precision


class Backend(ModelReader, Protocol):
    """Runs a model on batches; used from one thread at a time unless `thread_safe`.

    Set before `load` where a backend has such an attribute: `calibration`, by which it quantises (a Calibration);
    `cast`, whether it is to make the precision of a file of another; `max_batch`, the largest batch of the run. A
    method `warm_up(batch)` is called after `load` with one sample: what depends on shapes is compiled untimed.
    """

    thread_safe: bool

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Load weights and warm up, untimed; raises BadInput for what the backend cannot do."""

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The model's outputs in its own order, each with the batch as first axis."""

    def describe(self) -> dict[str, str]:
        """What really ran, asked for after the test.

        `framework`, `version`, `device`, `provider` (what computed), `precision` (of the kernels), `mode` (eager,
        graph, compiled, …), `threads`; `fallback` only where something ran otherwise than asked for, in words.
        """

    def close(self) -> None:
        """Give memory back."""


@dataclass(frozen=True)
class TokenEvent:
    """One event of a streaming request: its tokens so far, or its end; times are monotonic ns taken in the backend."""

    id: int
    tokens: tuple[int, ...]  # new tokens in this event
    text: str
    time_ns: int
    final: bool = False
    error: str = ""


class StreamBackend(ModelReader, Protocol):
    """Generates token by token; requests join and leave between steps."""

    slots: int  # requests that can be in flight without waiting

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Load weights and warm up, untimed."""

    def submit(self, id: int, input: Any) -> None:
        """Begin a request; `input` is a mapping with `prompt` and `max_new_tokens`. Returns at once."""

    def poll(self, timeout: float) -> list[TokenEvent]:
        """Events since the last poll, waiting up to `timeout` seconds for one; called from one thread."""

    def cancel(self, id: int) -> None:
        """Stop a request; its final event carries an error."""

    def describe(self) -> dict[str, str]:
        """What really ran: as of a Backend, and `prefix_cache` (off, on, unknown: why), `batching` (continuous, static,
        none), `tokens` (who counted them: engine, tokenizer, usage), `retries` where any were made."""

    def close(self) -> None:
        """Give memory back and stop threads."""


def checked(options: Mapping[str, str], known: Mapping[str, Any], backend: str) -> dict[str, Any]:
    """Options merged over their defaults, converted to the defaults' types; raises BadInput for an unknown one."""
    merged = dict(known)
    for key, text in options.items():
        if key not in known:
            raise BadInput(f"backend {backend} has no option {key!r}: use one of {', '.join(sorted(known))}.")
        merged[key] = _convert(key, text, known[key], backend)
    return merged


def _convert(key: str, text: str, default: Any, backend: str) -> Any:
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return type(default)(text)
    except (KeyError, ValueError) as error:
        kind = KINDS.get(type(default), "a text")
        raise BadInput(f"option {key} of backend {backend} takes {kind}, not {text!r}: mend it.") from error


def drained(events: queue.SimpleQueue[TokenEvent], timeout: float) -> list[TokenEvent]:
    """Everything in the queue; waits up to `timeout` seconds for the first."""
    found: list[TokenEvent] = []
    try:
        found.append(events.get(timeout=timeout))
        while True:
            found.append(events.get_nowait())
    except queue.Empty:
        return found


def task_model(path: Path) -> Any:
    """What `model()` returns in a task's own file, such as `torch_model.py`; raises BadInput where there is no such."""
    spec = importlib.util.spec_from_file_location(f"task_model_{path.parent.name}_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise BadInput(f"{path} is no Python file: name one that defines model().")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where compilers look for what a model's code names
    spec.loader.exec_module(module)
    if not callable(getattr(module, "model", None)):
        raise BadInput(f"{path} defines no function model(): add one that returns the model.")
    return module.model()
