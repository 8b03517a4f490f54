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
    parser.add_argument(
        "--set", dest="reference", type=Path, metavar="SET", help="folder or TOML file of runs to be rated among"
    )


def factors(parser: argparse.ArgumentParser) -> None:
    """What figures derived from energy take beside it; a flag counts more than the file."""
    group = parser.add_argument_group("factors of derived figures")
    group.add_argument("--factors", type=Path, metavar="FILE", help="TOML file with any of these")
    group.add_argument("--pue", type=float, help="energy of the site over that of its computers (default: 1, not set)")
    group.add_argument("--country", help="whose grid's intensity, by name or ISO-3 code such as USA (extra: carbon)")
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
    parser.add_argument("benchmark", nargs="?", default="")
    parser.add_argument("--output", type=Path, help="folder of the sweep; the same command resumes it")
    parser.add_argument("--restore", action="store_true", help="only put back what a sweep that was killed left behind")
    parser.add_argument("--dry-run", action="store_true", help="show the settings, run and change nothing")
    knobs = parser.add_argument_group(
        "settings", "values separated by commas, or all; several flags give every combination. Default: all steps of "
        "the GPUs' power limit, else of the CPUs', else of their frequency, else their governors",
    )  # fmt: skip
    knobs.add_argument("--power-limits", default="", metavar="W,…", help="of all NVIDIA GPUs")
    knobs.add_argument("--clocks", default="", metavar="MHZ,…", help="locked graphics clocks of all NVIDIA GPUs")
    knobs.add_argument("--package-limits", default="", metavar="W,…", help="of all CPU packages (RAPL)")
    knobs.add_argument("--frequencies", default="", metavar="MHZ,…", help="highest clocks of all CPUs (cpufreq)")
    knobs.add_argument("--governors", default="", metavar="NAME,…", help="of all CPUs (cpufreq)")
    runs = parser.add_argument_group("runs")
    runs.add_argument("--meters", default="auto", help="power meters that measure, comma separated (default: auto)")
    runs.add_argument("--repeats", type=int, default=3, help="runs of each setting, interleaved (default: 3)")
    runs.add_argument("--duration", type=float, default=10.0, help="seconds of each run (default: 10)")
    runs.add_argument("--scenario", default="Offline", help="default: Offline; of Server only VALID runs count")
    runs.add_argument(
        "--target-qps", type=float, help="Server: offer this rate instead of searching each setting's own"
    )
    runs.add_argument("--backend", default="", help="default: the benchmark's first")
    runs.add_argument("--device", default="cpu", help="several, such as cuda:0,cuda:1: a replica on each")
    runs.add_argument("--precision", default="", help="default: the benchmark's first")
    runs.add_argument("--driver", default="", help="native or python; default: native where it is built")
    runs.add_argument("--worker", default="", help="inline, thread or process; default: thread for Server")
    runs.add_argument("--replicas", type=int, default=1, help="threads, or processes with --worker process")
    runs.add_argument("--max-batch", type=int, default=1, help="most samples in a batch (default: 1)")
    runs.add_argument("--max-wait-ms", type=float, default=0.0, help="how long a batch may wait to fill")
    runs.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="backend option, repeatable")
    runs.add_argument("--data-dir", type=Path, help="folder that holds package files of the data")
    runs.add_argument("--hang-timeout", type=float, default=120.0, help="seconds without progress that end the run")
