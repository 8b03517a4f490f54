"""The bridge's C++ without Python, under load; `python -m tests.native --sanitize …` watches the same for races."""

from __future__ import annotations

import shutil

import pytest

from loadgen_harness.native import presence
from tests.native import sanitize

pytestmark = [
    pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler"),
    pytest.mark.skipif(bool(presence.missing()), reason=presence.missing()),
]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_case_ends_well() -> None:
    program = sanitize.program("", lambda _: None)
    outcomes = [sanitize.run(program, case, "") for case in sanitize.cases(program)]
    assert len(outcomes) > 90
    assert [outcome for outcome in outcomes if outcome.output] == []
