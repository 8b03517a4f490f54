"""Faults told from the samples: sensors that stand still, clocks that move, time zones, what held a device back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.finding import Severity
from loadgen_harness import assess, subjects
from loadgen_harness.errors import BadInput
from loadgen_harness.launch import digests
from loadgen_harness.run import Run
from power import events, repeated
from power.energy import energies, findings, summarize
from power.events import EventLog
from power.log import Sample, read, spl_line
from power.simulator import MARK
from tests.power.folders import BEGIN, METER, steady, write_log, write_power

NODE: dict[str, Any] = {**METER, "estimated": False, "scope": "node", "parts": ["node"], "averaging_s": 0.0}
CPU: dict[str, Any] = {**NODE, "scope": "package", "parts": ["cpu/0"]}


def plain(watts: float, **more: float) -> list[Sample]:
    return [sample._replace(joules=None) for sample in steady(watts, **more)]


def swinging(low: float, high: float, **more: float) -> list[Sample]:
    """Half a second this, half a second that."""
    return [s._replace(watts=high if (s.utc_s - BEGIN) % 1 < 0.5 else low) for s in plain(low, **more)]


def measured(folder: Path, samples: list[Sample], about: dict[str, Any] = NODE, *, length: float = 2.0) -> Run:
    return Run(write_power(write_log(folder, end=BEGIN + length), samples, "meter", about))


def found(run: Run) -> str:
    return " | ".join(f"{fault.key}: {fault.found}" for fault in findings(run))


def test_a_fine_sensor_that_repeats_itself_is_stuck(tmp_path: Path) -> None:
    run = measured(tmp_path, plain(21.37, stop=6.0), length=5.0)
    assert "watts: 21.37 W in each of 5" in found(run)
    assert "the same to 0.01 W" in found(run)
    assert summarize(run) is None


@pytest.mark.parametrize(
    ("lines", "key", "said", "remedy"),
    [
        (0, "samples", "no sample at all", "what kept the meter silent"),
        (1, "samples", "no sample at all", "what kept the meter silent"),  # the heading alone
        (3, "utc_s", "the log ends 0.90 s before power_begin", "power/sampler.log"),
        (20, "utc_s", "the log ends 1.20 s before power_end", "power/sampler.log"),
    ],
)
def test_a_log_that_is_nearly_empty_is_told_of_once(
    lines: int, key: str, said: str, remedy: str, tmp_path: Path
) -> None:
    run = measured(tmp_path, plain(20.0))
    path = run.file("power/meter.csv")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:lines]))
    [fault] = findings(run)
    assert fault.key == key and said in fault.found and remedy in fault.fix
    assert summarize(run) is None


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e300"])
def test_stamps_that_are_no_times_are_a_fault_like_any_other(text: str, tmp_path: Path) -> None:
    run = measured(tmp_path, plain(20.0))
    path = run.file("power/meter.csv")
    path.write_text("".join(f"{number},{text if number % 2 else BEGIN + 1},20.0,\n" for number in range(9)))
    assert "utc_s" in {fault.key for fault in findings(run)}
    assert summarize(run) is None


@pytest.mark.parametrize(
    ("watts", "about", "stop"),
    [
        (21.0, NODE, 6.0),  # an idle board and a sensor of 1 W
        (210.0, NODE, 6.0),
        (41.0, {**NODE, "resolution": 1.0}, 6.0),
        (21.37, {**NODE, "resolution": 0.5}, 6.0),  # coarse, whatever its digits look like
        (21.37, {**NODE, "estimated": True}, 6.0),  # a model has no sensor
        (21.37, {**NODE, "averaging_s": 1.0}, 6.0),  # five seconds of means over one
        (21.37, NODE, 2.5),  # too short to tell
    ],
)
def test_an_idle_sensor_is_not_stuck(watts: float, about: dict[str, Any], stop: float, tmp_path: Path) -> None:
    run = measured(tmp_path, plain(watts, stop=stop), about, length=stop - 1)
    assert found(run) == ""
    assert summarize(run) is not None


def test_a_coarse_sensor_is_stuck_where_what_it_holds_moved(tmp_path: Path) -> None:
    coarse = {**NODE, "resolution": 1.0}
    run = measured(tmp_path, plain(80.0, stop=6.0), coarse, length=5.0)
    assert found(run) == ""
    write_power(tmp_path, swinging(20.0, 22.0, stop=6.0), "quiet", CPU)
    assert found(run) == "", "two watts inside may be lost in a reading of whole watts"
    write_power(tmp_path, swinging(20.0, 60.0, stop=6.0), "busy", CPU)
    assert "while busy, whose watts they hold, moved" in found(run)
    assert summarize(run) is not None, "the moving meter still has its number"


def test_what_lies_beside_proves_nothing(tmp_path: Path) -> None:
    run = measured(tmp_path, plain(80.0, stop=6.0), {**CPU, "resolution": 1.0}, length=5.0)
    write_power(tmp_path, swinging(20.0, 60.0, stop=6.0), "board", {**NODE, "scope": "board", "parts": ["gpu/0"]})
    write_power(tmp_path, swinging(20.0, 60.0, stop=6.0), "model", {**METER, "parts": ["cpu/0"]})
    assert found(run) == ""


def test_a_counter_that_stands_still_and_a_meter_that_reads_nothing(tmp_path: Path) -> None:
    still = [sample._replace(watts=0.0, joules=7.0) for sample in steady(0.0)]
    assert "joules: a count that stays at 7 J" in found(measured(tmp_path / "a", still, {**CPU, "counting": True}))
    assert "nothing draws no power" in found(measured(tmp_path / "b", plain(0.0)))
    for name in ("a", "b"):
        assert summarize(Run(tmp_path / name)) is None


def drifting(rate: float, stop: float = 61.0) -> list[Sample]:
    return [s._replace(utc_s=s.utc_s + rate * (s.utc_s - BEGIN)) for s in swinging(20.0, 60.0, stop=stop)]


def test_a_clock_that_drifts_is_a_fault_and_steering_is_none(tmp_path: Path) -> None:
    assert "the clock drifted by 0.3" in found(measured(tmp_path / "a", drifting(0.005), length=59.0))
    assert found(measured(tmp_path / "b", drifting(0.0005), length=59.0)) == ""


def analyzer(folder: Path, zone_s: float = 0.0, more: str = "", length: float = 60.0) -> Run:
    """A run with the log of somebody's analyzer, its stamps off by a time zone."""
    rng = np.random.default_rng(3)
    times = BEGIN - 5 + np.arange(length + 10)
    samples = [
        Sample(0, t + zone_s, 100 + w) for t, w in zip(times.tolist(), rng.normal(0, 1, len(times)), strict=True)
    ]
    write_log(folder, end=BEGIN + length)
    text = "".join(spl_line(s, "").replace("lgh-", "2026-11-22_testing") + more + "\n" for s in samples)
    (folder / "spl.txt").write_text(text)
    return Run(folder)


@pytest.mark.parametrize(
    ("zone_s", "said"),
    [
        (7200, "2 h 00 min ahead of LoadGen's UTC"),
        (-18000, "5 h 00 min behind LoadGen's UTC"),
        (20700, "5 h 45 min ahead of"),
        (-900, "0 h 15 min behind"),
    ],
)
def test_a_time_zone_is_named_and_never_taken_off(zone_s: float, said: str, tmp_path: Path) -> None:
    run = analyzer(tmp_path, zone_s)
    assert said in found(run)
    assert summarize(run) is None


@pytest.mark.parametrize("zone_s", [400.0, 60 * 60 * 20.0])
def test_other_offsets_are_no_time_zone(zone_s: float, tmp_path: Path) -> None:
    assert "time zone" not in found(analyzer(tmp_path, zone_s))
    assert "after power_begin" in found(Run(tmp_path))


def test_the_first_watts_of_three_phases_are_the_total(tmp_path: Path) -> None:
    """The lines of a multi-channel analyzer, as power-dev's parser knows them."""
    phase = "Watts,33.300000,Volts,120.950000,Amps,0.832100,PF,0.938900"
    run = analyzer(tmp_path, more="".join(f",Ch{n},{phase}" for n in (1, 2, 3)))
    energy = summarize(run)
    assert found(run) == ""
    assert energy is not None
    assert energy.official_w == pytest.approx(100, abs=1)
    assert read(tmp_path / "spl.txt").mark == "2026-11-22_testing"


def test_the_first_mark_of_merged_analyzers_counts(tmp_path: Path) -> None:
    run = analyzer(tmp_path, more=",Analyzer1,Time,x,Watts,50.0,Volts,1,Amps,1,PF,1,Mark,lgh-not-this-one")
    assert summarize(run) is not None
    assert read(tmp_path / "spl.txt").mark == "2026-11-22_testing"


def test_throttling_is_said_and_forbids_nothing(tmp_path: Path) -> None:
    run = measured(tmp_path, swinging(20.0, 60.0))
    log = EventLog(tmp_path / "power")
    for at, holds in ((-0.5, ["gpu/0: SW Power Cap"]), (0.5, []), (1.0, ["gpu/0: SW Power Cap", "gpu/1: hot, very"])):
        log.note("meter", holds, 0, BEGIN + at)
    assert summarize(run) is not None
    assert [fault.forbids for fault in findings(run)] == [False, False]
    assert "gpu/0: SW Power Cap (meter) for 1.5 s, 75% of LoadGen's window" in found(run)
    assert "gpu/1: hot; very (meter) for 1.0 s, 50% of LoadGen's window" in found(run)
    path = tmp_path / "power" / events.FILE
    path.write_text(path.read_text() + "what,is,this\n")
    assert "line 6 is no event" in found(run)
    log.note("other", ["too late"], 0, BEGIN + 2.5)
    assert "too late" not in found(run)


def test_what_held_before_the_run_alone_is_not_said(tmp_path: Path) -> None:
    run = measured(tmp_path, swinging(20.0, 60.0))
    log = EventLog(tmp_path / "power")
    log.note("meter", ["hot"], 0, BEGIN - 1)
    log.note("meter", ["hot"], 0, BEGIN - 0.7)
    log.note("meter", [], 0, BEGIN - 0.5)
    assert found(run) == ""
    assert len((tmp_path / "power" / events.FILE).read_text().splitlines()) == 3, "a line a change"


def test_the_audit_hears_of_faults_as_warnings(tmp_path: Path) -> None:
    run = measured(tmp_path, plain(21.37, stop=6.0), length=5.0)
    (tmp_path / "run.json").write_text('{"spec": {"benchmark": "digits", "round": "mini", "division": "open"}}')
    power = [each for each in assess.findings_of(run) if each.check == "power"]
    assert [each.severity for each in power] == [Severity.WARNING]


def digested(run: Run) -> Run:
    """The same run with the run.json that ends it."""
    (run.path / "run.json").write_text(json.dumps({"digests": digests(run.path)}))
    return Run(run.path)


@pytest.mark.parametrize("file", ["meters.json", "meter.csv", events.FILE])
def test_an_edit_after_the_run_leaves_no_number(file: str, tmp_path: Path) -> None:
    run = measured(tmp_path, swinging(20.0, 60.0), {**NODE, "estimated": True, "uncertainty": 0.5})
    EventLog(tmp_path / "power").note("meter", ["hot"], 0, BEGIN)
    run = digested(run)
    assert summarize(run) is not None
    path = tmp_path / "power" / file
    path.write_text(path.read_text().replace("true", "false").replace("0.5", "0.0").replace("hot", "odd"))
    path.write_text(path.read_text().replace(",60.", ",6."))
    (fault,) = (each for each in findings(run) if each.forbids)
    assert (fault.file, fault.found) == (f"power/{file}", "differs from the digest in run.json")
    assert summarize(run) is None
    path.unlink()
    assert summarize(run) is None


def test_a_meter_that_was_added_after_the_run_has_no_number(tmp_path: Path) -> None:
    run = digested(measured(tmp_path, swinging(20.0, 60.0)))
    (tmp_path / "power" / "nvml.csv").write_text((tmp_path / "power" / "meter.csv").read_text())
    assert "sha256: is not among the digests in run.json" in found(run)
    assert [each.meter for each in energies(run)] == ["meter"]


def test_an_analyzers_log_comes_after_run_json_and_counts(tmp_path: Path) -> None:
    log = (analyzer(tmp_path / "other").path / "spl.txt").read_text()
    run = digested(Run(write_log(tmp_path / "run", end=BEGIN + 60)))
    (run.path / "spl.txt").write_text(log)
    assert summarize(run) is not None
    digested(run)
    (run.path / "spl.txt").write_text(log.replace("Watts,1", "Watts,2"))
    assert "sha256: differs from the digest in run.json" in found(Run(run.path))
    assert summarize(Run(run.path)) is None


@pytest.mark.parametrize("name", ["estimate", "replay"])
def test_what_measures_nothing_is_estimated_whatever_its_description_says(name: str, tmp_path: Path) -> None:
    about = {**NODE, "estimated": False, "uncertainty": 0.0}
    energy = summarize(Run(write_power(write_log(tmp_path, end=BEGIN + 2), swinging(20.0, 60.0), name, about)))
    assert energy is not None
    assert energy.estimated


@pytest.mark.parametrize("key", ["uncertainty", "interval_s", "averaging_s"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "0.05", None, True, [0.05]])
def test_a_description_that_cannot_be_leaves_no_number(key: str, value: object, tmp_path: Path) -> None:
    run = measured(tmp_path, swinging(20.0, 60.0), {**NODE, key: value})
    assert f"meter: {key}: {value!r}, an invalid description" in found(run)
    assert summarize(run) is None


@pytest.mark.parametrize(("key", "value"), [("uncertainty", 1.5), ("estimated", 0)])
def test_more_than_everything_and_half_a_truth_are_no_descriptions(key: str, value: object, tmp_path: Path) -> None:
    run = measured(tmp_path, swinging(20.0, 60.0), {**NODE, key: value})
    assert f"meter: {key}: {value!r}, an invalid description" in found(run)
    assert summarize(run) is None


@pytest.mark.parametrize("watts", [-1.0, math.nan])
def test_samples_away_from_the_window_are_not_judged(watts: float, tmp_path: Path) -> None:
    good = swinging(20.0, 60.0)
    energy = summarize(measured(tmp_path / "good", good))
    away = [s._replace(watts=watts) if not -0.15 < s.utc_s - BEGIN < 2.15 else s for s in good]
    run = measured(tmp_path / "away", away)
    assert found(run) == ""
    told = summarize(run)
    assert energy and told
    assert told.joules == pytest.approx(energy.joules)
    assert told.joules_high == pytest.approx(energy.joules_high)
    counted = [s._replace(joules=20.0 * (s.utc_s - BEGIN + 1)) for s in away]
    assert "joules: counter 40 J, watts integrated" in found(measured(tmp_path / "counted", counted))


def test_samples_in_and_next_to_the_window_are_counted(tmp_path: Path) -> None:
    samples = plain(20.0, start=-0.95)  # none on the edges: 20 inside and one beside each
    bad = [s._replace(watts=-1.0) if i in (0, 9, 20, 39) else s for i, s in enumerate(samples)]
    run = measured(tmp_path, bad)
    assert found(run) == "watts: 2 of 22 samples in and next to LoadGen's window, the first -1 W"
    assert summarize(run) is None


def test_why_a_log_misses_the_window_is_said_first(tmp_path: Path) -> None:
    hour = [s._replace(utc_s=s.utc_s + 3600) for s in swinging(20.0, 60.0)]
    ours = measured(tmp_path / "zone", hour)
    first = next(iter(findings(ours)))
    assert "1 h 00 min ahead of LoadGen's UTC: those of a time zone?" in first.found
    assert "analyzer" not in first.fix
    for stop, edge in ((-0.5, "0.50 s before power_begin"), (1.5, "0.50 s before power_end")):
        run = measured(tmp_path / f"{stop}", swinging(20.0, 60.0, stop=stop))
        assert next(iter(findings(run))).found == f"the log ends {edge}: the sampler stopped?"
        assert summarize(run) is None


def test_the_simulators_mark_is_an_error_of_a_lone_run(tmp_path: Path) -> None:
    run = analyzer(tmp_path, more=f",{MARK}")
    (tmp_path / "run.json").write_text('{"spec": {"benchmark": "digits", "round": "mini", "division": "open"}}')
    told = [each for each in assess.findings_of(run) if each.check.startswith("power")]
    assert [(each.check, each.severity, each.file) for each in told] == [("power-simulated", Severity.ERROR, "spl.txt")]
    (tmp_path / "run.json").unlink()
    asked = subjects.Asked()
    assert "power-simulated" in {each.check for each in subjects.audit(tmp_path, asked).findings}
    with pytest.raises(BadInput, match=r"a simulator wrote spl\.txt"):
        repeated.gather([run])
