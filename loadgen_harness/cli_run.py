"""The command line of one run: the options of `run`, which `power-session` hands on to the runs that it makes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from loadgen_harness.types import RunSpec

ALIKE = (  # arguments that are called as the fields of a spec
    "scenario", "mode", "backend", "device", "precision", "driver", "worker", "replicas", "pin", "spin_us",
    "postprocess", "max_batch", "max_wait_ms", "division", "test", "user_conf", "data_dir",
)  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    """What a run is told, but for its --output."""
    parser.add_argument("benchmark")
    parser.add_argument(
        "--scenario", default="SingleStream", help="SingleStream, MultiStream, Server, Interactive, Offline"
    )
    parser.add_argument("--mode", default="PerformanceOnly", help="or AccuracyOnly, SubmissionRun, FindPeakPerformance")
    parser.add_argument("--backend", default="", help="default: the benchmark's first")
    parser.add_argument("--device", default="cpu", help="several, such as cuda:0,cuda:1: a replica on each")
    parser.add_argument("--precision", default="", help="default: the benchmark's first")
    parser.add_argument("--driver", default="", help="native or python; default: native where it is built")
    parser.add_argument("--worker", default="", help="inline, thread or process; default: thread for Server")
    parser.add_argument("--replicas", type=int, default=1, help="threads, or processes with --worker process")
    parser.add_argument("--pin", default="", help="cores of replica processes: none, split, numa, or 0-3/4-7")
    parser.add_argument("--spin-us", type=float, default=0.0, help="look for work awake this long (native driver)")
    parser.add_argument("--postprocess", default="", help="process: responses are made in a process of their own")
    parser.add_argument("--max-batch", type=int, default=1, help="most samples in a batch (default: 1)")
    parser.add_argument("--max-wait-ms", type=float, default=0.0, help="how long a batch may wait to fill")
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="backend option, repeatable")
    parser.add_argument("--division", default="closed", help="closed, open or network (default: closed)")
    parser.add_argument("--test", default="", help="compliance test whose audit.config applies, such as TEST04")
    parser.add_argument("--user-conf", type=Path, help="LoadGen user.conf")
    parser.add_argument("--target-qps", type=float, help="rate to offer (Server) or to expect (Offline)")
    parser.add_argument("--target-latency", type=float, help="expected latency in ms (SingleStream, MultiStream)")
    parser.add_argument("--min-duration-ms", type=float, help="in closed never less than the round's")
    parser.add_argument("--min-query-count", type=float, help="in closed never less than the round's")
    text = "any other key of user.conf, in closed never beyond what the round locks; repeatable"
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE", help=text)
    parser.add_argument("--data-dir", type=Path, help="folder that holds package files of the data")
    parser.add_argument("--meters", default="", help="power meters, comma separated; auto chooses")
    parser.add_argument("--hang-timeout", type=float, default=120.0, help="seconds without progress that end the run")


def given(args: argparse.Namespace) -> Iterator[str]:
    """The command line, after `run`, that says the same as these arguments; what is as by default is left out."""
    parser = argparse.ArgumentParser(add_help=False)
    arguments(parser)
    for action in parser._actions:
        value = getattr(args, action.dest)
        if not action.option_strings:
            yield str(value)
        elif value != action.default:
            for each in value if isinstance(value, list) else [value]:
                yield from (action.option_strings[0], str(each))


def words(spec: RunSpec) -> list[str]:
    """The command line, after `run`, that makes the run of a plan; without its round and --output."""
    parser = argparse.ArgumentParser(add_help=False)
    arguments(parser)
    args = parser.parse_args([spec.benchmark])
    for name in ALIKE:
        setattr(args, name, getattr(spec, name))
    args.hang_timeout = spec.hang_timeout_s
    args.option = [f"{key}={value}" for key, value in spec.options.items()]
    args.override = [f"{key}={value!r}" for key, value in spec.overrides.items()]
    return list(given(args))
