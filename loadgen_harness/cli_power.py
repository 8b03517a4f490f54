"""The command line of energy: `energy`, `label`, `power-session`, `maxq`."""

from __future__ import annotations

import argparse
from pathlib import Path

from loadgen_harness import cli_run


def energy(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh energy`."""
    parser.add_argument("runs", type=Path, nargs="+", help="run folders with power/; several of one task give a mean")


def label(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh label`."""
    parser.add_argument("runs", type=Path, nargs="+", help="run folders with power/")


def power_session(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh power-session`: its own, the analyzer's, and all of `lgh run`'s for the workload."""
    parser.add_argument("--power-dev", type=Path, required=True, help="unmodified checkout of mlcommons/power-dev")
    parser.add_argument("--ntp", required=True, help="NTP server that sets the clocks of both machines")
    parser.add_argument("--output", type=Path, help="folder of the session, made anew")
    parser.add_argument("--label", default="", help="word in the session's name, of letters, digits, - and _")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--director", default="", metavar="ADDR[:PORT]", help="where the official server runs")
    where.add_argument("--local", action="store_true", help="start the official server here, with --ptd")
    where.add_argument("--simulate", action="store_true", help="the same with a PTDaemon simulator, to try it out")
    where.add_argument("--server-conf", type=Path, help="only write server.conf for the director to this file")
    meter = parser.add_argument_group("the analyzer (for --local and --server-conf)")
    meter.add_argument("--ptd", default="", help="the PTDaemon program, on the machine where the server runs")
    meter.add_argument("--device-type", type=int, default=49, help="PTDaemon's number (default: 49, a WT310)")
    meter.add_argument("--device-port", default="", help="such as COM1, /dev/usbtmc0 or the analyzer's address")
    meter.add_argument("--interface", default="", metavar="FLAG", help="=-n, =-g, =-y, =-U, or empty for RS232")
    meter.add_argument("--channel", default="", help="FIRST,COUNT, of an analyzer with several channels")
    meter.add_argument("--gpib-board", default="", help="number of the GPIB board")
    meter.add_argument("--network-port", type=int, default=8888, help="PTDaemon's own port (default: 8888)")
    cli_run.arguments(parser)


def maxq(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh maxq`."""
    parser.add_argument("benchmark")
