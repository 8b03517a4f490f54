"""The compliance tests of tokens from plan to verdict: real LoadGen runs of the plug-in's counting benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen_harness import assess, campaign, plan

pytestmark = pytest.mark.usefixtures("plugin")

PLAN = """
round = "tiny"
tax = false
[[benchmark]]
name = "tiny_stream"
backend = "null_stream"
scenarios = ["{scenario}"]
tests = ["TEST06", "TEST07", "TEST09"]
options = {{ slots = 8, tokens = {tokens} }}
"""


def verdicts(folder: Path, scenario: str, tokens: int = 0) -> dict[str, tuple[str, ...]]:
    """Test to the keys of what it found, after a campaign."""
    file = folder / "plan.toml"
    file.write_text(PLAN.format(scenario=scenario, tokens=tokens))
    chosen = plan.read(file)
    found = assess.assess(list(campaign.execute(chosen, folder / "out")))
    return {
        name: tuple(finding.key for finding in verdict.findings)
        for each in found
        for name, (_, verdict) in each.compliance.items()
    }


@pytest.mark.parametrize("scenario", ["Offline", pytest.param("Server", marks=pytest.mark.slow)])
def test_a_whole_answer_passes(tmp_path: Path, scenario: str) -> None:
    assert verdicts(tmp_path, scenario) == {"TEST06": (), "TEST07": (), "TEST09": ()}


@pytest.mark.slow
def test_answers_that_are_cut_short_are_caught(tmp_path: Path) -> None:
    """Two tokens in place of three to five: consistent in themselves, but neither right nor long enough."""
    found = verdicts(tmp_path, "Offline", tokens=2)
    assert found == {"TEST06": (), "TEST07": ("accuracy",), "TEST09": ("output_tokens",)}
