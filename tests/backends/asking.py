"""The openai backend as a test asks it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loadgen_harness.backends import TokenEvent
from loadgen_harness.backends.openai import BACKEND

SECRET = "sk-very-secret-0123456789"


@contextmanager
def loaded(url: str, **options: str) -> Iterator[Any]:
    backend = BACKEND({"url": url, **options})
    backend.load(None, "cpu", "")
    try:
        yield backend
    finally:
        backend.close()


def ask(backend: Any, *ids: int, tokens: int = 3) -> dict[int, list[TokenEvent]]:
    """Events by request until each is over."""
    for id_ in ids:
        backend.submit(id_, {"prompt": f"p{id_}", "max_new_tokens": tokens})
    return collect(backend, *ids)


def collect(backend: Any, *ids: int) -> dict[int, list[TokenEvent]]:
    seen: dict[int, list[TokenEvent]] = {id_: [] for id_ in ids}
    end = time.monotonic() + 20
    while not all(events and events[-1].final for events in seen.values()):
        assert time.monotonic() < end, f"no end: {seen}"
        for each in backend.poll(0.1):
            seen[each.id].append(each)
    return seen


def ids(events: list[TokenEvent]) -> list[int]:
    return [token for each in events for token in each.tokens]
