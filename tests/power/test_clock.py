"""Clocks: the offset against an NTP server and against an MLPerf power server."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from loadgen_harness.errors import BadInput
from power import clock
from power.clock import ANSWER, PACKET, director_offset_s, ntp_offset_s, stamp
from power.simulator.clock import Clock

HOST = "127.0.0.1"


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    """A server in a thread of its own; its port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    with server:
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


def datagrams(reply: bytes) -> socketserver.UDPServer:
    """A server that answers everything with one packet."""

    class Reply(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request[1].sendto(reply, self.client_address)

    return socketserver.UDPServer((HOST, 0), Reply)


def director(*replies: bytes) -> socketserver.TCPServer:
    """A server that answers each line of a client with the next reply."""

    class Reply(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for reply in replies:
                self.rfile.readline()
                self.wfile.write(reply)

    return socketserver.TCPServer((HOST, 0), Reply)


def test_a_machine_agrees_with_its_own_clock() -> None:
    with serving(Clock(0)) as port:
        assert abs(ntp_offset_s(HOST, port=port)) < 0.05


@pytest.mark.parametrize("ahead_s", [-3600.0, 0.5, 3600.0])
def test_the_offset_of_a_clock_that_differs(ahead_s: float) -> None:
    now = stamp(time.time() + ahead_s)
    reply = PACKET.pack(0x20 | ANSWER, 2, 0, -20, 0, 0, 0, *now, *now, *now, *now)
    with serving(datagrams(reply)) as port:
        assert ntp_offset_s(HOST, port=port) == pytest.approx(ahead_s, abs=0.1)


def test_ntp_counts_anew_in_2036() -> None:
    for when in (0.25, 2_085_978_495.5, 2_085_978_496.5, 3e9):
        assert clock._seconds(list(stamp(when))) == pytest.approx(when, abs=1e-6)


@pytest.mark.parametrize("reply", [b"", b"x", bytes(48), PACKET.pack(0x20 | ANSWER, 16, 0, 0, *(0,) * 11)])
def test_what_is_no_answer(reply: bytes) -> None:
    with serving(datagrams(reply)) as port, pytest.raises(BadInput, match="--ntp"):
        ntp_offset_s(HOST, port=port, timeout_s=0.3)


def test_nobody_answers() -> None:
    with serving(datagrams(b"")) as port:
        pass
    with pytest.raises(BadInput, match="no NTP server answers"):
        ntp_offset_s(HOST, port=port, timeout_s=0.3)


def test_the_clock_of_a_power_server() -> None:
    told = f"{time.time() + 2}\r\n".encode()
    with serving(director(b"mlcommons/power server v3\r\n", told)) as port:
        assert director_offset_s(HOST, port) == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize(
    ("replies", "complaint"),
    [
        ((b"mlcommons/power server v2\r\n",), "another version"),
        ((b"220 mail\r\n",), "another version"),
        ((b"mlcommons/power server v3\r\n", b"Error\r\n"), "no MLPerf power server"),
        ((), "another version"),
    ],
)
def test_what_is_no_power_server(replies: tuple[bytes, ...], complaint: str) -> None:
    with serving(director(*replies)) as port, pytest.raises(BadInput, match=complaint):
        director_offset_s(HOST, port)


def test_no_power_server_at_all() -> None:
    with serving(director()) as port:
        pass
    with pytest.raises(BadInput, match="start it on the director"):
        director_offset_s(HOST, port)
