"""Which compliance tests a campaign runs: those of the round, and those that a plan adds."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen_harness import plan
from loadgen_harness.errors import BadInput, UnknownName

PLAN = """
round = "mini"
division = "{division}"
[[benchmark]]
name = "smollm2"
scenarios = ["SingleStream", "Offline"]
{tests}
"""


def keys(folder: Path, tests: str = "", division: str = "closed") -> list[str]:
    """The keys of a plan's jobs."""
    file = folder / "plan.toml"
    file.write_text(PLAN.format(tests=tests, division=division))
    return [job.key for job in plan.jobs(plan.read(file), folder)]


def test_a_plan_may_add_tests_to_the_rounds(tmp_path: Path) -> None:
    usual = ["smollm2/SingleStream/performance"]
    usual += [f"smollm2/Offline/{kind}" for kind in ("performance", "accuracy", "TEST06")]
    assert keys(tmp_path) == usual
    more = keys(tmp_path, 'tests = ["TEST06", "TEST09", "TEST07"]')
    assert more == [*usual, "smollm2/Offline/TEST09", "smollm2/Offline/TEST07"]


def test_the_open_division_is_free_of_them(tmp_path: Path) -> None:
    assert not any("TEST" in key for key in keys(tmp_path, 'tests = ["TEST07"]', "open"))


@pytest.mark.parametrize(("tests", "message"), [
    ('["TEST05"]', "unknown compliance test 'TEST05'"), ('["TEST08"]', "unknown compliance test of smollm2 'TEST08'"),
])  # fmt: skip
def test_a_test_without_figures_is_refused(tmp_path: Path, tests: str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        keys(tmp_path, f"tests = {tests}")


def test_the_shipped_plan_runs_every_test_of_tokens(tmp_path: Path) -> None:
    jobs = plan.jobs(plan.read(Path("token-tests")), tmp_path)
    assert [job.key.rpartition("/")[2] for job in jobs] == ["performance", "accuracy", "TEST06", "TEST07", "TEST09"]


@pytest.mark.parametrize("division", ["closed", "open"])
def test_a_plan_may_repeat_its_performance_runs(tmp_path: Path, division: str) -> None:
    found = keys(tmp_path, "repeats = 3", division)
    assert found[:3] == [f"smollm2/SingleStream/performance{number}" for number in ("", "-02", "-03")]
    jobs = plan.jobs(plan.read(tmp_path / "plan.toml"), tmp_path)
    assert {job.test for job in jobs[:3]} == {""} and len({job.spec.output for job in jobs}) == len(jobs)


@pytest.mark.parametrize("repeats", ["0", "1000", "true", "1.5", '"2"'])
def test_repetitions_that_are_no_number_are_refused(tmp_path: Path, repeats: str) -> None:
    with pytest.raises(BadInput, match="plan key repeats cannot be"):
        keys(tmp_path, f"repeats = {repeats}")
