"""An NTP server that tells this machine's own time, for try-outs and tests without a network.

`python -m power.simulator.clock` listens at 127.0.0.1, UDP port 123, the only one that MLCommons' client asks: that
wants root, and a machine that agrees with itself proves nothing about its clock.
"""

from __future__ import annotations

import socketserver
import time

from power.clock import ANSWER, NTP_PORT, PACKET, stamp

VERSION_4, STRATUM = 4 << 3, 10


class Answer(socketserver.BaseRequestHandler):
    """One question: its time stamp goes back as the origin."""

    def handle(self) -> None:
        """Answer with the time, now and at sending."""
        came = stamp(time.time())
        packet, socket = self.request
        if len(packet) < PACKET.size:
            return
        asked = PACKET.unpack_from(packet)
        times = (*came, *asked[13:15], *came, *stamp(time.time()))
        socket.sendto(PACKET.pack(VERSION_4 | ANSWER, STRATUM, 0, -20, 0, 0, 0, *times), self.client_address)


class Clock(socketserver.UDPServer):
    """Listens at 127.0.0.1; port 0 chooses one; raises OSError without permission."""

    def __init__(self, port: int = NTP_PORT) -> None:
        """Bind."""
        super().__init__(("127.0.0.1", port), Answer)


def main() -> None:
    """Serve until ended."""
    with Clock() as clock:
        clock.serve_forever()


if __name__ == "__main__":
    main()
