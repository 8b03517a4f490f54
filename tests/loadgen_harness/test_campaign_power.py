"""Power sessions of a campaign: made once, taken up again, their testing run the campaign's; a stand-in measures."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from audit.finding import errors
from loadgen_harness import campaign, campaign_power, demands, plan, plan_text, power_table, road
from loadgen_harness.attempts import Policy
from loadgen_harness.errors import BadInput, RunFailed, UnknownName
from loadgen_harness.plan import Plan
from loadgen_harness.run import Run
from power import official, session
from power.measurement import ANALYZER_LOG
from power.official import Checkout
from power.simulator import MARK

pytestmark = pytest.mark.usefixtures("plugin")
PLAN = """
round = "tiny"
tax = false
[power]
power_dev = "power-dev"
ntp = "127.0.0.1"
director = "10.0.0.2"
{power}
[[benchmark]]
name = "tiny"
backend = "null"
scenarios = ["Offline"]
"""


def written(folder: Path, power: str = "") -> Plan:
    """A plan with one power session."""
    file = folder / "plan.toml"
    file.write_text(PLAN.format(power=power), encoding="utf-8")
    return plan.read(file)


class Director:
    """Stands in for MLCommons' programs: runs the workload twice and lays an analyzer's log beside the second."""

    def __init__(self) -> None:
        """Nothing measured yet; `broken` sessions break off first."""
        self.sessions, self.broken, self.mark = 0, 0, ""

    def run(self, planned: session.Plan, progress: session.Progress) -> Path:
        """A session's folder, as session.run leaves it."""
        self.sessions += 1
        progress("ranging", 1.0)
        if self.broken:
            self.broken -= 1
            planned.output.with_name(f"{planned.output.name}.failed").mkdir(parents=True)
            raise RunFailed("the official client broke off: no reply")
        made = planned.output.with_name("under-way")
        for phase in session.ORDER:
            command = [*planned.workload, "--output", str(made / session.RUNS / phase)]
            subprocess.run(command, check=True, capture_output=True)
        measured = made / session.PERFORMANCE / campaign_power.MEASURED
        measured.mkdir(parents=True)
        (measured / ANALYZER_LOG).write_text(f"Time,12-04-2026 18:00:00.000,Watts,1.5{self.mark}\n")
        made.rename(planned.output)
        return planned.output


@pytest.fixture
def director(monkeypatch: pytest.MonkeyPatch) -> Director:
    stand_in = Director()
    monkeypatch.setattr(session, "run", stand_in.run)
    monkeypatch.setattr(official, "checkout", lambda path: Checkout(path))
    return stand_in


def made(chosen: Plan, output: Path, retries: int = 0) -> list[campaign.Outcome]:
    return list(campaign.execute(chosen, output, policy=Policy(retries=retries)))


def test_the_testing_run_is_the_campaigns_and_no_session_is_made_twice(tmp_path: Path, director: Director) -> None:
    chosen, output = written(tmp_path), tmp_path / "out"
    outcomes = made(chosen, output)
    keys = [outcome.job.key.rpartition("/")[2] for outcome in outcomes]
    assert keys == ["performance", "accuracy"] and all(outcome.run for outcome in outcomes)
    stands, taken = output / "power/tiny/Offline", output / "runs/tiny/Offline/performance"
    testing = Run(stands / session.RUNS / session.ORDER[1])
    assert Run(taken).meta["digests"] == testing.meta["digests"]
    assert Run(taken).meta["digests"] != Run(stands / session.RUNS / session.ORDER[0]).meta["digests"]
    assert (taken / ANALYZER_LOG).read_bytes() == (stands / "performance/run_1" / ANALYZER_LOG).read_bytes()
    assert not list((output / "runs/tiny/Offline/accuracy").glob(ANALYZER_LOG))
    assert errors(list(campaign_power.findings(outcomes[0].job)))  # the stand-in leaves no logs of client and server
    again = made(chosen, output)
    assert director.sessions == 1 and all(outcome.resumed for outcome in again)
    taken.rename(tmp_path / "gone")  # a kill between the session's end and its copy
    assert made(chosen, output)[0].run and director.sessions == 1
    assert (taken / "run.json").exists()


def test_a_session_that_broke_off_is_tried_again_where_that_was_asked_for(tmp_path: Path, director: Director) -> None:
    director.broken = 3
    first, *others = made(written(tmp_path), tmp_path / "out")
    assert director.sessions == 1 and not first.run and "broke off" in first.error
    assert all(outcome.run for outcome in others)
    director.mark = f",{MARK}"
    assert made(written(tmp_path), tmp_path / "out", retries=2)[0].run
    assert director.sessions == 4
    kept = sorted(path.name for path in (tmp_path / "out/power/tiny").iterdir())
    assert kept == ["Offline", "Offline.failed-1", "Offline.failed-2", "Offline.failed-3"]

    output = tmp_path / "out"  # and what is no session of the plan is not taken for one
    with pytest.raises(BadInput, match="was made with the simulator"):
        made(written(tmp_path), output)
    (output / "power").rename(tmp_path / "power")
    with pytest.raises(BadInput, match="was run without its power session"):
        made(written(tmp_path), output)
    assert director.sessions == 4


@pytest.mark.parametrize(
    ("power", "complaint"),
    [
        ("simulate = true", "names director and simulate"),
        ('device_type = "49"', "device_type of .power. cannot be '49': it takes a whole number"),
        ('analyzer_table = "a.md"', "must be called analyzer_table"),
    ],
)
def test_a_table_that_can_be_none(tmp_path: Path, power: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        written(tmp_path, power)


def test_an_unknown_key(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="'directer': did you mean 'director'"):
        written(tmp_path, 'directer = "10.0.0.3"')


def test_the_written_table_is_read_and_says_what_it_lacks(tmp_path: Path) -> None:
    wish = demands.wish_of("v6.1", "closed", "edge", benchmarks=["resnet50"], scenarios=["Offline"])
    file = tmp_path / "plan.toml"
    file.write_text(plan_text.text(replace(wish, power=True), ["resnet50"], "x"), encoding="utf-8")
    chosen = plan.read(file)
    assert chosen.power == power_table.PowerTable()
    assert [key for key, _ in power_table.lacking(power_table.PowerTable())] == ["power_dev", "ntp", "director"]
    with pytest.raises(BadInput, match=r"\[power\] of the plan lacks power_dev: name an unmodified checkout"):
        made(chosen, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dry_run_shows_both_runs(tmp_path: Path) -> None:
    jobs = plan.jobs(written(tmp_path), tmp_path / "out")
    rows = [row[0] for job in jobs for row in road.plan_rows(job)]
    assert rows == [
        f"tiny/Offline/performance ({demands.RANGING})", f"tiny/Offline/performance ({demands.TESTING})",
        "tiny/Offline/accuracy",
    ]  # fmt: skip
    assert jobs[0].estimate_s > 2 * jobs[1].estimate_s
