"""A campaign killed at random moments loses no finished run and leaves nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills import kill

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux to end with the parent")


@pytest.mark.parametrize("times", [pytest.param(10, id="10"), pytest.param(200, id="200", marks=pytest.mark.slow)])
def test_kills(times: int) -> None:
    seen = kill(times, seed=times)
    assert seen.wrong == []
    assert seen.kills == times
    assert seen.runs == 10 * seen.whole
