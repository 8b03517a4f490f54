"""How far this machine's clock is from another's: asked of an NTP server (RFC 5905), or of an MLPerf power server."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

from loadgen_harness.errors import BadInput

NTP_PORT = 123
EPOCHS_S = 2_208_988_800  # from 1900, where NTP begins, to 1970
PACKET = struct.Struct("!BBBb11I")
ASK, ANSWER = 0x23, 4  # version 4: mode 3 asks, mode 4 answers
TRIES = 3
MAGIC_CLIENT, MAGIC_SERVER = "mlcommons/power client v3", "mlcommons/power server v3"


def ntp_offset_s(host: str, *, port: int = NTP_PORT, timeout_s: float = 5.0) -> float:
    """Seconds that this clock must be set forward to agree with an NTP server; raises BadInput without an answer."""
    for _ in range(TRIES):
        try:
            return _asked(host, port, timeout_s / TRIES)
        except (OSError, struct.error) as error:
            reason = error
    raise BadInput(f"no NTP server answers at {host} ({reason or 'timed out'}): name one with --ntp.")


def _asked(host: str, port: int, timeout_s: float) -> float:
    family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as asking:
        asking.settimeout(timeout_s)
        asking.connect(target)
        sent = time.time()
        asking.send(PACKET.pack(ASK, 0, 0, 0, *(0,) * 9, *stamp(sent)))
        reply = asking.recv(512)
        back = time.time()
    mode, stratum, _, _, *words = PACKET.unpack_from(reply)
    if mode & 7 != ANSWER or not 0 < stratum < 16:
        raise OSError("its clock is not set")
    return ((_seconds(words[7:9]) - sent) + (_seconds(words[9:11]) - back)) / 2


def stamp(utc_s: float) -> tuple[int, int]:
    """A time as NTP writes it: seconds since 1900 and 2**-32 of a second."""
    whole = int(utc_s)
    return (whole + EPOCHS_S) % 2**32, int((utc_s - whole) * 2**32)


def director_offset_s(host: str, port: int, *, timeout_s: float = 5.0) -> float:
    """The same against the clock of an MLPerf power server that waits for a client; raises BadInput without one."""
    try:
        with socket.create_connection((host, port), timeout_s) as server, server.makefile("rb") as replies:
            ask = _asking(server, replies.readline)
            if (said := ask(MAGIC_CLIENT)) != MAGIC_SERVER:
                raise BadInput(f"{host}:{port} answers {said[:60]!r}, not {MAGIC_SERVER!r}: it runs another version.")
            sent = time.time()
            told = float(ask("time"))
            return told - (sent + time.time()) / 2
    except (OSError, ValueError) as error:
        raise BadInput(
            f"no MLPerf power server answers at {host}:{port} ({error}): start it on the director."
        ) from error


def _asking(server: socket.socket, line: Callable[[], bytes]) -> Callable[[str], str]:
    def ask(command: str) -> str:
        server.sendall(f"{command}\r\n".encode())
        return line().decode("utf-8", errors="replace").strip()

    return ask


def _seconds(words: list[int]) -> float:
    """Seconds since 1970; NTP's count begins anew in 2036."""
    whole = words[0] - EPOCHS_S
    return whole + (2**32 if whole < 0 else 0) + words[1] / 2**32
