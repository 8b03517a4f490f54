"""Null runs in the place of a run's own: what layout they have, what is shared, what is written, what may fail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit.tax import Tax, of
from loadgen_harness import campaign, plan, tax
from loadgen_harness.errors import BadInput
from loadgen_harness.launch import digests, launch
from loadgen_harness.run import Run
from loadgen_harness.types import Scenario
from tests.fakes import names, tiny
from tests.submissions.folders import Made, make

SETTINGS = {"server_target_qps": 500.0, "multi_stream_samples_per_query": 8}
PLAN = """
round = "tiny"
tax = 0.1

[[benchmark]]
name = "tiny"
backend = "null"
driver = "python"
scenarios = ["SingleStream", "Offline"]
max_batch = 2
"""


def run(path: Path, **changes: Any) -> Run:
    return launch(tiny(path, **{"driver": "python", **changes}))


def plan_of(path: Path, text: str = PLAN) -> plan.Plan:
    path.write_text(text, encoding="utf-8")
    return plan.read(path)


@pytest.mark.usefixtures("plugin")
def test_a_run_is_taxed_and_keeps_everything_else(tmp_path: Path) -> None:
    done = run(tmp_path / "run", scenario=Scenario.SERVER, max_batch=4, max_wait_ms=1.0, options={"latency_us": "300"})
    before = json.loads((done.path / "run.json").read_text())
    ceilings: dict[tax.Layout, float | None] = {}
    measured = tax.measure(done, 0.2, ceilings)
    tax.store([done], measured)
    assert names(tmp_path) == {"run"}
    after = json.loads((done.path / "run.json").read_text())
    assert of(Run(done.path)) == measured
    assert {key: value for key, value in after.items() if key != "tax"} == before
    assert digests(done.path) == before["digests"]
    assert measured.samples > 30  # 500 queries/s
    assert measured.benchmark == "tiny" and "thread, batch ≤ 4 within 1 ms, 500 queries/s" in measured.layout
    assert measured.mean_ns and measured.p99_ns and 0 < measured.mean_ns < 100e6
    assert measured.gil == {} and measured.first_p99_ns is None
    assert list(ceilings.values()) == [measured.ceiling] and measured.ceiling and measured.ceiling > 500
    assert [layout.scenario for layout in ceilings] == [Scenario.OFFLINE]


@pytest.mark.usefixtures("plugin")
def test_a_streaming_run_is_taxed_by_the_null_stream(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"benchmark": "tiny_stream", "backend": "null_stream", "options": {"slots": "2"}}
    done = run(tmp_path / "run", scenario=Scenario.SERVER, **changes)
    spec = tax.null_spec(done, 0.5, tmp_path / "null")
    assert spec.backend == "null_stream" and spec.options["slots"] == "2" and int(spec.options["tokens"]) >= 1
    assert spec.overrides["target_qps"] == 300
    known = replace(tax.layout(tax.spec_of(done), SETTINGS), scenario=Scenario.OFFLINE, rate=0.0)
    measured = tax.measure(done, 0.1, {known: 7.0})
    assert measured.ceiling == 7.0
    assert measured.first_p99_ns and measured.p99_ns and measured.first_p99_ns <= measured.p99_ns


def test_only_performance_runs_are_taxed(tmp_path: Path) -> None:
    accuracy = make(tmp_path / "run", Made(Scenario.OFFLINE, 64, 1.0, mode="AccuracyOnly"))
    for folder in (accuracy, Run(tmp_path)):
        with pytest.raises(BadInput, match="no performance run"):
            tax.spec_of(folder)


@pytest.mark.usefixtures("plugin")
def test_what_makes_a_layout(tmp_path: Path) -> None:
    server = replace(tiny(tmp_path), scenario=Scenario.SERVER)
    own = tax.layout(server, SETTINGS)
    assert own.worker == "thread" and own.rate == 500 and own.width == 1
    same = {
        "backend": "broken",
        "options": {"fault": "slow"},
        "precision": "int8",
        "pin": "none",
        "hang_timeout_s": 9.0,
    }
    assert all(tax.layout(replace(server, **{key: value}), SETTINGS) == own for key, value in same.items())
    other = {"driver": "python", "worker": "process", "replicas": 2, "device": "a:0,a:1", "pin": "split"}
    other |= {"spin_us": 5.0, "postprocess": "process", "max_batch": 2, "max_wait_ms": 1.0}
    assert all(tax.layout(replace(server, **{key: value}), SETTINGS) != own for key, value in other.items())
    assert tax.layout(server, {**SETTINGS, "server_target_qps": 9.0}) != own
    stream = replace(tiny(tmp_path), benchmark="tiny_stream", scenario=Scenario.SERVER)
    apart = replace(stream, scenario=Scenario.INTERACTIVE)
    assert tax.layout(stream, SETTINGS) == tax.layout(apart, SETTINGS) != own
    single = tax.layout(tiny(tmp_path), SETTINGS)
    assert single.worker == "inline" and single.rate == 0


@pytest.mark.usefixtures("plugin")
def test_a_campaign_pays_once(tmp_path: Path) -> None:
    chosen = plan_of(tmp_path / "two.toml")
    output = tmp_path / "out"
    owed = campaign.charges(chosen, output)
    assert [charge.key for charge in owed] == ["tiny/Offline/tax", "tiny/SingleStream/tax"]
    assert all(outcome.ok for outcome in campaign.execute(chosen, output, only="performance"))
    steps: list[campaign.Step] = []
    paid = list(campaign.levy(chosen, output, on_step=steps.append))
    assert [charge.key for charge, _ in paid] == [charge.key for charge in owed]
    assert not any(measured.error for _, measured in paid)
    offline, single = (measured for _, measured in paid)
    assert offline.ceiling == single.ceiling  # both inline
    assert offline.mean_ns == pytest.approx(1e9 / offline.ceiling) and offline.p99_ns is None
    assert {step.job.key for step in steps} == {charge.key for charge in owed}
    assert campaign.charges(chosen, output) == [] == list(campaign.levy(chosen, output))
    assert len({Run(charge.jobs[0].spec.output).meta["tax"]["layout"] for charge in owed}) == 1
    assert campaign.charges(replace(chosen, tax_s=0.0), output) == []


@pytest.mark.usefixtures("plugin")
def test_a_tax_is_shared_and_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = plan_of(tmp_path / "two.toml")
    job = next(job for job in plan.jobs(chosen, tmp_path / "out") if job.key == "tiny/Offline/performance")
    twin = replace(job, key="twin/Offline/performance", spec=replace(job.spec, output=tmp_path / "twin"))
    for each in (job, twin):
        each.spec.output.mkdir(parents=True)
        (each.spec.output / "run.json").write_text("{}")  # not the run that it should be: measuring fails
    monkeypatch.setattr(campaign, "jobs", lambda plan, output: [job, twin])
    ((charge, failed),) = campaign.levy(chosen, tmp_path / "out")
    assert charge.jobs == (job, twin)
    assert "no performance run" in failed.error
    assert of(Run(twin.spec.output)) == failed
    good = Tax(benchmark="tiny", mean_ns=5.0)
    tax.store([Run(twin.spec.output)], good)  # one has it: nothing is measured
    ((_, taken),) = campaign.levy(chosen, tmp_path / "out")
    assert of(Run(job.spec.output)) == taken == good
    assert campaign.charges(chosen, tmp_path / "out") == []


@pytest.mark.parametrize(("given", "seconds"), [("true", tax.SECONDS), ("false", 0.0), ("0.5", 0.5), ("3", 3.0)])
def test_a_plan_says_how_long(given: str, seconds: float, tmp_path: Path) -> None:
    assert plan_of(tmp_path / "plan.toml", PLAN.replace("tax = 0.1", f"tax = {given}")).tax_s == seconds


@pytest.mark.parametrize("given", ['"no"', "-1", "inf", "[]"])
def test_a_plan_that_makes_no_sense(given: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="plan key tax"):
        plan_of(tmp_path / "plan.toml", PLAN.replace("tax = 0.1", f"tax = {given}"))
