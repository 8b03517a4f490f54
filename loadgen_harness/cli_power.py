"""The command line of energy: `energy`, `label`, `power-session`, `maxq`."""

from __future__ import annotations

import argparse
from pathlib import Path

from loadgen_harness import cli_run


def energy(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh energy`."""
    text = "run folders with power/, or a folder of run-01, run-02, …; several of one task give a mean"
    parser.add_argument("runs", type=Path, nargs="+", help=text)
    parser.add_argument("--format", default="text", choices=("text", "json", "markdown"), help="default: text")
    parser.add_argument("--output", type=Path, help="file to write, made anew (default: print)")
    _reference(parser)
    factors(parser)


def label(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh label`."""
    parser.add_argument("runs", type=Path, nargs="+", help="run folders with power/, or a folder of run-01, run-02, …")
    parser.add_argument("--output", type=Path, required=True, help="folder of the label, made anew")
    parser.add_argument("--model", default="", help="the model's name (default: the benchmark's)")
    parser.add_argument("--system", default="", help="the system's name (default: its processor or accelerator)")
    parser.add_argument("--date", default="", help="YYYY-MM-DD (default: when the last of the runs began)")
    parser.add_argument("--no-png", dest="png", action="store_false", help="write SVG and metadata alone")
    _reference(parser)
    factors(parser)


def _reference(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", dest="reference", type=Path, help="folder or TOML file of runs to be rated among")


def factors(parser: argparse.ArgumentParser) -> None:
    """What figures derived from energy take beside it; a flag counts more than the file."""
    group = parser.add_argument_group("factors of derived figures")
    group.add_argument("--factors", type=Path, metavar="FILE", help="TOML file with any of these")
    group.add_argument("--pue", type=float, help="energy of the site over that of its computers (default: 1, not set)")
    group.add_argument("--country", help="whose grid's intensity, by name or three-letter code (extra: carbon)")
    group.add_argument("--grid-g-per-kwh", type=float, metavar="G", help="the grid's intensity, instead of a country")
    group.add_argument("--embodied-kg", type=float, metavar="KG", help="CO2e of making the devices")
    group.add_argument("--lifetime-years", type=float, metavar="YEARS", help="how long the devices live")
    group.add_argument("--utilisation", type=float, metavar="SHARE", help="of its life that a device computes")
    group.add_argument("--wue", type=float, metavar="L", help="litres on site for 1 kWh of the computers")
    group.add_argument("--wue-grid", type=float, metavar="L", help="litres at power stations for 1 kWh")
    group.add_argument("--tariff", type=float, metavar="PRICE", help="for 1 kWh")
    group.add_argument("--device-per-hour", type=float, metavar="PRICE", help="of the devices")
    group.add_argument("--currency", help="of both prices, such as EUR")


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
