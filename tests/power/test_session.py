"""The official client and server around a workload: a whole session, and sessions that break off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from audit.finding import errors
from audit.power_check import check
from loadgen_harness.errors import BadInput, RunFailed
from power import clock, server_conf, session
from power.official import Checkout, checkout
from power.server_conf import Analyzer
from power.simulator import MARK
from power.simulator.clock import Clock
from power.simulator.program import program
from tests.architecture import ROOT

CHECKOUT = os.environ.get("LGH_MLCOMMONS_POWER", "")
HOST = "127.0.0.1"
PORT, PTD_PORT = 4957, 8897  # not the usual ones: a real session may run beside the tests
RUN = [sys.executable, "-m", "loadgen_harness", "run", "digits", "--scenario", "Offline", "--backend", "null"]
needs_checkout = pytest.mark.skipif(not CHECKOUT, reason="LGH_MLCOMMONS_POWER names no checkout of mlcommons/power-dev")


@pytest.fixture(scope="module")
def ntp() -> Iterator[str]:
    """An NTP server on this machine, at the port that the official programs ask."""
    try:
        server = Clock()
    except OSError as error:
        pytest.skip(f"no NTP server can be started here: {error}")
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield HOST
        server.shutdown()
        thread.join()


def planned(output: Path, ntp: str, workload: list[str], ptd: str) -> session.Plan:
    """A session on this machine."""
    analyzer = Analyzer(49, "none", network_port=PTD_PORT)
    conf = server_conf.text(ptd, [analyzer], ntp=ntp, host=HOST, port=PORT)
    official = checkout(Path(CHECKOUT)) if CHECKOUT else Checkout(output)
    return session.Plan(official, output, workload, 3.0, ntp, HOST, PORT, server_conf=conf)


def left_over() -> list[str]:
    """Command lines of programs of a session that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode("utf-8", errors="replace")
        except OSError:
            continue
        if "ptd_client_server" in text or f"-p {PTD_PORT}" in text:
            found.append(text)
    return found


@needs_checkout
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_whole_session_with_the_simulator(tmp_path: Path, ntp: str) -> None:
    """About a minute: the official server waits four times ten seconds."""
    said: list[tuple[str, float]] = []
    with program() as ptd:
        plan = planned(tmp_path / "session", ntp, [*RUN, "--min-duration-ms", "2000"], str(ptd))
        folder = session.run(plan, lambda *each: said.append(each))
    assert left_over() == []
    made = {path.relative_to(folder).as_posix() for path in (folder / "performance").rglob("*") if path.is_file()}
    assert made == {
        *(f"performance/power/{name}" for name in ("client.json", "client.log", "server.json", "server.log")),
        "performance/power/ptd_logs.txt",
        *(
            f"performance/{place}/{name}"
            for place in ("ranging", "run_1")
            for name in ("mlperf_log_detail.txt", "mlperf_log_summary.txt", "spl.txt")
        ),
    }
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["ranging", "testing"]
    assert (folder / "logs/ptd_out.txt").is_file() and not list(tmp_path.glob("*.failed"))
    found = {each.check for each in errors(check(folder / "performance"))}
    assert found == {"power-simulated", "power-replies"}, "all but the simulated analyzer is in order"
    command = [sys.executable, str(Path(CHECKOUT) / "compliance/check.py"), str(folder / "performance")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    refused = [line for line in done.stderr.splitlines() if "[ ] " in line]
    assert done.returncode == 1 and len(refused) == 2, "it knows no such analyzer, and no line with a mark"
    server = json.loads((folder / "performance/power/server.json").read_text())
    assert MARK in server["ptd_messages"][1]["reply"]
    steps = [text for text, _ in said if not text.startswith(" ")]
    assert steps.count("the workload runs") == 2 and "fetching the server's logs" in steps
    lefts = [left for _, left in said]
    assert lefts == sorted(lefts, reverse=True)


@needs_checkout
@pytest.mark.slow
def test_a_workload_that_fails_ends_the_session(tmp_path: Path, ntp: str) -> None:
    with program() as ptd:
        plan = planned(tmp_path / "session", ntp, ["false", "-"], str(ptd))
        with pytest.raises(RunFailed, match=r"broke off.*session\.failed"):
            session.run(plan, lambda *_: None)
    assert left_over() == [] and not (tmp_path / "session").exists()
    assert (tmp_path / "session.failed/logs/client.out").stat().st_size


@needs_checkout
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("fault", ["drop=Go", "refuse=SR,A"])
def test_an_analyzer_that_fails_ends_the_session(fault: str, tmp_path: Path, ntp: str) -> None:
    """The official server notices at the end of ranging, and when it sets the ranges of the test."""
    with program(["--fault", fault]) as ptd:
        plan = planned(tmp_path / "session", ntp, [*RUN, "--min-duration-ms", "1000"], str(ptd))
        with pytest.raises(RunFailed, match="broke off"):
            session.run(plan, lambda *_: None)
    assert left_over() == [] and (tmp_path / "session.failed").is_dir()


INTERRUPTED = """
import sys
from pathlib import Path
from power import session
from tests.power.test_session import planned
print("begun", flush=True)
with_ptd = planned(Path(sys.argv[1]), "127.0.0.1", ["sleep", "60"], sys.argv[2])
session.run(with_ptd, lambda said, _: print(said, flush=True))
"""


@needs_checkout
@pytest.mark.slow
@pytest.mark.parametrize("step", ["begun", "comparing clocks", "ranging: the analyzer settles"])
def test_ctrl_c_leaves_nothing_running(step: str, tmp_path: Path, ntp: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with program() as ptd:
        command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "session"), str(ptd)]
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout and process.stderr
        assert any(step in line for line in iter(process.stdout.readline, ""))
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in complaint
    assert left_over() == [] and not (tmp_path / "session").exists()
    assert (tmp_path / "session.failed/logs").is_dir()


@needs_checkout
def test_a_ptdaemon_that_does_not_start_is_said_so(tmp_path: Path, ntp: str) -> None:
    plan = planned(tmp_path / "session", ntp, RUN, "/nowhere/ptd")
    with pytest.raises(BadInput, match="did not start"):
        session.run(plan, lambda *_: None)
    assert left_over() == [] and list(tmp_path.iterdir()) == []


def test_no_time_server_is_one_sentence(tmp_path: Path) -> None:
    """Before the official server is started, which would end with a stack."""
    plan = planned(tmp_path / "session", "127.0.0.9", RUN, "/nowhere/ptd")
    with pytest.raises(BadInput, match=r"^no NTP server answers at 127\.0\.0\.9 \(.*\): name one with --ntp\.$"):
        session.run(plan, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


@needs_checkout
@pytest.mark.slow
def test_a_time_server_that_leaves_is_one_sentence_too(
    tmp_path: Path, ntp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answered us, then answers the official client no more."""
    monkeypatch.setattr(clock, "ntp_offset_s", lambda _: 0.0)
    with program() as ptd:
        plan = replace(planned(tmp_path / "session", ntp, RUN, str(ptd)), ntp="127.0.0.9")
        with pytest.raises(RunFailed, match=r"broke off: the clocks .* NTP server 127\.0\.0\.9 must answer"):
            session.run(plan, lambda *_: None)
    assert left_over() == []


def test_clocks_that_differ_are_found_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = session.Plan(Checkout(tmp_path), tmp_path / "session", RUN, 3.0, "ntp.example")
    monkeypatch.setattr(clock, "ntp_offset_s", lambda _: 0.1)
    monkeypatch.setattr(clock, "director_offset_s", lambda *_: -0.7)
    with pytest.raises(BadInput, match="-700 ms from that of director"):
        session.run(plan, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_session_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "session").mkdir()
    plan = session.Plan(Checkout(tmp_path), tmp_path / "session", RUN, 3.0, "ntp.example")
    with pytest.raises(BadInput, match="never overwritten"):
        session.run(plan, lambda *_: None)


def test_the_client_is_told_everything(tmp_path: Path) -> None:
    plan = session.Plan(Checkout(tmp_path), tmp_path / "s", ["run", "a b"], 600.0, "ntp", "10.0.0.2", 99, "label")
    words = session.command(plan, tmp_path / "has blank")
    assert words[1] == str(tmp_path / "ptd_client_server/client.py")
    assert words[words.index("-w") + 1].startswith("run 'a b' --output '")
    given = {flag: words[words.index(flag) + 1] for flag in ("-a", "-p", "-n", "-l", "-L", "-o")}
    assert (given["-a"], given["-p"], given["-n"], given["-l"]) == ("10.0.0.2", "99", "ntp", "label")
    assert not Path(given["-o"]).is_relative_to(given["-L"]) and "-T" in words and "-f" not in words
    assert plan.total_s > 1200
