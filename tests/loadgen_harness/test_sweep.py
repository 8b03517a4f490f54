"""Pieces of a sweep: settings that must last, joules of the same parts, what a table and maxq.json say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.errors import RunFailed
from loadgen_harness.maxq import combined, row
from loadgen_harness.run import Run
from loadgen_harness.sweep import Outcome, Setting, _same_parts, _under
from power import figures
from power.energy import Energy
from power.watchdog import guarded
from submissions import efficiency
from submissions.efficiency import cells, judged, plain, sentence
from tests.power.machines import Machine, install


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return install(tmp_path, monkeypatch)


def energy(joules: float, seconds: float, *, parts: tuple[str, ...] = ("gpu/0",), samples: int = 100) -> Energy:
    told: dict[str, Any] = {
        "meter": "nvml", "scope": "board", "parts": parts, "estimated": False, "replay": False, "counter": True,
        "duration_s": seconds, "samples": 50, "mean_w": joules / seconds, "min_w": 1.0, "max_w": 500.0, "idle_w": None,
        "idle_s": 0.0, "official_w": joules / seconds, "joules": joules, "joules_low": joules, "joules_high": joules,
        "scenario": "Offline", "queries": 1, "samples_done": samples, "tokens": 0.0,
    }  # fmt: skip
    return figures.made(**told)


def outcome(label: str, *found: Energy) -> Outcome:
    runs = [(Run(Path(f"{number:02}")), each) for number, each in enumerate(found, 1)]
    return Outcome(Setting((("gpu_power", label),), f"{label} W"), runs, tried=3)


def test_a_setting_holds_for_a_whole_run(machine: Machine) -> None:
    setting = Setting((("cpu_governor", "powersave"), ("gpu_power", "150")), "")
    with guarded(["cpu_governor", "gpu_power"]) as guard:
        with _under(guard, setting)(machine.folder):
            assert (machine.gpus / "GPU-1").read_text() == "150000 0"
        with pytest.raises(RunFailed, match=r"did not last.*policy1"), _under(guard, setting)(machine.folder):
            (machine.cpufreq / "policy1/scaling_governor").write_text("ondemand\n")
        with pytest.raises(ArithmeticError), _under(guard, setting)(machine.folder):
            raise ArithmeticError("what the run itself says comes first")


def test_joules_of_other_parts_are_left_out() -> None:
    node, board = ("node",), ("gpu/0",)
    outcomes = [
        outcome("100", energy(50, 1, parts=board), energy(90, 1, parts=node)),
        outcome("200", energy(95, 1, parts=node), energy(96, 1, parts=node)),
        outcome("300"),
    ]
    _same_parts(outcomes)
    assert [[found.joules for _, found in each.runs] for each in outcomes] == [[90], [95, 96], []]
    assert outcomes[0].faults == ["01 left out: its meters measured gpu/0 instead of node"]


def test_every_combination_has_its_folder() -> None:
    settings = combined({"gpu_power": ("150", "200"), "cpu_governor": ("powersave",)})
    assert [each.label for each in settings] == ["150 W, powersave", "200 W, powersave"]
    assert settings[0].slug == "gpu_power=150_cpu_governor=powersave"


def test_the_table_the_file_and_the_picture() -> None:
    rows = [
        row(outcome("300", energy(300, 1.0), energy(302, 1.0), energy(304, 1.01))),
        row(outcome("200", energy(200, 1.1), energy(201, 1.1), energy(202, 1.1))),
        row(outcome("100", energy(250, 2.5), energy(251, 2.5))),
        row(outcome("50")),
    ]
    assert [verdict for _, verdict in judged(rows)] == ["front", "front", "dominated", None]
    assert rows[1].speed and rows[1].speed.mean == pytest.approx(100 / 1.1)
    assert rows[1].cost and rows[1].cost.mean == pytest.approx(2.01)
    shown = cells(rows)
    assert [line[0] for line in shown] == ["300 W", "200 W", "100 W", "50 W"]
    assert shown[2][-2:] == ("2 of 3", "")
    assert shown[3][-2] == "0 of 3"
    assert sentence(rows).startswith("The most frugal is 200 W: 33.")
    assert "300 W" in sentence(rows)
    content = plain(rows, {"meters": ["nvml"]})
    assert (content["front"], content["note"]) == (["300 W", "200 W"], "not an official MLPerf power result")
    drawing = efficiency.picture(rows, "a & b")
    assert drawing.count("<text") > 4
    assert "a &amp; b" in drawing
    assert efficiency.picture(rows[3:], "") == ""
    assert sentence(rows[3:]) == ""
    assert "both the fastest and the most frugal" in sentence(rows[1:3])
