"""The command line of the road to a submission: `plan`, `preflight` and their neighbours."""

from __future__ import annotations

import argparse
from pathlib import Path


def plan(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh plan`."""
    parser.add_argument(
        "--benchmark",
        action="append",
        required=True,
        metavar="NAME",
        help="as the round or its checker names it; repeatable",
    )
    parser.add_argument("--division", default="closed", choices=("closed", "open", "network"), help="default: closed")
    parser.add_argument(
        "--suite", default="edge", choices=("edge", "datacenter", "datacenter,edge"), help="default: edge"
    )
    parser.add_argument(
        "--scenario", action="append", default=[], metavar="NAME", help="one more, or in open: only these"
    )
    parser.add_argument("--power", action="store_true", help="with an official power session for each performance run")
    parser.add_argument(
        "--expect", action="append", default=[], metavar="[NAME[/SCENARIO]=]FIGURE",
        help="how fast it will be: 4800/s, or of a query 2ms; repeatable",
    )  # fmt: skip
    parser.add_argument("--format", default="text", choices=("text", "json"), help="default: text")
    parser.add_argument("--write", type=Path, metavar="PLAN.toml", help="plan for `lgh campaign`, made anew")


def preflight(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh preflight`."""
    parser.add_argument("plan", type=Path, help="TOML file, as `lgh campaign` takes it")
    parser.add_argument("--output", type=Path, default=Path("results"), help="where the campaign will write")
    parser.add_argument("--system", type=Path, help="system description (JSON) as `lgh system` writes it")
    parser.add_argument("--only", default="", help="part of a run's key, as for `lgh campaign`")
    parser.add_argument("--quick", action="store_true", help="without the short runs that measure expected speeds")
    parser.add_argument("--format", default="text", choices=("text", "json"), help="default: text")


def submit(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh submit`."""
    parser.add_argument("plan", type=Path, nargs="?", help="the plan of a finished campaign")
    parser.add_argument("--campaign", type=Path, metavar="FOLDER", help="folder of the finished campaign")
    text = "runs that were made elsewhere, in place of a plan"
    parser.add_argument("--from", type=Path, dest="manifest", metavar="MANIFEST.toml", help=text)
    parser.add_argument("--output", type=Path, metavar="TREE", help="folder of the tree; the same command finishes it")
    parser.add_argument("--system", type=Path, help="system description (JSON) as `lgh system` writes it")
    text = "whole accuracy logs, sealed (default: in the campaign, or beside the tree)"
    parser.add_argument("--backup", type=Path, metavar="FOLDER", help=text)
    text = "a result that --dry-run shows as offered, or a benchmark's 99 %% form; repeatable"
    name = "[BENCHMARK/]SCENARIO[=SOURCE]"
    parser.add_argument("--infer", action="append", default=[], metavar=name, help=text)
    parser.add_argument("--private-ids", action="store_true", help="privateid.json for each system, for the checker")
    parser.add_argument("--archive", type=Path, metavar="FILE.tar.gz", help="pack the tree, with every file's SHA-256")
    parser.add_argument("--dry-run", action="store_true", help="show what would be in it and what may be inferred")


def system(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh system`."""
    parser.add_argument("--output", type=Path, metavar="FILE", help="file to write or to refresh (default: print)")
    parser.add_argument("--update", action="store_true", help="write the changes to an existing FILE without asking")
    parser.add_argument("--nodes", type=Path, nargs="+", default=[], metavar="FILE", help="merge these, one a node")
    parser.add_argument("--heterogeneous", action="store_true", help="the nodes may be unequal")
    parser.add_argument("--check", type=Path, nargs="+", default=[], metavar="FILE", help="what the rules want")
    parser.add_argument("--submitter", help="as registered with MLCommons; it names a folder")
    parser.add_argument("--name", help="system name, for people")
    parser.add_argument("--type", choices=("edge", "datacenter", "datacenter,edge"), help="default: edge")
    parser.add_argument("--division", choices=("closed", "open", "network"), help="default: closed")
    parser.add_argument("--status", choices=("available", "preview", "rdi"), help="default: available")
    parser.add_argument("--cooling", help="air, liquid, passive, ...")
    parser.add_argument("--hw-notes", help="what else of the hardware a reader needs")
    parser.add_argument("--sw-notes", help="what else of the software a reader needs")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other of the 35 keys; repeatable"
    )
