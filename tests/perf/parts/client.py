"""What the HTTP client itself can do and costs: a closed loop against the echo server, no model behind it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import util
from pathlib import Path

from loadgen_harness.errors import RunFailed
from loadgen_harness.matrix import interleaved
from tests.perf.ratios import Row, row, summarized
from tests.perf.session import Effort, Part, Session

Measured = Mapping[str, Mapping[int, float]]
ROOT = Path(__file__).resolve().parents[3]
OURS, BARE, AIOHTTP = "backend openai", "bare asyncio", "aiohttp"
KINDS = {OURS: "backend", BARE: "bare", AIOHTTP: "aiohttp"}
FLIGHTS = (1, 64, 1024)
PACED, TTFT_MS, TPOT_MS = 64, 50.0, 10.0  # some 320 requests and 5,000 tokens a second, each token in its own packet
ADDED = {"added TTFT p50": "ms", "added TTFT p99": "ms", "added TPOT p50": "ms"}


def measure(session: Session) -> list[Row]:
    """Requests a second, CPU time a request, and what the client adds to the server's times."""
    rows: list[Row] = []
    flights, kinds = chosen(session.effort)
    kinds = [name for name in kinds if name != AIOHTTP or util.find_spec("aiohttp")]
    with echo() as url:
        for flight in flights:
            rates, costs = defaultdict[str, dict[int, float]](dict), defaultdict[str, dict[int, float]](dict)
            for number, name in interleaved(kinds, session.effort.pairs):
                found = ask(session, name, url, flight)
                rates[name][number], costs[name][number] = found["requests/s"], found["cpu_us"]
            rows += compared(flight, rates, costs)
    for flight in (1, PACED):
        with echo("--ttft-ms", str(TTFT_MS), "--tpot-ms", str(TPOT_MS)) as url:
            rows += added(flight, [ask(session, OURS, url, flight) for _ in range(session.effort.pairs)])
    return rows


def compared(flight: int, rates: Measured, costs: Measured) -> list[Row]:
    """Rows from variant -> round -> requests a second and microseconds of CPU."""
    rows = summarized("client", f"{flight} in flight: requests/s", "requests/s", rates, {"": BARE})
    return rows + summarized("client", f"{flight} in flight: CPU a request", "us", costs, {"": BARE})


def added(flight: int, found: Sequence[Mapping[str, float]]) -> list[Row]:
    """Rows of answers that take their time: the client's times less the server's own."""
    return [
        row(("client", f"{flight} in flight, paced: {name}", OURS), unit, [each[name] for each in found])
        for name, unit in ADDED.items()
    ]


def ask(session: Session, name: str, url: str, flight: int) -> dict[str, float]:
    """One client in a process of its own."""
    session.tell(f"{flight} in flight, {name}")
    command = [sys.executable, "-m", "tests.perf.clients", KINDS[name], url, str(flight), str(length(session.effort))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RunFailed(f"{name} with {flight} in flight failed: {done.stderr.strip()[-500:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def echo(*pace: str) -> Iterator[str]:
    """The URL of an echo server in a process of its own."""
    command = [sys.executable, "-m", "loadgen_harness.echo", *pace]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            yield server.stdout.readline().strip() if server.stdout else ""
        finally:
            server.terminate()


def chosen(effort: Effort) -> tuple[Sequence[int], Sequence[str]]:
    """Requests in flight, and clients."""
    return ((PACED,), (OURS, BARE)) if effort.few else (FLIGHTS, tuple(KINDS))


def length(effort: Effort) -> float:
    """Seconds of one loop."""
    return 0.5 if effort.few else 2.0


def seconds(effort: Effort) -> float:
    """About 1 s a process to start."""
    flights, kinds = chosen(effort)
    return effort.pairs * (len(flights) * len(kinds) + 2) * (length(effort) + 1.3)


PART = Part("client", "HTTP client against the echo server", seconds, measure, "ratio to a bare asyncio client")
