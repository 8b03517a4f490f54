"""The verb `power-session`: what it refuses before the first long run, what it hands on, what it says at the end."""

from __future__ import annotations

import argparse
import configparser
import os
from pathlib import Path

import pytest

from loadgen_harness import cli, cli_run, power_sessions
from loadgen_harness.errors import SuiteError
from power import official as programs
from power import session
from power.official import Checkout
from power.simulator import MARK
from tests.audit.power_sessions import Change, Draft, draft
from tests.power.folders import BEGIN, write_log

CHECKOUT = os.environ.get("LGH_MLCOMMONS_POWER", "")
WORKLOAD = ("--scenario", "Offline", "--backend", "null", "--option", "latency_us=1", "--option", "sigma=0")


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is taken for the official programs: recognising them is tested with the real ones."""
    monkeypatch.setattr(programs, "checkout", lambda path: Checkout(path))
    return tmp_path / "power-dev"


def parsed(*words: str, round_: str = "") -> argparse.Namespace:
    """The arguments of one call."""
    args = cli.build().parse_args(["power-session", "digits", "--ntp", "ntp.example", *words])
    args.round = round_
    return args


def called(official: Path, *words: str) -> int:
    return power_sessions.session_(parsed("--power-dev", str(official), *words))


def test_the_workload_is_run_with_all_its_options(tmp_path: Path) -> None:
    words = ("--power-dev", "x", "--director", "10.0.0.2", "--output", str(tmp_path / "out"), *WORKLOAD)
    args = parsed(*words, "--target-qps", "7.5", "--data-dir", "data", round_="v6.1")
    command = power_sessions._command(args)
    assert command[1:5] == ["-m", "loadgen_harness", "--round=v6.1", "run"]
    again = cli.build().parse_args([*command[4:], "--output", "x"])
    assert {**vars(again), "output": 0} == {**vars(cli.build().parse_args(_run(*words[6:]))), "output": 0} | {
        "target_qps": 7.5,
        "data_dir": Path("data"),
    }


def _run(*words: str) -> list[str]:
    return ["run", "digits", "--output", "x", *words]


def test_what_is_as_by_default_is_left_out() -> None:
    args = cli.build().parse_args(_run())
    assert list(cli_run.given(args)) == ["digits"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--simulate",), "--output"),
        (("--local", "--output", "out"), "--ptd"),
        (("--local", "--ptd", "ptd", "--output", "out"), "device port"),
        (("--simulate", "--output", "out", "--label", "a b"), "--label"),
        (("--simulate", "--output", "out", "--mode", "AccuracyOnly"), "performance runs alone"),
        (("--simulate", "--output", "out", "--test", "TEST01"), "performance runs alone"),
        (("--simulate", "--output", "out", "--scenario", "offlin"), "Offline"),
        (("--simulate", "--output", "out", "--device-type", "7"), "type 7"),
        (("--director", "host:x", "--output", "out"), "HOST:PORT"),
        (("--server-conf", "conf"), "--ptd"),
    ],
)
def test_mistakes_are_found_before_anything_runs(words: tuple[str, ...], complaint: str, official: Path) -> None:
    with pytest.raises(SuiteError, match=complaint):
        called(official, *(str(official.parent / each) if each in ("out", "conf") else each for each in words))
    assert list(official.parent.iterdir()) == []


def test_another_folder_than_the_official_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="git clone"):
        called(tmp_path, "--simulate", "--output", str(tmp_path / "out"))


def test_writes_the_configuration_for_the_director(official: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = official.parent / "server.conf"
    words = ("--server-conf", str(path), "--ptd", "D:\\PTD\\ptd.exe", "--device-port", "C2PH", "--interface=-y")
    assert called(official, *words, "--device-type", "77", "--channel", "1,3") == 0
    conf = configparser.ConfigParser()
    conf.read(path)
    assert conf.sections() == ["server", "ptd", "analyzer1"] and conf["ptd"]["analyzercount"] == "1"
    assert dict(conf["analyzer1"]) == {
        "networkport": "8888",
        "devicetype": "77",
        "interfaceflag": "-y",
        "deviceport": "C2PH",
        "channel": "1,3",
    }
    assert "server.py -c server.conf" in capsys.readouterr().out
    with pytest.raises(SuiteError, match="never overwritten"):
        called(official, *words)


def ended(official: Path, monkeypatch: pytest.MonkeyPatch, change: Change, **more: object) -> list[session.Plan]:
    """Sessions end with these files; the plans that were asked for."""
    asked = []

    def run(plan: session.Plan, progress: session.Progress) -> Path:
        asked.append(plan)
        progress("the workload runs", 65.0)
        made = draft()
        change(made)
        made.write(plan.output / "performance")
        for phase in session.ORDER:
            write_log(plan.output / "runs" / phase, end=BEGIN + 5, **more)
        return plan.output

    monkeypatch.setattr(session, "run", run)
    return asked


def simulated(made: Draft) -> None:
    made.say("Identify", f"{MARK},version=1.11.1-{MARK}")


def test_a_session_in_order(
    official: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ended(official, monkeypatch, lambda _: None)
    words = ("--director", "10.0.0.2:99", "--label", "lab-1", "--output", str(official.parent / "out"))
    assert called(official, *words, *WORKLOAD) == 0
    (plan,) = asked
    assert (plan.director, plan.port, plan.label, plan.server_conf) == ("10.0.0.2", 99, "lab-1", "")
    said = capsys.readouterr().out
    assert "1:05 left  the workload runs" in said and "all eleven items" in said


def test_a_try_out_is_called_one(
    official: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ended(official, monkeypatch, simulated)
    assert called(official, "--simulate", "--output", str(official.parent / "out"), *WORKLOAD) == 0
    assert asked[0].label == MARK and "ptd-simulator" in asked[0].server_conf
    said = capsys.readouterr()
    assert "this session is a try-out" in said.err and "power-simulated" not in said.out


def test_a_try_out_hides_no_other_fault(
    official: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(made: Draft) -> None:
        simulated(made)
        made.say("SR,A", "Error: refused")

    ended(official, monkeypatch, change)
    assert called(official, "--simulate", "--output", str(official.parent / "out"), *WORKLOAD) == 1
    assert "Error: refused" in capsys.readouterr().out


def test_a_session_that_is_not_in_order_has_its_remedies(
    official: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(official, monkeypatch, lambda made: made.replace("run_1/spl.txt", "Watts,101", "Watts,91"))
    assert called(official, "--director", "10.0.0.2", "--output", str(official.parent / "out"), *WORKLOAD) == 1
    said = capsys.readouterr().out
    assert "power-ranging" in said and "repeat the session" in said and "all eleven" not in said


def test_an_invalid_run_is_not_in_order(
    official: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(official, monkeypatch, lambda _: None, result_validity="INVALID")
    assert called(official, "--director", "10.0.0.2", "--output", str(official.parent / "out"), *WORKLOAD) == 1
    assert "INVALID  ranging" in capsys.readouterr().out


@pytest.mark.skipif(not CHECKOUT, reason="LGH_MLCOMMONS_POWER names no checkout of mlcommons/power-dev")
def test_the_official_programs_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "server.conf"
    words = ("--server-conf", str(path), "--ptd", "ptd", "--device-port", "COM1")
    assert called(Path(CHECKOUT), *words) == 0 and path.is_file()
