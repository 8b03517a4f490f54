"""The simulator as a program, with the command line of PTDaemon: -l LOG -p PORT [-c FIRST,COUNT] … TYPE PORT."""

from __future__ import annotations

import argparse
import socketserver
import sys
from collections.abc import Sequence
from pathlib import Path

from loadgen_harness.errors import BadInput, SuiteError
from power.simulator import MARK, faults, loads
from power.simulator.analyzer import LARGEST_A, MULTICHANNEL, ONE_NUMBER, Analyzer
from power.simulator.daemon import Daemon, Dropped
from power.simulator.sampling import Journal

BANNER = "This is a simulator for tests and training. No power analyzer is attached, every figure is invented."


class Server(socketserver.ThreadingTCPServer):
    """Listens for power servers and meters."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, daemon: Daemon) -> None:
        """Bind; raises OSError for a port that is taken."""
        self.daemon = daemon
        super().__init__((host, port), Connection)


class Connection(socketserver.StreamRequestHandler):
    """One client: a command a line, replies end with carriage return and newline."""

    server: Server

    def handle(self) -> None:
        """Answer until the client leaves or the fault of a dropped connection comes due."""
        for line in self.rfile:
            try:
                reply = self.server.daemon.answer(line.decode("utf-8", errors="replace").strip())
            except Dropped:
                self.server.daemon.journal.line("Connection dropped, as asked for.")
                return
            try:
                self.wfile.write(reply.replace("\n", "\r\n").encode() + b"\r\n")
            except OSError:
                return  # the client left


def main(argv: Sequence[str]) -> int:
    """Serve until ended."""
    args = _arguments().parse_args(argv)
    journal = Journal(sys.stdout)
    try:
        daemon, server = _made(args, journal)
    except (SuiteError, OSError) as error:
        journal.plain(f"error: {error}")
        return 2
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            daemon.close()
    return 0


def _made(args: argparse.Namespace, journal: Journal) -> tuple[Daemon, Server]:
    """The daemon and its listener, with the lines that a PTDaemon begins with."""
    journal.plain(f"{BANNER}\nRedirecting data output to file {args.l}")
    load = loads.load(args.load, loads.Profile(low_w=min(args.idle_watts, args.watts), high_w=args.watts))
    analyzer = _analyzer(args.device_type, args.c)
    daemon = Daemon(analyzer, load, journal, args.l, faults.parse(args.fault))
    server = Server("127.0.0.1", args.p, daemon)
    journal.line(f"Uncertainty checking for Yokogawa{MARK} is activated")
    journal.line(f"Establishing the listener on port {server.server_address[1]}...")
    return daemon, server


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m power.simulator", description=BANNER)
    parser.add_argument("-l", type=Path, required=True, metavar="LOG", help="file of the samples")
    parser.add_argument("-p", type=int, default=8888, metavar="PORT", help="port to listen on; 0 chooses one")
    parser.add_argument("-c", default="", metavar="FIRST,COUNT", help="channels, of a multichannel device")
    parser.add_argument("-b", metavar="BOARD", help="ignored, as -n, -g, -y, -U and -D")
    for flag in ("-n", "-g", "-y", "-U", "-D"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--watts", type=float, default=100.0, help="of the load at work (default: 100)")
    parser.add_argument("--idle-watts", type=float, default=60.0, help="of the load at rest (default: 60)")
    parser.add_argument("--load", default="constant", choices=sorted(loads.KINDS), help="default: constant")
    parser.add_argument("--fault", action="append", default=[], help="drop=Go, refuse=SR,A slow=2 version=1.9.2 …")
    parser.add_argument("device_type", type=int, help="PTDaemon's number, such as 49 for a WT310")
    parser.add_argument("device_port", help="ignored")
    return parser


def _analyzer(kind: int, channels: str) -> Analyzer:
    if kind not in LARGEST_A:
        raise BadInput(f"device type {kind} is none that MLPerf accepts: choose one of {sorted(LARGEST_A)}.")
    if kind not in MULTICHANNEL:
        return Analyzer(kind)
    try:
        numbers = [int(text) for text in channels.split(",")]
        first, count = (1, *numbers) if kind == ONE_NUMBER else numbers
    except ValueError as error:
        raise BadInput(f"-c {channels!r}: a device with several channels wants FIRST,COUNT such as 1,3.") from error
    if first < 1 or not 1 <= count <= 6:
        raise BadInput(f"-c {channels!r}: channels count from 1, six at most.")
    return Analyzer(kind, first, count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
