"""`lgh run --repeats`: real runs of the plug-in's tiny benchmark, resumed and refused."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from absl.testing import flagsaver

from loadgen_harness import cli, durable, repeats
from loadgen_harness.errors import BadInput, SuiteError
from loadgen_harness.run import Run
from tests.fakes import names, tiny

RUN = ["run", "tiny", "--round", "tiny", "--backend", "null", "--option", "latency_us=100"]


def call(*words: str) -> int:
    with flagsaver.flagsaver():
        args = cli.parse(["lgh", *words])
        code: int = getattr(importlib.import_module(f"loadgen_harness.{args.module}"), args.function)(args)
        return code


@pytest.mark.usefixtures("plugin")
def test_repetitions_are_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "runs"
    long = (*RUN, "--min-duration-ms", "700", "--output", str(output), "--meters", "estimate")
    assert call(*long, "--repeats", "2") == 0
    assert names(output) == {"run-01", "run-02"}
    before = {name: Run(output / name).meta["started"] for name in names(output)}
    seen = capsys.readouterr().out
    assert "[1/2] tiny/SingleStream run-01" in seen and "left" in seen
    assert "estimated, meter estimate" in seen and "mean of 2 runs" in seen
    assert call(*long, "--repeats", "3") == 0
    assert names(output) == {"run-01", "run-02", "run-03"}
    assert before.items() <= {name: Run(output / name).meta["started"] for name in names(output)}.items()
    assert "2 finished runs were taken over" in capsys.readouterr().err
    with pytest.raises(BadInput, match="run-01 was run with other settings"):
        call(*long, "--repeats", "3", "--max-batch", "2")
    with pytest.raises(BadInput, match="is a run itself"):
        call(*RUN, "--output", str(output / "run-01"), "--repeats")


@pytest.mark.usefixtures("plugin")
def test_meters_are_not_mixed_with_none(tmp_path: Path) -> None:
    assert call(*RUN, "--output", str(tmp_path / "runs"), "--repeats", "1") == 0
    with pytest.raises(BadInput, match="run-01 was run without a meter"):
        call(*RUN, "--output", str(tmp_path / "runs"), "--repeats", "2", "--meters", "estimate")


@pytest.mark.usefixtures("plugin")
def test_two_failures_in_a_row_end_it(tmp_path: Path) -> None:
    wanted = repeats.jobs(tiny(tmp_path / "runs", backend="broken"), 5)
    found = list(repeats.execute(wanted, (), lambda step: None))
    assert [each.run for each in found] == [None, None]
    assert all("failed" in repeats.line(each) for each in found)


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("number", ["0", "-1", "ten", "1000", "1.5"])
def test_numbers_that_are_none(number: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="--repeats"):
        call(*RUN, "--output", str(tmp_path / "runs"), f"--repeats={number}")
    assert not (tmp_path / "runs").exists()


def test_alone_it_is_ten(tmp_path: Path) -> None:
    args = cli.build().parse_args([*RUN, "--output", str(tmp_path), "--repeats"])
    assert repeats.count(args.repeats) == repeats.DEFAULT == 10
    assert not cli.build().parse_args([*RUN, "--output", str(tmp_path)]).repeats


@pytest.mark.usefixtures("plugin")
def test_a_disk_that_fills_ends_it_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of `lgh run` and of a campaign: exit code 2; the finished run is kept, and the same command goes on."""
    jobs, room = repeats.jobs(tiny(tmp_path / "out"), 2), durable.room
    going = repeats.execute(jobs, (), lambda step: None)
    assert next(going).ok
    monkeypatch.setattr(durable, "room", lambda folder: 0)
    with pytest.raises(BadInput, match="the same command goes on from here"):
        next(going)
    assert names(tmp_path / "out") == {"run-01"}
    monkeypatch.setattr(durable, "room", room)
    again = list(repeats.execute(jobs, (), lambda step: None))
    assert [each.resumed for each in again] == [True, False] and all(each.ok for each in again)


@pytest.mark.usefixtures("plugin")
def test_a_run_that_fails_on_a_full_disk_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = repeats.jobs(tiny(tmp_path / "out", backend="broken"), 3)
    told: list[str] = []
    monkeypatch.setattr(durable, "room", lambda folder: 0)
    with pytest.raises(BadInput, match="free some space"):
        for outcome in repeats.execute(jobs, (), lambda step: None):
            told.append(outcome.error)
    assert len(told) == 1 and "is full" in told[0]
