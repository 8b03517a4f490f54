"""Sample logs survive a crash and read back; spl.txt goes both ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen_harness.errors import BadInput
from power.log import Sample, SampleLog, read, spl_line, write_spl, write_whole

SAMPLES = (Sample(1_000, 1_790_000_000.25, 12.5, 3.0), Sample(2_000, 1_790_000_000.35, 13.0, 4.25))


def written(path: Path) -> Path:
    log = SampleLog(path)
    for sample in SAMPLES:
        log.write(sample)
    log.close()
    return path


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    readings = read(written(tmp_path / "nvml.csv"))
    assert readings.samples == SAMPLES
    assert not readings.damage


def test_a_log_is_on_disk_before_it_is_closed(tmp_path: Path) -> None:
    log = SampleLog(tmp_path / "a.csv")
    log.write(SAMPLES[0])
    assert read(tmp_path / "a.csv").samples == SAMPLES[:1]
    log.close()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 120))
def test_a_log_cut_anywhere_gives_only_true_samples(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = written(tmp_path_factory.mktemp("cut") / "a.csv")
    path.write_bytes(path.read_bytes()[:cut])
    readings = read(path)
    assert readings.samples == SAMPLES[: len(readings.samples)]
    assert not readings.damage


def test_an_odd_line_is_damage(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv")
    path.write_text(path.read_text().replace("12.5", "twelve"))
    readings = read(path)
    assert len(readings.samples) == 1
    assert "line 2 is no sample" in readings.damage[0]
    assert "cannot be read" in read(tmp_path / "none.csv").damage[0]


def test_a_log_is_never_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv")
    with pytest.raises(BadInput, match="exists"):
        SampleLog(path)


def test_spl_has_the_analyzers_form(tmp_path: Path) -> None:
    line = spl_line(Sample(0, 1_721_932_584.892, 537.0), "rapl")
    assert line.startswith("Time,07-25-2024 18:36:24.892,Watts,537.000000,Volts,-1.000000,Amps,-1.000000,PF,")
    write_spl(tmp_path / "spl.txt", SAMPLES, "rapl")
    readings = read(tmp_path / "spl.txt")
    assert [(s.utc_s, s.watts) for s in readings.samples] == [(s.utc_s, s.watts) for s in SAMPLES]
    assert readings.mark == "lgh-rapl"
    with pytest.raises(BadInput, match="exists"):
        write_spl(tmp_path / "spl.txt", SAMPLES, "rapl")


def test_spl_of_another_order_is_damage(tmp_path: Path) -> None:
    write_whole(tmp_path / "spl.txt", "Time,07-25-2024 18:36:24.892,Volts,117.8,Watts,5.0\n\n")
    assert len(read(tmp_path / "spl.txt").damage) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["spl.txt"]
