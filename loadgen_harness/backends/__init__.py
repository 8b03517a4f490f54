"""What a backend is: one module per framework, defining BACKEND, a class made as `BACKEND(options)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from loadgen_harness.errors import BadInput

Batch = Mapping[str, np.ndarray]  # input name -> array whose first axis is the batch


class Backend(Protocol):
    """Runs a model on batches; used from one thread at a time unless `thread_safe`."""

    thread_safe: bool
    needs_model: bool  # whether `load` wants a model file

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Load weights and warm up, untimed; raises BadInput for what the backend cannot do."""

    def predict(self, batch: Batch) -> Sequence[np.ndarray]:
        """The model's outputs in its own order, each with the batch as first axis."""

    def describe(self) -> dict[str, str]:
        """What really runs: provider, precision, threads, framework version."""

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


class StreamBackend(Protocol):
    """Generates token by token; requests join and leave between steps."""

    slots: int  # requests that can be in flight without waiting
    needs_model: bool  # whether `load` wants a model file

    def load(self, model: Path | None, device: str, precision: str) -> None:
        """Load weights and warm up, untimed."""

    def submit(self, id: int, input: Any) -> None:
        """Begin a request; `input` is a mapping with `prompt` and `max_new_tokens`. Returns at once."""

    def poll(self, timeout: float) -> list[TokenEvent]:
        """Events since the last poll, waiting up to `timeout` seconds for one; called from one thread."""

    def cancel(self, id: int) -> None:
        """Stop a request; its final event carries an error."""

    def describe(self) -> dict[str, str]:
        """What really runs."""

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
        kind = type(default).__name__
        raise BadInput(f"option {key} of backend {backend} must be a {kind}, not {text!r}.") from error
