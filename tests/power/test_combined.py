"""Sums over meters: boards and packages add, what lies inside another counts once, estimates never count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadgen_harness.run import Run
from power import spl
from power.energy import energies, summarize, total
from power.log import Sample, read, write_spl
from power.parts import covers, overlap, width
from tests.power.folders import BEGIN, METER, steady, write_log, write_power

END = BEGIN + 2.0


def about(scope: str, *parts: str, **more: Any) -> dict[str, Any]:
    return {**METER, "estimated": False, "uncertainty": 0.05, "scope": scope, "parts": list(parts), **more}


def plain(watts: float, **more: float) -> list[Sample]:
    return [sample._replace(joules=None) for sample in steady(watts, **more)]


BOARDS, PACKAGES = about("board", "gpu/a", "gpu/b"), about("package", "cpu/0", "cpu/1")
CORES, MEMORY = about("core", "cpu/0/core", "cpu/1/core"), about("memory", "memory/0")


def run_with(folder: Path, **meters: tuple[list[Sample], dict[str, Any]]) -> Run:
    for name, (samples, description) in meters.items():
        write_power(folder, samples, name, description)
    return Run(write_log(folder, end=END))


@pytest.mark.parametrize(
    ("part", "others", "inside"),
    [
        ("wall", ("node", "gpu/a", "cpu/0/core", "platform"), True),
        ("node", ("gpu/a", "cpu/0", "memory/1", "platform", "storage"), True),
        ("platform", ("cpu/0", "cpu/0/core", "memory/0"), True),
        ("cpu/0", ("cpu/0", "cpu/0/core"), True),
        ("gpu", ("gpu/a",), True),
        ("node", ("wall",), False),
        ("platform", ("gpu/a", "wall", "node"), False),
        ("cpu/0", ("cpu/1", "cpu/00", "cpu", "memory/0"), False),
    ],
)
def test_what_covers_what(part: str, others: tuple[str, ...], inside: bool) -> None:
    assert all(covers(part, other) is inside for other in others)
    if inside:
        assert overlap(others, [part])
        assert overlap([part], others[:1])


def test_unknown_scopes_are_the_narrowest() -> None:
    assert width("wall") < width("node") < width("board") < width("rack")


def test_boards_packages_and_memory_add_up(tmp_path: Path) -> None:
    run = run_with(
        tmp_path, nvml=(plain(300.0), BOARDS), rapl=(steady(100.0), PACKAGES), dram=(plain(20.0), MEMORY),
        cores=(steady(70.0), CORES), estimate=(plain(65.0), METER),
    )  # fmt: skip
    energy = total(run)
    assert energy is not None
    assert energy.joules == pytest.approx(840)
    assert (energy.meter, energy.scope) == ("nvml + rapl + dram", "board + package + memory")
    assert energy.parts == ("gpu/a", "gpu/b", "cpu/0", "cpu/1", "memory/0")
    half = ((0.05 * 600) ** 2 + (0.05 * 200) ** 2 + (0.05 * 40) ** 2) ** 0.5
    assert energy.joules_high - energy.joules == pytest.approx(half, rel=0.01)
    assert (energy.min_w, energy.max_w, energy.official_w) == pytest.approx((420, 420, 420))
    assert energy.idle_w == pytest.approx(420)
    assert energy.per_sample_j == pytest.approx(8.4)
    assert energy.wh_per_1000_queries == pytest.approx(840 * 1000 / 3600)
    assert energy.samples_per_j == pytest.approx(100 / 840)
    assert summarize(run) == energy


def test_a_wall_meter_stands_for_all_of_it(tmp_path: Path) -> None:
    run = run_with(tmp_path, nvml=(plain(300.0), BOARDS), redfish=(plain(500.0), about("node", "node")))
    assert total(run) == energies(run)[0]
    assert energies(run)[0].meter == "redfish"
    write_spl(tmp_path / "spl.txt", steady(550.0), "x")
    (tmp_path / "spl.txt").write_text((tmp_path / "spl.txt").read_text().replace("lgh-", ""))
    whole = total(Run(tmp_path))
    assert whole is not None
    assert (whole.meter, round(whole.joules)) == ("ptd", 1100)


def test_a_partial_overlap_counts_the_more_certain_one_alone(tmp_path: Path) -> None:
    run = run_with(
        tmp_path,
        hwmon=(plain(200.0), about("board", "gpu/b", "gpu/c")),
        nvml=(plain(300.0), {**BOARDS, "uncertainty": 0.02}),
    )
    energy = total(run)
    assert energy is not None
    assert energy.meter == "nvml"
    assert energy.joules == pytest.approx(600)


def test_a_faulty_meter_is_no_addend_and_an_estimate_is_no_sum(tmp_path: Path) -> None:
    run = run_with(tmp_path, nvml=(plain(300.0, stop=1.0), BOARDS), rapl=(steady(100.0), PACKAGES))
    energy = total(run)
    assert energy is not None
    assert energy.meter == "rapl"
    alone = run_with(tmp_path / "alone", estimate=(plain(65.0), METER))
    assert total(alone) is None
    found = summarize(alone)
    assert found is not None
    assert found.estimated


def test_format_1_named_scopes_alone(tmp_path: Path) -> None:
    old = {key: value for key, value in BOARDS.items() if key != "parts"}
    run = run_with(tmp_path, nvml=(plain(300.0), old), nvml2=(plain(300.0), BOARDS), rapl=(steady(100.0), PACKAGES))
    energy = total(run)
    assert energy is not None
    assert energy.joules == pytest.approx(800)
    assert energy.parts[0] in ("gpu", "gpu/a")


def test_spl_holds_the_sum_at_the_slowest_pace(tmp_path: Path) -> None:
    slow = {**MEMORY, "interval_s": 0.5}
    run_with(
        tmp_path, nvml=(plain(300.0), BOARDS), rapl=(steady(100.0), PACKAGES), cores=(steady(70.0), CORES),
        dram=(plain(20.0, step=0.5), slow), estimate=(plain(65.0), METER),
    )  # fmt: skip
    assert spl.write(tmp_path / "power")
    readings = read(tmp_path / "power" / "spl.txt")
    assert readings.mark == "lgh-nvml+rapl+dram"
    assert [sample.watts for sample in readings.samples] == pytest.approx([420.0] * 7)
    assert readings.samples[0].utc_s == pytest.approx(BEGIN - 0.5, abs=0.002)
    assert not spl.write(tmp_path / "power"), "a finished file is never written again"


def test_spl_keeps_the_energy_of_a_changing_load(tmp_path: Path) -> None:
    samples = [s._replace(watts=10.0 + 10 * i, joules=None) for i, s in enumerate(steady())]
    run = run_with(tmp_path, hwmon=(samples, about("node", "node", averaging_s=0.0)))
    assert spl.write(tmp_path / "power")
    lines = read(tmp_path / "power" / "spl.txt").samples
    inside = [line.watts for line in lines if BEGIN < line.utc_s <= END + 0.01]
    energy = summarize(run)
    assert energy is not None
    assert sum(inside) * 0.1 == pytest.approx(energy.joules, rel=0.01)


def test_spl_of_a_crashed_run_is_made_from_what_is_there(tmp_path: Path) -> None:
    run_with(tmp_path, estimate=(plain(65.0), METER))
    log = tmp_path / "power" / "estimate.csv"
    log.write_text(log.read_text()[:-9])
    assert spl.write(tmp_path / "power")
    assert read(tmp_path / "power" / "spl.txt").mark == "lgh-estimated-estimate"


def test_spl_of_nothing_usable_is_not_made(tmp_path: Path) -> None:
    far = [*plain(20.0), Sample(10**10, BEGIN + 1e9, 20.0)]  # somebody set the clock
    unknown = [Sample(0, BEGIN, float("nan"))] * 2
    for name, samples in (("empty", []), ("one", plain(20.0)[:1]), ("nan", unknown), ("far", far)):
        assert not spl.write(write_power(tmp_path / name, samples, "nvml", BOARDS) / "power"), name
