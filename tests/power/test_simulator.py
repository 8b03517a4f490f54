"""The simulator: it says what it is in all that it writes, and what the official server reads from it is right."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput, UnknownName
from power import log
from power.ptd import Client
from power.simulator import MARK, faults, loads
from power.simulator.__main__ import main
from power.simulator.analyzer import Analyzer
from power.simulator.program import program
from tests.power.daemons import running
from tests.power.test_ptd import HOST, measured

CHECKOUT = os.environ.get("LGH_MLCOMMONS_POWER", "")
ANALYZERS = [Analyzer(49), Analyzer(77, 1, 3), Analyzer(77, 2, 2), Analyzer(48, 1, 2), Analyzer(586)]


@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_every_line_names_the_simulator(analyzer: Analyzer, tmp_path: Path) -> None:
    with running(tmp_path, analyzer) as found, Client(HOST, found.port) as client:
        assert MARK in client.identify().text
        measured(client)
        client.readings()
    assert len(found.said) > 100 and all(line.endswith(f"[{MARK}]") for line in found.said)
    logged = found.log.read_text().splitlines()
    assert len(logged) >= 5 and all(line.endswith(f",{MARK}") for line in logged)


@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_its_samples_are_not_taken_for_an_analyzers(analyzer: Analyzer, tmp_path: Path) -> None:
    reading = analyzer.reading(100.0)
    (tmp_path / "spl.txt").write_text(f"{reading.row()},Mark,session_testing\n{reading.logged('m', 1)}\n")
    found = log.read(tmp_path / "spl.txt")
    assert [each.watts for each in found.samples] == pytest.approx([100.0, 100.0]) and not found.damage
    assert found.mark == MARK and found.mark.startswith(log.OWN_MARK)


def test_goes_with_the_mark_and_completes_in_ptdaemons_words(tmp_path: Path) -> None:
    with running(tmp_path) as found, Client(HOST, found.port) as client:
        measured(client)
    texts = [line.partition(": ")[2] for line in found.said]
    assert f"Go with mark 'a_mark' [{MARK}]" in texts and f"Completed test [{MARK}]" in texts


def test_errors_and_uncertain_samples_are_logged(tmp_path: Path) -> None:
    with running(tmp_path, wrong=["over-range"]) as found, Client(HOST, found.port) as client:
        client.set_range("A", 0.5)
        client.go("a_testing", interval_ms=10)
        time.sleep(0.1)
        client.stop()
        assert client.uncertainty().valid == 0
    assert any("ERROR: Current appears to be too high for set range" in line for line in found.said)
    wide = tmp_path / "wide"
    wide.mkdir()
    with running(wide) as found, Client(HOST, found.port) as client:
        client.set_range("A", 20.0)
        measured(client)
    assert any("which is above 1.00% limit for the last sample!" in line for line in found.said)


def test_faults_do_what_they_say(tmp_path: Path) -> None:
    wrong = ["refuse=SR,A", "version=1.9.2", "lower", "error", "quiet"]
    with running(tmp_path, wrong=wrong) as found, Client(HOST, found.port) as client:
        assert client.identify().version == "1.9.2"
        with pytest.raises(BadInput, match="Error: refused"):
            client.set_range("A", 1.0)
        client.go("a_testing", interval_ms=10)
        time.sleep(0.1)
        client.stop()
        assert client.watts().mean == pytest.approx(90, rel=0.01)
    assert any("ERROR: Bad watts" in line for line in found.said)
    assert not any("Response" in line for line in found.said) and sum(map(len, found.said)) < 8192


@pytest.mark.parametrize("text", ["none", "drop", "slow", "quiet=1", ""])
def test_unknown_faults(text: str) -> None:
    with pytest.raises(UnknownName, match="fault"):
        faults.parse([text])


def test_a_load_can_follow_the_cpus() -> None:
    pytest.importorskip("psutil")
    load = loads.load("cpu", loads.Profile(low_w=10, high_w=50, ripple=0))
    time.sleep(0.05)
    assert 10 <= load(1.0) <= 50


@pytest.mark.parametrize(("low", "high"), [(0, 1), (2, 1), (-1, 5), (1, 1e9), (float("nan"), 1)])
def test_watts_that_no_device_draws(low: float, high: float) -> None:
    with pytest.raises(BadInput, match="watts"):
        loads.load("constant", loads.Profile(low_w=low, high_w=high))


@pytest.mark.parametrize("words", [["3", "x"], ["77", "x"], ["-c", "0,2", "77", "x"], ["--fault", "odd", "49", "x"]])
def test_the_program_refuses_what_it_cannot_be(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-l", str(tmp_path / "log"), "-p", "0", *words]) == 2
    assert "error: " in capsys.readouterr().out


def test_the_program_is_one_file_that_serves_and_ends(tmp_path: Path) -> None:
    with program(["--watts", "70", "--fault", "quiet"]) as path:
        command = [str(path), "-l", str(tmp_path / "log"), "-p", "0", "-n", "49", "10.0.0.1"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout
        try:
            lines = iter(process.stdout.readline, "")
            port = next(line for line in lines if "listener on port" in line).split("port ")[1].split(".")[0]
            with Client(HOST, int(port)) as client:
                measured(client)
                assert client.watts().mean == pytest.approx(70, rel=0.01)
        finally:
            process.terminate()
            process.wait(10)
            process.stdout.close()
    assert not path.exists()


READER = """
import sys
sys.path.insert(0, sys.argv[1])
from ptd_client_server.lib import server
print(*server.max_volts_amps_avg_watts(sys.argv[2], "a_mark", int(sys.argv[3]), int(sys.argv[4])))
"""


@pytest.mark.skipif(not CHECKOUT, reason="LGH_MLCOMMONS_POWER names no checkout of mlcommons/power-dev")
@pytest.mark.parametrize("analyzer", ANALYZERS)
def test_the_official_server_reads_the_log_of_samples(analyzer: Analyzer, tmp_path: Path) -> None:
    with running(tmp_path, analyzer) as found, Client(HOST, found.port) as client:
        measured(client)
    count = analyzer.count if analyzer.several else 0
    command = [sys.executable, "-B", "-c", READER, CHECKOUT, str(found.log), str(analyzer.first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    volts, amps, watts = map(Decimal, done.stdout.split())
    share = 100 / max(analyzer.count, 1)
    assert float(watts) == pytest.approx(share, rel=0.01)
    assert volts == (48 if analyzer.direct else 230) and float(amps) == pytest.approx(
        share / float(volts) / (1 if analyzer.direct else 0.95), rel=0.03
    )
