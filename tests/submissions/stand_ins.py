"""Small checkers in place of the official ones: they lie where those lie and say what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

RESULTS = "closed/Acme/results/toybox_1x_cpu/resnet50"
SCENARIOS = ("MultiStream", "Offline", "SingleStream")
OPEN = "open/Acme/results/toybox_1x_cpu/my-toy-net/Offline"
BODY = """
import argparse, sys
parser = argparse.ArgumentParser()
for flag in ("--input", "--version", "--csv"):
    parser.add_argument(flag, required=True)
args = parser.parse_args()
{more}
for line in {lines!r}:
    print(line.replace("TREE", args.input))
sys.exit({code})
"""


def checkout(folder: Path, *, new: str = "", old: str | None = "") -> Path:
    """A checkout of mlcommons/inference with these programs as its checkers; `old` None: without the old one."""
    home = folder / "tools" / "submission"
    package = home / "submission_checker"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "main.py").write_text(new or saying({}))
    if old is not None:
        (home / "submission_checker_old.py").write_text(old or saying({}))
    return folder


def saying(rejects: Mapping[str, str], *, more: str = "") -> str:
    """A checker of the golden tree that rejects some scenarios of its closed results, each with a line of its own."""
    lines = [f"[now main.py:1 ERROR] {why}: TREE/{RESULTS}/{scenario}/performance" for scenario, why in rejects.items()]
    for place in (*(f"{RESULTS}/{scenario}" for scenario in SCENARIOS), OPEN):
        word = "ERROR] NoResults" if place.rpartition("/")[2] in rejects and place != OPEN else "INFO] Results"
        lines.append(f"[now main.py:1 {word} TREE/{place}/performance/run_1/mlperf_log_detail.txt 1.0")
    lines.append(f"[now main.py:2 INFO] Results={4 - len(rejects)}, NoResults={len(rejects)}, Power Results=0")
    lines.append(f"[now main.py:3 INFO] SUMMARY: submission {'has errors' if rejects else 'looks OK'}")
    return BODY.format(lines=lines, code=int(bool(rejects)), more=more)
