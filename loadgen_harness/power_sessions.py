"""The verb `power-session`: an official MLPerf power session around `lgh run`, checked while a re-run is cheap."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

from audit.finding import Finding, errors
from audit.power_check import check
from loadgen_harness import cli_run, console, plan, registry, rounds, verbs
from loadgen_harness.errors import BadInput
from loadgen_harness.power_table import PowerTable
from loadgen_harness.run import Run
from loadgen_harness.types import RunSpec, TestMode
from power import official, server_conf, session, simulator
from power.ptd import address
from power.simulator.program import program

LABEL = re.compile(r"[A-Za-z0-9_-]*")
LOCAL = "127.0.0.1"
SIMULATED = "power-simulated"
RUNNING = "  ["  # how a line of a run's progress begins
PLAIN_S = 10.0  # between two of them that are shown


def session_(args: argparse.Namespace) -> int:
    """Write server.conf, or run the session and judge it at once."""
    checkout = official.checkout(args.power_dev)
    if args.server_conf:
        return _conf(args, checkout)
    with ExitStack() as stack:
        ptd = str(stack.enter_context(program())) if args.simulate else args.ptd
        planned = _planned(args, checkout, ptd)
        console.say(f"two runs and the waits of the official server: about {console.clock(planned.total_s)}")
        folder = session.run(planned, _progress())
    return _judge(folder)


def _conf(args: argparse.Namespace, checkout: official.Checkout) -> int:
    """server.conf for the director, and what to type there."""
    if not args.ptd:
        raise BadInput("name the PTDaemon program on the director with --ptd.")
    server_conf.write(args.server_conf, server_conf.text(args.ptd, [_analyzer(table_of(args))], ntp=args.ntp))
    console.say(f"wrote {args.server_conf}; on the director, from the same commit of power-dev ({official.COMMIT}):")
    console.say(f"  python {checkout.server.relative_to(checkout.path)} -c {args.server_conf.name}")
    return verbs.OK


def _planned(args: argparse.Namespace, checkout: official.Checkout, ptd: str) -> session.Plan:
    """Everything that can be wrong is found before the first of two long runs."""
    if not args.output:
        raise BadInput("name the folder of the session with --output.")
    return planned(
        table_of(args), checkout, _workload(args), ptd=ptd, workload=_command(args), output=args.output.resolve()
    )


def table_of(args: argparse.Namespace) -> PowerTable:
    """What the command line says of server and analyzer."""
    known = {each.name: getattr(args, each.name) for each in fields(PowerTable) if hasattr(args, each.name)}
    return PowerTable(**{**known, "power_dev": str(args.power_dev)})


def planned(
    table: PowerTable, checkout: official.Checkout, spec: RunSpec, *, ptd: str, workload: Sequence[str], output: Path
) -> session.Plan:
    """The session of a run; raises BadInput for what the official programs would refuse."""
    if not LABEL.fullmatch(table.label):
        raise BadInput(f"--label {table.label!r} may hold letters, digits, - and _ alone.")
    host, port = director(table.director) if table.director else (LOCAL, server_conf.PORT)
    return session.Plan(
        checkout=checkout,
        output=output,
        workload=workload,
        run_s=plan.estimate_s(spec) + plan.START_S,
        ntp=table.ntp,
        director=host,
        port=port,
        label="-".join(filter(None, [table.label, simulator.MARK if table.simulate else ""])),
        server_conf="" if table.director else _local(table, ptd),
    )


def _workload(args: argparse.Namespace) -> RunSpec:
    """The run, which must be one that a power session may hold; its data and model are there before the session."""
    spec = verbs.spec_of(args)
    if spec.mode is not TestMode.PERFORMANCE or spec.test:
        raise BadInput("power is measured in performance runs alone: leave out --mode and --test.")
    round_ = rounds.load(spec.round)
    registry.load(registry.BACKENDS, spec.backend)
    round_.limits(spec.benchmark, spec.scenario)
    verbs.prepare(spec)
    return spec


def _command(args: argparse.Namespace) -> list[str]:
    """Our own `run`, as the official client is to call it twice."""
    general = [f"--round={args.round}"] if args.round else []
    return [sys.executable, "-m", "loadgen_harness", *general, "run", *cli_run.given(args)]


def director(text: str) -> tuple[str, int]:
    """Address and port of the official server; raises BadInput."""
    host, port = address(text if ":" in text else f"{text}:{server_conf.PORT}")
    return host, port


def _local(table: PowerTable, ptd: str) -> str:
    """server.conf of a server on this machine, with the PTDaemon that was named or the simulator."""
    if not ptd:
        raise BadInput("--local wants the PTDaemon program with --ptd; to try without one, use --simulate.")
    return server_conf.text(ptd, [_analyzer(table)], ntp=table.ntp, host=LOCAL)


def _analyzer(table: PowerTable) -> server_conf.Analyzer:
    return server_conf.Analyzer(
        device_type=table.device_type,
        device_port=table.device_port or ("none" if table.simulate else ""),
        interface=table.interface,
        channel=table.channel,
        network_port=table.network_port,
        gpib_board=table.gpib_board,
    )


def _progress() -> session.Progress:
    """Each step and result at once, with the time left; of the workload's own progress a line now and then."""
    last = 0.0

    def report(said: str, left_s: float) -> None:
        nonlocal last
        if said.startswith(RUNNING):
            if time.monotonic() - last < PLAIN_S:
                return
            last = time.monotonic()
        console.say(f"{console.clock(left_s)} left  {said}")

    return report


def _judge(folder: Path) -> int:
    """Both runs and the eleven items, with a remedy for each failure."""
    invalid = [
        f"{phase}: {reason}" for phase in session.ORDER for reason in Run(folder / session.RUNS / phase).invalid_reasons
    ]
    found = list(check(folder / session.PERFORMANCE, folder))
    for line in invalid:
        console.say(f"INVALID  {line}", "red")
    simulated = any(finding.check == SIMULATED for finding in found)
    rest = [finding for finding in found if not simulated or not _of_simulator(finding)]
    verbs.show(rest)
    if simulated:
        console.note("the PTDaemon was a simulator: this session is a try-out, and every check refuses to submit it.")
    console.say(_verdict(folder, rest, invalid=bool(invalid), simulated=simulated))
    return verbs.OK if not errors(rest) and not invalid else verbs.FOUND


def _of_simulator(finding: Finding) -> bool:
    """Whether a finding says no more than that the analyzer was simulated."""
    return finding.check == SIMULATED or (finding.key == "Identify" and simulator.MARK in finding.found)


def _verdict(folder: Path, found: Sequence[Finding], *, invalid: bool, simulated: bool) -> str:
    """One line on the session."""
    if errors(found) or invalid:
        return f"not in order: mend it and repeat the session; what it left is in {folder}"
    but = ", but for the analyzer, which was simulated" if simulated else ""
    return f"all eleven items of the power check and the 5 % rule are kept{but}: {folder / session.PERFORMANCE}"
