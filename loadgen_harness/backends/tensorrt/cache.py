"""Built engines and timings on disk: one file each, written under a temporary name, one process at a time."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadgen_harness.cache import home

DIGEST = hashlib.sha256().digest_size


def folder(option: str) -> Path:
    """Where engines live: the option, else beside the suite's other caches (LGH_CACHE names them)."""
    return (Path(option) if option else home()) / "tensorrt"


def key(facts: Mapping[str, Any]) -> str:
    """A name for everything that an engine depends on."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]


def digest(model: Path) -> str:
    """Of a model and the files of weights that lie beside it under its name."""
    found = hashlib.sha256()
    for path in sorted(each for each in model.parent.iterdir() if each.name.startswith(model.name) and each.is_file()):
        with path.open("rb") as file:
            found.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def read(path: Path) -> bytes:
    """What `write` stored; empty where it is absent, cut short or altered."""
    if not path.is_file():
        return b""
    data = path.read_bytes()
    content = data[DIGEST:]
    return content if hashlib.sha256(content).digest() == data[:DIGEST] else b""


def write(path: Path, content: bytes) -> None:
    """Store bytes with their digest in front."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(hashlib.sha256(content).digest() + content)
    part.rename(path)
