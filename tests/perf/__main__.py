"""`make bench`: what the harness costs, against C++ systems under test and bare loops, and whether targets are met."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from loadgen_harness import console, registry
from loadgen_harness.errors import SuiteError
from loadgen_harness.native import presence
from tests.perf import compile as compiling
from tests.perf import plot, report
from tests.perf.parts import (
    busy,
    ceiling,
    client,
    generation,
    latency,
    memory,
    models,
    offline,
    power,
    reader,
    runtimes,
)
from tests.perf.ratios import Row
from tests.perf.session import QUICK, Effort, Part, Session
from tests.perf.targets import verdicts
from tests.perf.variants import PLUGIN

MODULES = (offline, latency, ceiling, busy, models, runtimes, memory, client, generation, reader, power)
PARTS = {part.name: part for part in (each.PART for each in MODULES)}
BY_NAME = {"runtimes", "generation"}  # they need frameworks and models that the harness's own figures do not: --only
MISSED, BROKEN = 1, 2


def main() -> int:
    """Measure, print, write; 1 where a target is missed, 2 where nothing could be measured."""
    args = arguments()
    find_plugin()
    chosen = [PARTS[name] for name in args.only or (each for each in PARTS if each not in BY_NAME)]
    effort = QUICK if args.quick else Effort()
    effort = replace(effort, pairs=args.pairs) if args.pairs else effort
    effort = replace(effort, side_every=0) if args.main else effort
    try:
        return bench(chosen, effort, args.output)
    except SuiteError as error:
        console.fail(str(error))
        return BROKEN


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=sorted(PARTS), help="these parts alone; runtimes and generation only so"
    )
    parser.add_argument("--quick", action="store_true", help="every part in under two minutes; the figures mean little")
    parser.add_argument("--main", action="store_true", help="no ceilings of variants that no target names (20 minutes)")
    parser.add_argument("--pairs", type=int, default=0, help="rounds of every variant (default: 10)")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"), help="plot and tables lie beside it")
    return parser.parse_args()


def find_plugin() -> None:
    """Let this process and those that it starts find the benchmark that measures the harness."""
    paths = [str(PLUGIN), str(PLUGIN.parents[2])]
    sys.path[:0] = paths
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])


def bench(parts: Sequence[Part], effort: Effort, output: Path) -> int:
    """Measure `parts`; what has been measured is written after each of them."""
    lacking = absent()
    for name, reason in lacking.items():
        console.note(f"{name} is not measured: {reason}")
    output.parent.mkdir(parents=True, exist_ok=True)
    program = compiling.null_sut(console.note)
    machine = report.machine()
    about = {"machine": machine, "started": datetime.now(UTC).isoformat(timespec="seconds")}
    console.mapping("Measured on", {**machine, "rounds": effort.pairs})
    rows: list[Row] = []
    ended: list[Part] = []
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lgh-bench-") as scratch:
        tell = progress()
        session = Session(effort, Path(scratch), program, tell, lacking)
        for part, found in session.measure(parts):
            rows += found
            ended.append(part)
            tell("", 0.0)
            report.show(part, found)
            judged = verdicts(rows, [each.name for each in ended])
            wall = round(time.monotonic() - begun)
            more = {"effort": asdict(effort), "runs": session.runs, "wall_s": wall, "left_out": dict(lacking)}
            report.write(output, report.Account({**about, **more}, rows, judged))
    caption = f"{machine['cpu']}, {about['started']}, {session.runs} runs"
    draw(output.with_suffix(".png"), rows, caption)
    report.markdown(output.with_suffix(".md"), ended, rows)
    report.show_targets(judged)
    console.say(f"{session.runs} runs in {console.clock(wall)}, written to {output}, .md and .png")
    if effort.few:
        console.note("a quick run only shows that everything runs: its figures are held to no target.")
    return 0 if effort.few or all(each.met for each in judged) else MISSED


def absent() -> dict[str, str]:
    """Drivers and workers that are not here, with the reason."""
    found = {"native": presence.missing()} if presence.missing() else {}
    if "process" not in registry.names(registry.WORKERS):
        found["process"] = "there is no such worker."
    return found


def draw(path: Path, rows: Sequence[Row], caption: str) -> None:
    """The plot, where matplotlib is installed."""
    try:
        plot.draw(path, rows, caption)
    except ModuleNotFoundError as error:
        console.note(f"no plot, since {error.name} is missing: run `pip install matplotlib`.")


def progress() -> Callable[[str, float], None]:
    """Says what runs now and how long the rest will take: on a terminal in one line, elsewhere from time to time."""
    shown = 0.0

    def tell(what: str, left_s: float) -> None:
        nonlocal shown
        now = time.monotonic()
        line = f"{what}, about {console.clock(left_s)} left" if what else ""
        if console.ERR.is_terminal:
            console.ERR.print(f"\r\x1b[2K{line}", end="")
        elif line and now - shown >= console.PLAIN_S:
            shown = now
            console.note(line)

    return tell


if __name__ == "__main__":
    sys.exit(main())
