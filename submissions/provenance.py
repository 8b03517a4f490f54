"""Which round a tree belongs to: by the seeds in its logs, else by the LoadGen that wrote them."""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from loadgen_harness import rounds
from loadgen_harness.types import Seeds

DETAIL = "mlperf_log_detail.txt"
ENOUGH = 100  # logs to read
HEAD = 1 << 16  # bytes of a log that surely hold its settings
SEED = re.compile(rb'_rng_seed(?:", "value":| :) (\d+)')  # begins with what can be searched for fast
NAME = re.compile(rb'(?:"effective_|: )(qsl|sample_index|schedule)$')
LONGEST = 32  # bytes of a seed's name
VERSION = re.compile(rb'loadgen_version", "value": "(\d+)\.(\d+)\.(\d+)')


class Guess(NamedTuple):
    """The name of a round, "" where nothing tells, and what it was told by."""

    name: str
    why: str


def round_of(tree: Path) -> str:
    """The name of the round that most logs of a tree belong to ("v4.1" too), "" where nothing tells."""
    return guess(tree).name


def guess(tree: Path) -> Guess:
    """The round that most logs of a tree belong to, and why."""
    heads = [_head(path) for path in islice(_logs(tree), ENOUGH)]
    if named := Counter(name for head in heads if (name := _by_seeds(head))).most_common(1):
        return Guess(named[0][0], f"{named[0][1]} of {len(heads)} logs have its seeds")
    if named := Counter(name for head in heads if (name := _by_version(head))).most_common(1):
        return Guess(named[0][0], f"no log has known seeds; {named[0][1]} of {len(heads)} are of its LoadGen")
    return Guess("", f"none of {len(heads)} logs has the seeds of a known round")


@functools.cache
def known_seeds() -> dict[Seeds, str]:
    """The seeds of every official round, of those without a file too."""
    loaded = [rounds.load(name) for name in rounds.official()]
    earlier = {seeds: name for each in loaded for name, seeds in each.earlier.items()}
    return earlier | {each.seeds: each.name for each in loaded}


def _logs(tree: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(tree):
        names.sort()
        path = Path(folder, DETAIL)
        if DETAIL in files and path.is_file() and not path.is_symlink():
            yield path


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except PermissionError:
        return b""


def _by_seeds(head: bytes) -> str:
    found = {}
    for match in SEED.finditer(head):
        if name := NAME.search(head[max(0, match.start() - LONGEST) : match.start()]):
            found[name[1].decode()] = int(match[1])
    return known_seeds().get(Seeds(**found), "") if len(found) == len(Seeds.__dataclass_fields__) else ""


def _by_version(head: bytes) -> str:
    match = VERSION.search(head)
    if not match:
        return ""
    version = tuple(int(part) for part in match.groups())
    older = [name for name in rounds.official() if _number(rounds.load(name).loadgen_first) <= version]
    return older[-1] if older else ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")) if version else (0,)
