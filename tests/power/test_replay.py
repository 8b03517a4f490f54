"""A recorded log plays in step with the clock, and nothing takes it for a measurement."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from loadgen_harness import campaign
from loadgen_harness.errors import BadInput
from loadgen_harness.run import Run
from power.energy import energies, findings, summarize, total
from power.log import Sample, write_spl
from power.meter import MeterFailed, load
from power.meters.replay import ReplayMeter
from power.recorder import record
from tests.power import measured
from tests.power.folders import METER, stamp, steady, write_log, write_power

ABOUT = {**METER, "estimated": False, "uncertainty": 0.05, "counting": True, "parts": ["cpu/0"], "resolution": 1e-6}


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A counting meter's log of 4 s at 20 W, named in the environment."""
    path = write_power(tmp_path / "before", steady(20.0), "rapl", ABOUT) / "power" / "rapl.csv"
    monkeypatch.setenv("LGH_REPLAY", str(path))
    return path


def test_it_plays_what_was_recorded_when_it_was(log: Path) -> None:
    (log.parent / "events.csv").write_text(f"0,{steady()[0].utc_s + 0.3},rapl,gpu/0: hot,begin\n")
    meter = ReplayMeter()
    assert (meter.scope, meter.parts, meter.uncertainty, meter.counting) == ("package", ("cpu/0",), 0.05, True)
    assert meter.estimated
    assert meter.conditions() == ()
    time.sleep(0.4)
    assert meter.watts() == pytest.approx(20)
    assert 8 <= meter.joules() <= 16
    assert meter.conditions() == ("gpu/0: hot",)
    assert "no measurement of this machine" in meter.describe()["source"]


def test_every_output_says_that_it_is_a_replay(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with record(["replay"], idle_s=0.3)(folder):
        begin = time.time()
        time.sleep(0.8)
        end = time.time()
    run = Run(write_log(folder, end=0, power_begin=stamp(begin), power_end=stamp(end)))
    assert list(findings(run)) == []
    energy = summarize(run)
    assert energy is not None
    assert energy.mean_w == pytest.approx(20, rel=0.01)
    assert energy.text().startswith("estimated, replay of a recorded log: 15.")
    assert energy.per_text().startswith("estimated, replay of a recorded log: 0.")
    assert total(run) is None
    about = json.loads((folder / "power" / "meters.json").read_text())["meters"]["replay"]
    assert about["estimated"] is True
    assert "replay" in about["details"]["source"]
    assert "Mark,lgh-estimated-replay" in (folder / "power" / "spl.txt").read_text()
    about["estimated"] = False  # nobody turns it into a measurement by a word in a file
    (folder / "power" / "meters.json").write_text(json.dumps({"format": 2, "meters": {"replay": about}}))
    assert [each.estimated for each in energies(run)] == [True]


def test_an_analyzers_log_plays_too_and_ends_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_spl(tmp_path / "spl.txt", [Sample(0, 1_790_000_000 + i / 10, 50.0 + i) for i in range(3)], "x")
    monkeypatch.setenv("LGH_REPLAY", str(tmp_path / "spl.txt"))
    meter = ReplayMeter()
    assert 50 <= meter.watts() < 52
    time.sleep(0.25)
    with pytest.raises(MeterFailed, match=r"ended after 0\.2 s"):
        meter.watts()
    with pytest.raises(MeterFailed, match="ended"):
        meter.conditions()


def test_what_cannot_be_played_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LGH_REPLAY", raising=False)
    with pytest.raises(BadInput, match="set LGH_REPLAY"):
        load("replay")
    for text, wanted in (
        ("what is this\n", "no sample"),
        ("1,2.0,3.0,\n", "no two readable"),
        ("1,2,nan,\n2,3,4,\n", "no two"),
    ):
        (tmp_path / "a.csv").write_text(text)
        monkeypatch.setenv("LGH_REPLAY", str(tmp_path / "a.csv"))
        assert wanted in ReplayMeter.available()
    monkeypatch.setenv("LGH_REPLAY", str(tmp_path / "none.csv"))
    assert "cannot be read" in ReplayMeter.available()


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("uncertainty", 7, "nvml: uncertainty 7, an invalid description, wanted a number from 0 to 1"),
        ("interval_s", -1, "nvml: interval_s -1, an invalid description"),
        ("estimated", "no", "nvml: estimated 'no', an invalid description"),
    ],
)
def test_a_log_whose_description_cannot_be_is_not_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: object, wanted: str
) -> None:
    folder = measured.run(tmp_path / "run", {"nvml": 50.0}).path / "power"
    monkeypatch.setenv("LGH_REPLAY", str(folder / "nvml.csv"))
    assert ReplayMeter.available() == ""
    about = json.loads((folder / "meters.json").read_text())
    about["meters"]["nvml"][key] = value
    (folder / "meters.json").write_text(json.dumps(about))
    assert wanted in ReplayMeter.available()


def test_auto_never_takes_a_replay(log: Path) -> None:
    assert "replay" not in campaign.best_meters()
