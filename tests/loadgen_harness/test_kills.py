"""A campaign killed at random moments loses no finished run and leaves nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills import SHORT, kill

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux to end with the parent")


@pytest.mark.timeout(240)
def test_four_kills() -> None:
    """A few, for every day: a kill and the way back take some seconds each."""
    seen = kill(4, seed=1, scenarios=SHORT)
    assert seen.wrong == []
    assert seen.kills == 4
    assert seen.runs == 2 * seen.whole > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_kills() -> None:
    seen = kill(200)
    assert seen.wrong == []
    assert seen.kills == 200
    assert seen.runs == 8 * seen.whole > 0
