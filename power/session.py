"""The official route: MLCommons' own power client, and for one machine its server, run as they are, around our runs.

The client runs the workload twice, for ranging and for testing, and asks the server for everything else. What it writes
is left as it is; only ptd_out.txt, which the official checker does not want, is laid aside.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import power
from loadgen_harness.claim import claimed
from loadgen_harness.errors import BadInput, RunFailed
from power import clock, server_conf
from power.official import Checkout
from power.processes import environment, started, tail

ROOT = Path(power.__file__).parents[1]
FARTHEST_S = 0.4  # the official client's limit for clocks, against NTP and against the server
READY_S = 90.0  # a PTDaemon may take half a minute to find its analyzer
WAITS_S = 42.0  # the official server waits four times ten seconds in a session
PERFORMANCE, RUNS, LOGS = "performance", "runs", "logs"
PTD_OUT = "run_1/ptd_out.txt"
ORDER = ("ranging", "testing")
STEPS = {  # what the official client says, and what that means
    "Synchronizing with the server": "comparing clocks",
    "Running workload in ranging mode": "ranging: the analyzer settles",
    "Running workload in testing mode": "testing: the analyzer settles",
    "Running the workload": "the workload runs",
    "Copying loadgen logs": "reading the analyzer out",
    "Done runs": "fetching the server's logs",
}
DONE, UNSYNCHRONISED = "Successful exit", "Could not synchronize"
Progress = Callable[[str, float], None]  # what is being done, or a line of the workload, and the seconds left


@dataclass(frozen=True)
class Plan:
    """A session: which programs, which director, which workload (without its --output) and how long one run takes."""

    checkout: Checkout
    output: Path
    workload: Sequence[str]
    run_s: float
    ntp: str
    director: str = "127.0.0.1"
    port: int = server_conf.PORT
    label: str = ""
    server_conf: str = ""  # of a server to start here; empty where one runs on the director

    @property
    def total_s(self) -> float:
        """Both runs and the waits of the server."""
        return 2 * self.run_s + WAITS_S


def run(plan: Plan, progress: Progress) -> Path:
    """The finished session's folder, with performance/{power,ranging,run_1}, the runs and the programs' own output.

    Raises BadInput for what can be mended before, RunFailed for a session that broke off; what it left is then kept as
    NAME.failed. Nothing that was started is left running, also after Ctrl-C.
    """
    with claimed(plan.output) as folder:
        (folder / LOGS).mkdir()
        (folder / RUNS).mkdir()
        try:
            near(clock.ntp_offset_s(plan.ntp), f"NTP server {plan.ntp}")  # the official programs end with a stack
            with _server(plan, folder):
                near(clock.director_offset_s(plan.director, plan.port), f"director {plan.director}")
                _client(plan, folder, progress)
            _laid_aside(folder)
        except BadInput:
            shutil.rmtree(folder)
            raise
        except BaseException as error:
            raise _failed(folder, plan.output, error) from error
        os.replace(folder, plan.output)
    return plan.output


def near(offset_s: float, name: str) -> None:
    """Raises BadInput for a clock further off than the official client lets pass."""
    if not abs(offset_s) <= FARTHEST_S:
        raise BadInput(
            f"this clock is {offset_s * 1e3:+.0f} ms from that of {name}, more than {FARTHEST_S * 1e3:.0f} ms: "
            "let the same NTP service set both machines' clocks."
        )


@contextmanager
def _server(plan: Plan, folder: Path) -> Iterator[None]:
    """The official server on this machine, where one is wanted, ready for a client."""
    if not plan.server_conf:
        yield
        return
    conf, log = folder / LOGS / "server.conf", folder / LOGS / "server.out"
    server_conf.write(conf, plan.server_conf)
    command = [sys.executable, str(plan.checkout.server), "-c", str(conf)]
    with started(command, log=log, env=environment(ROOT)) as process:
        deadline = time.monotonic() + READY_S
        while not _ready(log):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BadInput(f"the power server did not start ({_why(log, plan)}): look at the options of --local.")
            time.sleep(0.1)
        yield


def _ready(log: Path) -> bool:
    return "Ready to accept connections" in log.read_text(encoding="utf-8", errors="replace")


def _client(plan: Plan, folder: Path, progress: Progress) -> None:
    """The official client to its end, its words passed on."""
    log = folder / LOGS / "client.out"
    done, ends = False, time.monotonic() + plan.total_s
    with (
        started(command(plan, folder), log=log, env=environment(ROOT), piped=True) as process,
        log.open("ab") as written,
    ):
        for line in process.stdout or ():
            written.write(line)
            written.flush()
            text = line.decode("utf-8", errors="replace").rstrip()
            done = done or DONE in text
            if said := _said(text):
                progress(said, max(0.0, ends - time.monotonic()))
        process.wait()
    if not done:  # the client also ends with 0 where clocks differ
        raise RunFailed(f"the official client broke off: {_why(log, plan)}")


def _why(log: Path, plan: Plan) -> str:
    """Why an official program ended: its last words, but where it shows a stack over the clocks."""
    if UNSYNCHRONISED in log.read_text(encoding="utf-8", errors="replace"):
        return f"the clocks could not be compared; NTP server {plan.ntp} must answer all through the session"
    return tail(log)


def _said(line: str) -> str:
    """What a line of the client or of its workload means to a person; the client's small talk is left out."""
    if not line.startswith("client "):
        return f"  {line}" if line.strip() else ""
    if any(f"[{level}]" in line for level in ("WARNING", "ERROR", "CRITICAL")):
        return line.partition("] ")[2]
    return next((meaning for words, meaning in STEPS.items() if words in line), "")


def command(plan: Plan, folder: Path) -> list[str]:
    """The official client's command line; the workload makes a new folder below `runs` each time."""
    target = f"{shlex.quote(str(folder / RUNS))}/$(date -u +%Y%m%dT%H%M%S)"
    options = ["-a", plan.director, "-p", str(plan.port), "-n", plan.ntp, "-T"]
    options += ["-w", f"{shlex.join(plan.workload)} --output {target}", "-L", str(folder / RUNS)]
    options += ["-o", str(folder / PERFORMANCE), *(["-l", plan.label] if plan.label else [])]
    return [sys.executable, str(plan.checkout.client), *options]


def _laid_aside(folder: Path) -> None:
    """ptd_out.txt out of the result, which the official checker would reject with it; the runs by their phase."""
    extra = folder / PERFORMANCE / PTD_OUT
    if extra.exists():
        os.replace(extra, folder / LOGS / "ptd_out.txt")
    for phase, made in zip(ORDER, sorted((folder / RUNS).iterdir()), strict=False):
        os.replace(made, folder / RUNS / phase)


def _failed(folder: Path, output: Path, error: BaseException) -> BaseException:
    """Keep what a broken session left and say where."""
    kept = output.with_name(f"{output.name}.failed")
    if kept.exists():
        shutil.rmtree(kept)
    os.replace(folder, kept)
    return RunFailed(f"{error} (all of it kept in {kept})") if isinstance(error, RunFailed) else error
