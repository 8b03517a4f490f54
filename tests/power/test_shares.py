"""Shares of the parts of a machine, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from power.shares import shares
from tests.power import measured


def told(runs: list[measured.Run]) -> dict[str, float]:
    return {share.kind: round(share.part.amount.value, 3) for share in shares(runs)}


def test_boards_and_packages(tmp_path: Path) -> None:
    assert told([measured.run(tmp_path / "a", {"nvml": 75.0, "rapl": 25.0})]) == {"accelerator": 0.75, "CPU": 0.25}


def test_a_wall_meter_shows_what_nobody_measured_apart(tmp_path: Path) -> None:
    run = measured.run(tmp_path / "a", {"ipmi": 200.0, "nvml": 100.0, "rapl": 40.0})
    assert told([run]) == {"accelerator": 0.5, "CPU": 0.2, "everything else": 0.3}
    for share in shares([run]):
        assert share.part.amount.low < share.part.amount.value < share.part.amount.high <= 1
        assert share.part.amount.value == pytest.approx(share.joules.amount.value / 400, rel=1e-3)


def test_the_mean_over_runs(tmp_path: Path) -> None:
    runs = [measured.run(tmp_path / str(cpu), {"nvml": 100.0 - cpu, "rapl": cpu}) for cpu in (20.0, 30.0)]
    assert told(runs) == {"accelerator": 0.75, "CPU": 0.25}
    assert shares(runs)[0].part.n == 2


@pytest.mark.parametrize("meters", [{"nvml": 10.0}, {"nvml": 10.0, "estimate": 5.0}, {"estimate": 5.0}])
def test_one_part_has_no_share(meters: dict[str, float], tmp_path: Path) -> None:
    assert shares([measured.run(tmp_path / "a", meters)]) == ()
