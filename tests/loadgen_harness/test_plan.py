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


SUBMISSION = """
[submission]
submitter = "{submitter}"
system_name = "box"
{more}
[[benchmark]]
name = "digits"
scenarios = {scenarios}
"""


def submission(folder: Path, submitter: str = "Me", more: str = "", scenarios: str = '["Offline"]') -> plan.Plan:
    """A plan with a table [submission]."""
    file = folder / "plan.toml"
    file.write_text(SUBMISSION.format(submitter=submitter, more=more, scenarios=scenarios), encoding="utf-8")
    return plan.read(file)


@pytest.mark.parametrize("submitter", ["M\u00fcller", "a/b", "Acme AG", "-x", ".hidden"])
def test_names_that_no_tree_can_have_are_refused_before_anything_runs(tmp_path: Path, submitter: str) -> None:
    with pytest.raises(BadInput, match=f"submitter = '{submitter}' of .submission. cannot be the name of a folder"):
        submission(tmp_path, submitter)


def test_slips_of_the_pen_in_the_submission(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="'sytem_type': did you mean 'system_type'"):
        submission(tmp_path, more='sytem_type = "edge"')
    with pytest.raises(UnknownName, match=r"system_type of \[submission\] 'egde': did you mean 'edge'"):
        submission(tmp_path, more='system_type = "egde"')
    free = submission(tmp_path, more='boot_firmware_version = "1.2"\ninfer = ["Offline"]')
    assert free.submission["boot_firmware_version"] == "1.2"


def test_two_runs_of_one_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="asks for digits/Offline 2 times"):
        submission(tmp_path, scenarios='["Offline", "Offline"]')
    again = '[[benchmark]]\nname = "digits"\nscenarios = ["Server", "Offline"]\nprecision = "int8"'
    with pytest.raises(BadInput, match="asks for digits/Offline 2 times: keep one"):
        submission(tmp_path, scenarios=f'["Offline"]\n{again}')
    apart = submission(tmp_path, scenarios='["SingleStream"]\n' + again)
    assert [choice.benchmark for choice in apart.choices] == ["digits", "digits"]


def test_without_a_stated_speed_a_run_takes_its_least_and_no_more_is_said(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    text = 'round = "v6.1"\n[[benchmark]]\nname = "resnet50"\nscenarios = ["SingleStream", "Offline"]\n'
    file.write_text(text)
    unnamed = {job.key: job for job in plan.jobs(plan.read(file), tmp_path)}
    assert {job.estimate_s for job in unnamed.values() if not job.open_end} == {600 + plan.OVERHEAD_S}
    assert [key for key, job in unnamed.items() if job.open_end] == [
        "resnet50/SingleStream/accuracy", "resnet50/Offline/accuracy"
    ]  # fmt: skip
    file.write_text(text + "[benchmark.Offline]\noverrides = { target_qps = 10 }\n")
    named = {job.key: job for job in plan.jobs(plan.read(file), tmp_path)}
    assert named["resnet50/Offline/accuracy"].estimate_s == 5000 + plan.OVERHEAD_S
    assert named["resnet50/Offline/performance"].estimate_s == pytest.approx(2457.6 + plan.OVERHEAD_S)
    assert not named["resnet50/Offline/accuracy"].open_end
