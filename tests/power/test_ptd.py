"""The client of PTDaemon and the meter on it, against the simulator and against servers that are no PTDaemon."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from loadgen_harness.errors import BadInput
from power import meter
from power.meter import MeterFailed
from power.meters.ptd import PtdMeter
from power.ptd import Client, address
from power.simulator import MARK
from power.simulator.analyzer import Analyzer
from tests.power.daemons import Running, running

HOST = "127.0.0.1"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Running]:
    """A simulated analyzer with one channel."""
    with running(tmp_path) as found:
        yield found


@contextmanager
def answering(*lines: bytes) -> Iterator[int]:
    """A server that answers each line with the next of these, then stays silent."""
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as asked, suppress(ConnectionError):
                for line in lines:
                    asked.readline()
                    connection.sendall(line)
                asked.read()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def measured(client: Client, samples: int = 5) -> None:
    """A measurement of so many samples, ended."""
    client.go("a_mark", interval_ms=10)
    while client.watts().samples < samples:
        time.sleep(0.01)
    client.stop()


def test_identifies_the_daemon(daemon: Running) -> None:
    with Client(HOST, daemon.port) as client:
        found = client.identify()
    assert (found.model, found.version) == (MARK, "1.11.1") and MARK in found.text


def test_a_whole_measurement(daemon: Running) -> None:
    with Client(HOST, daemon.port) as client:
        assert client.ranges().amps == 10 and client.ranges().volts == 300
        client.set_range("A", None)
        client.set_range("V", None)
        assert client.ranges().amps is None and client.ranges().volts is None
        client.set_range("V", 230.0)
        client.set_range("A", 0.504)
        assert (client.ranges().amps, client.ranges().volts) == (1, 300)
        measured(client)
        average, uncertain = client.watts(), client.uncertainty()
        samples = client.readings()
        assert client.readings() == ()
    assert average.samples == average.valid == len(samples) >= 5
    assert average.low <= average.mean <= average.high and average.mean == pytest.approx(100, rel=0.01)
    assert average.mean == pytest.approx(sum(each.watts for each in samples) / len(samples), abs=1e-5)
    assert uncertain.valid == uncertain.samples and 0 < uncertain.mean < 0.01
    assert abs(samples[-1].utc_s - time.time()) < 5 and samples == tuple(sorted(samples))


@pytest.mark.parametrize("analyzer", [Analyzer(77, 1, 3), Analyzer(48, 1, 2), Analyzer(549)])
def test_reads_each_kind_of_device(analyzer: Analyzer, tmp_path: Path) -> None:
    with running(tmp_path, analyzer) as found, Client(HOST, found.port) as client:
        measured(client)
        samples, average = client.readings(), client.watts()
    assert len(samples) >= 5 and samples[0].watts == pytest.approx(average.mean, rel=0.01)


def test_automatic_ranges_have_no_known_uncertainty(daemon: Running) -> None:
    with Client(HOST, daemon.port) as client:
        client.set_range("A", None)
        measured(client)
        assert client.uncertainty().valid == 0


@pytest.mark.parametrize(
    ("which", "value"), [("A", 1000.0), ("V", 5000.0), ("A", -1.0), ("A", float("nan")), ("W", 1.0)]
)
def test_a_range_that_no_device_has_is_refused(daemon: Running, which: str, value: float) -> None:
    with Client(HOST, daemon.port) as client, pytest.raises(BadInput, match="range"):
        client.set_range(which, value)


def test_nothing_to_stop_and_two_measurements_at_once(daemon: Running) -> None:
    with Client(HOST, daemon.port) as client:
        with pytest.raises(MeterFailed, match="no measurement to stop"):
            client.stop()
        client.go("one", interval_ms=10)
        with pytest.raises(MeterFailed, match="is running"):
            client.go("two")


def test_nobody_there() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(MeterFailed, match="no PTDaemon answers"):
        Client(HOST, port)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ((b"220 mail ready\r\n",), "instead of PTDaemon's greeting"),
        ((b"\xff\xfe\n",), "instead of PTDaemon's greeting"),
        ((), "no answer to 'Hello' within"),
        ((b"Hello, PTDaemon here!\r\n",), "no answer to 'Watts' within"),
        ((b"Hello, PTDaemon here!\r\n", b"Watts,1,2\r\n"), "answers 'Watts,1,2'"),
        ((b"Hello, PTDaemon here!\r\n", b"Watts,a,b,c,d,e,f\r\n"), "answers 'Watts,a"),
        ((b"Hello, PTDaemon here!\r\n", b"x" * 2_000_000), "hung up"),
    ],
)
def test_what_is_no_ptdaemon_is_said_to_be_none(lines: tuple[bytes, ...], complaint: str) -> None:
    with (
        answering(*lines) as port,
        pytest.raises(MeterFailed, match=complaint),
        Client(HOST, port, timeout_s=0.3) as client,
    ):
        client.watts()


def test_a_dropped_connection_and_a_slow_reply(tmp_path: Path) -> None:
    with (
        running(tmp_path, wrong=["drop=Go"]) as found,
        Client(HOST, found.port) as client,
        pytest.raises(MeterFailed, match="hung up at 'Go"),
    ):
        client.go("mark")
    slow = tmp_path / "slow"
    slow.mkdir()
    with running(slow, wrong=["slow=0.5"]) as found, pytest.raises(MeterFailed, match=r"within 0\.1 s"):
        Client(HOST, found.port, timeout_s=0.1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("meter", ("meter", 8888)),
        ("10.0.0.2:99", ("10.0.0.2", 99)),
        ("[::1]:99", ("::1", 99)),
        ("[::1]", ("::1", 8888)),
    ],
)
def test_addresses(text: str, found: tuple[str, int]) -> None:
    assert address(text) == found


@pytest.mark.parametrize("text", ["", ":", "meter:", "meter:x", "meter:0", "meter:70000", ":8888"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadInput, match="HOST:PORT"):
        address(text)


def test_the_meter_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LGH_PTD", raising=False)
    assert "LGH_PTD" in PtdMeter.available()
    with pytest.raises(BadInput, match="LGH_PTD"):
        meter.load("ptd")


def test_the_meter_reads_a_running_measurement_and_leaves_it_alone(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LGH_PTD", f"{HOST}:{daemon.port}")
    assert "no sample" in PtdMeter.available()
    with Client(HOST, daemon.port) as client:
        client.go("somebody", interval_ms=10)
        while not client.watts().valid:
            time.sleep(0.01)
        before = len(daemon.said)
        reader = PtdMeter()
        assert (reader.scope, reader.parts, reader.estimated) == ("wall", ("wall",), True)
        assert 0.01 < reader.uncertainty < 0.02  # a range of 10 A for half an ampere
        seen: list[float] = []
        while len(seen) < 20:
            time.sleep(0.01)
            seen.append(reader.watts())
        assert reader.describe()["analyzer"] == MARK
        reader.close()
        asked = "\n".join(daemon.said[before:])
        client.stop()
    assert all(watts == pytest.approx(100, rel=0.01) for watts in seen) and len(set(seen)) > 3
    assert "Range A changed" not in asked and "Stopping" not in asked and "Starting" not in asked


def test_the_meter_gives_the_mean_of_what_came_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Watts` is the mean since Go: 4 samples of 100 W, then 4 of 200 W."""
    said = (
        b"Hello, PTDaemon here!\r\n",
        b"Yokogawa,version=1.11.1-x\r\n",
        b"Uncertainty,-1.0,1.0,0.0,4,0,0,4\r\n",
    )
    watts = (b"Watts,100,100,100,4,0,4\r\n", b"Watts,150,100,200,8,0,8\r\n", b"Watts,150,100,200,8,0,8\r\n")
    with answering(*said, *watts) as port:
        monkeypatch.setenv("LGH_PTD", f"{HOST}:{port}")
        reader = PtdMeter()
        assert (reader.watts(), reader.watts()) == (200, 200)
        assert (reader.uncertainty, reader.estimated) == (0.01, False)
        reader.close()


def test_the_meter_fails_when_the_measurement_has_ended(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LGH_PTD", f"{HOST}:{daemon.port}")
    monkeypatch.setattr("power.meters.ptd.SILENT_S", 0.05)
    with Client(HOST, daemon.port) as client:
        measured(client)
    reader = PtdMeter()
    time.sleep(0.1)
    with pytest.raises(MeterFailed, match="has ended"):
        reader.watts()
    reader.close()
