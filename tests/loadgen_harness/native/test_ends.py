"""A run that ends badly is a failed run within two seconds, and says why; `python -m tests.ends` makes hundreds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from loadgen_harness.native import presence
from tests.ends import KINDS, Kind, end

pytestmark = [
    pytest.mark.usefixtures("plugin"),
    pytest.mark.skipif(bool(presence.missing()), reason=presence.missing()),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.name}-{kind.worker}".replace(" ", "-"))
def test_it_ends_well(tmp_path: Path, kind: Kind) -> None:
    seen = end(kind, tmp_path, random.Random(1))
    assert seen.well, seen
