"""user.conf against what LoadGen logs of it: random settings through LoadGen itself, and lines written by hand."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from audit.stated import OF_SCENARIO, SETTINGS, Logged, user_conf, user_conf_of
from loadgen_harness import settings
from loadgen_harness.run import Run
from loadgen_harness.types import Division, RunSpec, Scenario, TestMode
from tests.audit import folders
from tests.audit.evidences import evidence

ROOT = Path(__file__).parents[2]
DRAWS = 3  # of each scenario
SCENARIOS = (Scenario.SINGLE_STREAM, Scenario.MULTI_STREAM, Scenario.SERVER, Scenario.OFFLINE)


def drawn(draw: random.Random, scenario: Scenario) -> dict[str, float]:
    """Settings with all their digits, that LoadGen is done with in a moment."""

    def spread(low: float, high: float) -> float:
        return math.exp(draw.uniform(math.log(low), math.log(high)))

    found: dict[str, float] = {
        "min_duration": draw.uniform(1, 30),
        "max_duration": draw.uniform(1000, 2000),
        "min_query_count": draw.uniform(1, 200),
        "max_query_count": draw.uniform(200, 400),
        "performance_sample_count_override": draw.uniform(1, 64),
        "target_latency_percentile": draw.uniform(50, 99.9),
    }
    if scenario is Scenario.OFFLINE:
        return {**found, "target_qps": spread(1, 1e6)}
    found["target_latency"] = spread(1e-3, 1e3)
    more = {Scenario.SERVER: {"target_qps": spread(500, 5e4)}, Scenario.MULTI_STREAM: {"samples_per_query": 5.5}}
    return {**found, **more.get(scenario, {})}


def planned(scenario: Scenario, overrides: dict[str, float]) -> settings.Plan:
    spec = RunSpec(
        "toy", "null", scenario, TestMode.PERFORMANCE, Path("x"), division=Division.OPEN, overrides=overrides
    )
    return settings.plan(spec, folders.benchmark(), folders.ROUND)


def logged(folder: Path, plan: settings.Plan, *, ours: bool) -> Run:
    """A real run with the user.conf of `plan`; `ours`: with this suite's reading of it."""
    folder.mkdir()
    (folder / "user.conf").write_text(plan.user_conf)
    values = {key: value for key, value in asdict(plan.settings).items() if key not in ("scenario", "mode")}
    command = [sys.executable, "-m", "tests.audit.stated", str(folder), plan.settings.scenario]
    done = subprocess.run([*command, *([json.dumps(values)] * ours)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Run(folder)


def said(run: Run, text: str) -> Iterator[str]:
    """Keys of the findings about `text` as the run's user.conf."""
    path = run.file("user.conf")
    path.write_text(text)
    made = evidence(run.path.with_name(f"{run.path.name}-result"), performance=run, files={"user.conf": path})
    return (each.key for each in user_conf(made))


@pytest.mark.parametrize("ours", [True, False], ids=["lgh", "LoadGen alone"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_loadgen_logs_of_a_setting_is_that_setting(tmp_path: Path, scenario: Scenario, ours: bool) -> None:
    pytest.importorskip("mlperf_loadgen")
    draw = random.Random(f"{scenario} {ours}")
    compared = {**SETTINGS, **OF_SCENARIO[scenario]}
    for number in range(DRAWS):
        plan = planned(scenario, drawn(draw, scenario))
        run = logged(tmp_path / str(number), plan, ours=ours)
        assert all(each.key in run.log for each in compared.values())
        assert list(said(run, plan.user_conf)) == []
        for line in plan.user_conf.splitlines():
            key, value = line.split(" = ")[0].rpartition(".")[2], float(line.split(" = ")[1])
            changed = plan.user_conf.replace(line, f"{line.split(' = ')[0]} = {1.02 * value + 1:.9f}")
            assert list(said(run, changed)) == ([key] if key in compared else [])


def test_the_short_latencies_that_gave_a_false_warning(tmp_path: Path) -> None:
    pytest.importorskip("mlperf_loadgen")
    run = logged(tmp_path / "run", planned(Scenario.SINGLE_STREAM, {"target_latency": 0.00654583}), ours=True)
    assert run.log["requested_single_stream_expected_latency_ns"] == 6545
    assert list(said(run, "*.SingleStream.target_latency = 0.00654583\n")) == []
    assert list(said(run, "*.SingleStream.target_latency = 0.00754583\n")) == ["target_latency"]


WHOLE, RATE, STREAM = Logged("n", whole=True), Logged("qps"), Logged("ns", 1_000_000)
LIMIT = Logged("ns", 1_000_000, whole=True)
READ: list[tuple[Logged, str, float, bool]] = [
    (WHOLE, "24576", 24576, True),
    (WHOLE, "24576", 24577, False),
    (WHOLE, "24576.9", 24576, True),
    (WHOLE, "220000000", 2.2e8, True),
    (WHOLE, "010", 8, True),  # as C reads it
    (WHOLE, "0", 0, True),
    (LIMIT, "15.5", 15_000_000, True),  # LoadGen reads 15 and multiplies
    (LIMIT, "15.5", 15_500_000, True),  # this suite
    (LIMIT, "15.5", 16_000_000, False),
    (RATE, "123456.789", 123457, True),  # six digits
    (RATE, "123456.789", 123477, False),
    (RATE, "0.5", 0, False),
    (STREAM, "0.00654583", 6545.83, True),
    (STREAM, "0.00654583", 6545, True),
    (STREAM, "0.00654583", 6543, False),
]


@pytest.mark.parametrize(("key", "text", "value", "same"), READ)
def test_what_a_text_may_be_in_the_log(key: Logged, text: str, value: float, same: bool) -> None:
    assert key.is_given(text, value) is same


def test_offline_has_no_percentile_to_compare(tmp_path: Path) -> None:
    pytest.importorskip("mlperf_loadgen")
    run = logged(tmp_path / "run", planned(Scenario.OFFLINE, {"min_duration": 1, "target_qps": 9}), ours=False)
    assert run.log["effective_target_latency_percentile"] == 0.99
    assert list(said(run, "*.*.target_latency_percentile = 90\n*.Offline.target_qps = 9\n")) == []


def test_a_run_that_stands_alone_is_held_to_its_own_user_conf(tmp_path: Path) -> None:
    """`lgh check RUN`; an accuracy run's durations and rates are nobody's."""
    values = {**folders.performance("Server"), "effective_target_qps": 100, "requested_min_duration_ms": 2000}
    run = folders.own(folders.write(tmp_path / "run", values), scenario="Server")

    def keys(text: str, run: Run = run) -> list[str]:
        run.file("user.conf").write_text(text)
        return [f"{each.file} {each.key}" for each in user_conf_of(run, folders.benchmark(), folders.ROUND)]

    assert list(user_conf_of(run, folders.benchmark(), folders.ROUND)) == []
    assert keys("*.Server.target_qps = 100\n*.Server.min_duration = 2000\n") == []
    assert keys("*.Server.target_qps = 100\n*.Server.min_duration = 2001\n") == ["user.conf min_duration"]
    accuracy = folders.own(folders.write(tmp_path / "accuracy", folders.common("Server", "AccuracyOnly")))
    assert keys("*.Server.target_qps = 7\n", accuracy) == []
