"""Where the suite keeps what it fetched or made, for all runs of this user."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadgen_harness.errors import BadInput


def home() -> Path:
    """The folder that LGH_CACHE names, else one of the user's own."""
    return Path(os.environ.get("LGH_CACHE") or Path.home() / ".cache" / "loadgen-harness" / "assets")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time makes what belongs at `path`; the lock goes with its process. Raises BadInput."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock").open("w")
    except OSError as error:
        raise BadInput(
            f"cache {path.parent} cannot be written ({error.strerror}): name another in LGH_CACHE."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
