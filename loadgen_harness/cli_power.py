"""The command line of energy: `energy`, `label`, `power-session`, `maxq`."""

from __future__ import annotations

import argparse
from pathlib import Path


def energy(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh energy`."""
    parser.add_argument("runs", type=Path, nargs="+", help="run folders with power/; several of one task give a mean")


def label(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh label`."""
    parser.add_argument("runs", type=Path, nargs="+", help="run folders with power/")


def power_session(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh power-session`."""
    parser.add_argument("benchmark")


def maxq(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lgh maxq`."""
    parser.add_argument("benchmark")
