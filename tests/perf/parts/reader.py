"""Reading a large detail log: `Run`, and the official checker's reader where a checkout of it is provided."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from loadgen_harness.errors import RunFailed
from loadgen_harness.matrix import interleaved
from tests.loadgen_harness.logs import large
from tests.perf.ratios import Row, summarized
from tests.perf.session import Effort, Part, Session

ROOT = Path(__file__).resolve().parents[3]
OURS, OFFICIAL, OLD = "Run", "official checker", "official log_parser"
CHECKOUT = "LGH_MLCOMMONS_INFERENCE"
CASES = {"messages and sample sets": False, "an error a line": True}  # to whether errors are logged

# Reads the log named in argv and prints seconds of CPU time and a value; each reader in a process of its own.
CLOCK = """
import json, sys, time
sys.path[:0] = sys.argv[2:]
{setup}
begun = time.process_time()
{read}
print(json.dumps([time.process_time() - begun, found]))
"""
READERS = {
    OURS: ("from loadgen_harness.run import Run", "found = Run(sys.argv[1]).log['result_samples_per_second']"),
    OFFICIAL: (
        "from submission_checker.parsers.loadgen_parser import LoadgenParser",
        "found = LoadgenParser(sys.argv[1] + '/mlperf_log_detail.txt')['result_samples_per_second']",
    ),
    OLD: (
        "from log_parser import MLPerfLog",
        "found = MLPerfLog(sys.argv[1] + '/mlperf_log_detail.txt')['result_samples_per_second']",
    ),
}


def measure(session: Session) -> list[Row]:
    """Megabytes a second of one core for two kinds of log, which lie in the page cache."""
    rows: list[Row] = []
    for case, errors in CASES.items():
        folder = session.folder()
        folder.mkdir()
        large(folder, length(session.effort), errors=errors)
        size = (folder / "mlperf_log_detail.txt").stat().st_size / 1e6
        rates: dict[str, dict[int, float]] = defaultdict(dict)
        for number, name in interleaved(readers(), session.effort.pairs):
            session.tell(f"reading, {name}")
            rates[name][number] = size / read_s(name, folder)
        rows += summarized("reader", case, "MB/s", rates, {"": OFFICIAL})
    return rows


def readers() -> list[str]:
    """Those that are here: the official ones only beside a checkout."""
    return [OURS, OFFICIAL, OLD] if os.environ.get(CHECKOUT) else [OURS]


def read_s(name: str, folder: Path) -> float:
    """Seconds of CPU time that one reader takes for a log, in a process of its own."""
    setup, read = READERS[name]
    tools = str(Path(os.environ.get(CHECKOUT, ".")) / "tools" / "submission")
    command = [sys.executable, "-c", CLOCK.format(setup=setup, read=read), str(folder), str(ROOT), tools]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(f"{name} could not read its log: {done.stderr.strip()[-500:]}")
    taken, found = json.loads(done.stdout)
    if found != 1.5e6:
        raise RunFailed(f"{name} read {found} where the log says 1,500,000")
    return float(taken)


def length(effort: Effort) -> int:
    """Bytes of a log; the official readers hold some ten times that in memory."""
    return (20 if effort.few else 200) << 20


def seconds(effort: Effort) -> float:
    """About: ours 0.4 s for 200 MB, each official one 6 s."""
    each = 0.3 + length(effort) / (200 << 20) * 0.6
    return 2 * effort.pairs * (each + sum(each + length(effort) / (200 << 20) * 6 for _ in readers()[1:]))


PART = Part(
    "reader", "Reading a detail log of 200 MB, MB/s of one core", seconds, measure, "ratio to the official checker"
)
