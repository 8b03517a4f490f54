"""The verb `preflight`, and a campaign's first step: what would spoil a plan's runs, found before they begin."""

from __future__ import annotations

import argparse
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from audit.finding import Finding, Severity, errors
from benchmarks._data import assets
from loadgen_harness import (
    attempts,
    cache,
    campaign,
    campaign_power,
    console,
    described_system,
    machine_ecc,
    machine_state,
    plan,
    power_table,
    registry,
    rehearsals,
    rounds,
    samples,
    settings,
    system_files,
    system_gpus,
    trials,
    unusable,
    verbs,
)
from loadgen_harness.errors import BadInput, SuiteError
from loadgen_harness.expectations import WIDTH
from loadgen_harness.plan import Job, Plan
from loadgen_harness.types import Benchmark, Division, Scenario, SystemType, TestMode
from loadgen_harness.unusable import Unusable
from submissions import network

CODE = Path(__file__).parent
LOG_BYTES = 1 << 20  # of a run beside what grows with its samples
RESPONSE_BYTES = 256  # of a sample in the accuracy log
SUBMISSION = ("clock", "code", "system")  # checks that matter where results are submitted
DATA = "inference_rules.adoc, Data Sets"
POWER_TEXTS = "power_measurement.adoc, Power Analyzer Settings; Power Management Settings"


@dataclass(frozen=True)
class Flight:
    """A plan as it is about to be run; `described` is the system description, where a file was given."""

    plan: Plan
    jobs: Sequence[Job]
    output: Path
    described: Mapping[str, Any] | None = None
    trials: bool = True  # whether runs of a few seconds may show how fast the system is
    unusable: Sequence[Unusable] | None = None  # what was found of backends, where they were looked at already

    @property
    def system(self) -> Mapping[str, Any]:
        """What is stated of the system: by the plan, then by the file."""
        return {**self.plan.submission, **(self.described or {})}

    @property
    def datacenter(self) -> bool:
        """Whether the least requirements of a datacenter system hold for it, which the open division is free of."""
        stated = SystemType.DATACENTER.value in str(self.system.get("system_type", ""))
        return stated and self.plan.division is not Division.OPEN and _official(self.plan)


def preflight_(args: argparse.Namespace) -> int:
    """Look at everything, and measure for a few seconds what the plan expects."""
    chosen = plan.read(args.plan, args.round)
    described = system_files.read(args.system) if args.system else None
    flight = Flight(chosen, selected(chosen, args.output, args.only), args.output, described, trials=not args.quick)
    found = list(findings(flight))
    if args.format == "json":
        console.data({"ok": not errors(found), "findings": [asdict(each) for each in found]})
    else:
        verbs.show(found)
        console.say(summary(found), "bold")
    return verbs.FOUND if errors(found) else verbs.OK


def before_campaign(chosen: Plan, output: Path, only: str = "") -> bool:
    """A campaign's first step: show warnings and errors of the runs still to do; whether it may begin."""
    left = [job for job in selected(chosen, output, only) if not attempts.finished(job)]
    spoilt = unusable.check(left)
    if not spoilt:
        verbs.prepare(*(job.spec for job in left))
    flight = Flight(chosen, left, output, unusable=spoilt)
    found = [each for each in findings(flight) if each.severity is not Severity.NOTE]
    if found:
        verbs.show(found)
    if errors(found):
        console.say(f"{summary(found)}; nothing was run (--no-preflight runs it all the same)", "red")
    return not errors(found)


def selected(chosen: Plan, output: Path, only: str = "") -> list[Job]:
    """The jobs that match `only`; raises BadInput where none does."""
    found = [job for job in plan.jobs(chosen, output) if not only or fnmatch.fnmatch(job.key, f"*{only}*")]
    if not found:
        raise BadInput(f"no run of the plan matches --only {only!r}: see them with `lgh campaign --dry-run`.")
    return found


def summary(found: Sequence[Finding]) -> str:
    """How many findings of each weight there are, in one line."""
    counts = {severity: sum(each.severity is severity for each in found) for severity in Severity}
    told = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items() if count)
    return f"preflight: {told or 'nothing found'}"


def findings(flight: Flight) -> Iterator[Finding]:
    """Every finding on a plan, the cheap looks first; without jobs there is nothing to look at.

    What only a submission needs is no more than a note where the round is none of MLCommons'.
    """
    official = _official(flight.plan)
    for each in _findings(flight) if flight.jobs else ():
        idle = each.severity is Severity.WARNING and each.check in SUBMISSION and not official
        yield replace(each, severity=Severity.NOTE) if idle else each


def _official(chosen: Plan) -> bool:
    """Whether the plan's round is one of MLCommons'."""
    return bool(rounds.load(chosen.round).checker_version)


def _findings(flight: Flight) -> Iterator[Finding]:
    yield from _machine(flight)
    yield from described_system.complete(flight.described, flight.plan.submission, flight.plan.division)
    if flight.plan.division is Division.NETWORK:
        yield _undispatched()
    yield from meters(flight.plan.meters)
    yield from sessions(flight)
    spoilt = unusable.check(flight.jobs) if flight.unusable is None else flight.unusable
    yield from (each.finding for each in spoilt)
    ready: dict[str, bool] = {}
    for name in dict.fromkeys(job.spec.benchmark for job in flight.jobs):
        faults = list(data(name))
        ready[name] = not faults
        yield from faults
    rehearsed = [job for job in flight.jobs if ready[job.spec.benchmark]]
    unusable_too = frozenset[str]().union(*(each.keys for each in spoilt))
    found = [each for each in rehearsals.check(rehearsed) if not (_failed(each) and each.file in unusable_too)]
    yield from found
    broken = {each.file for each in errors(found)} | unusable_too
    rates: dict[str, float] = {}
    if flight.trials:
        yield from trials.check([job for job in rehearsed if job.key not in broken], flight.system, rates)
    for job in flight.jobs:
        yield from _network(job, flight.system, rates.get(job.key, 0.0))


def _failed(each: Finding) -> bool:
    """Whether it says that LoadGen could not begin: of a run that cannot be made as planned that was said already."""
    return each.check == "rehearsal"


def _undispatched() -> Finding:
    """The suite's own runs cannot be submitted to the network division."""
    what = ("division", Division.NETWORK.value, "closed or open: no Query Dispatch Library drives this suite's runs")
    fix = f"Plan for closed or open; runs of a library whose name holds {network.NAME!r} are submitted with --from."
    return Finding("plan-setting", Severity.ERROR, "plan", *what, network.CLAUSE, fix)


def meters(names: Sequence[str]) -> Iterator[Finding]:
    """The power meters that the plan names can measure now."""
    for name in names:
        try:
            campaign.hooks([name])
        except SuiteError as error:
            fix = "Do what it says (`lgh doctor` shows every meter), or take it out of the plan's meters."
            what = (str(error), "a meter that measures here")
            yield Finding("meter", Severity.ERROR, "plan", name, *what, machine_state.NO_RULE, fix)


def sessions(flight: Flight) -> Iterator[Finding]:
    """What the official power sessions of the plan need: programs, clocks, director, and texts for the submission."""
    table = flight.plan.power
    if table is None or not any(job.session for job in flight.jobs):
        return
    rule = "power_measurement.adoc, Power Measurement Flow"
    for key, sentence in campaign_power.faults(table, flight.jobs):
        what = (f"[power] {key}", sentence, "what an official power session needs")
        yield Finding("meter", Severity.ERROR, "plan", *what, rule, "Do what it says (docs/power-session.md).")
    for key in power_table.TEXTS:
        if not getattr(table, key):
            what = (f"[power] {key}", "not named", "a file that lies beside each power result")
            fix = "Write it while the setup stands, and name it: `lgh submit` needs it."
            yield Finding("meter", Severity.WARNING, "plan", *what, POWER_TEXTS, fix)


def _machine(flight: Flight) -> Iterator[Finding]:
    yield from machine_state.clocks(machine_state.synchronised())
    yield from machine_state.disk(flight.output, sum(map(log_bytes, flight.jobs)))
    yield from machine_state.heat()
    yield from machine_state.governors()
    yield from machine_state.clock_caps()
    datacenter = flight.datacenter
    arrays = system_gpus.said("dmidecode", "-t", "16") if datacenter else ""
    yield from machine_ecc.host(arrays, datacenter=datacenter, root=machine_ecc.ROOT)
    if any(job.spec.device != "cpu" for job in flight.jobs):
        apps = system_gpus.rows("compute-apps", "pid,process_name,used_memory")
        yield from machine_state.gpus(apps, system_gpus.rows("gpu", machine_state.GPU_STATE))
        yield from machine_ecc.gpus(system_gpus.rows("gpu", machine_ecc.GPU_FIELDS), datacenter=datacenter)
    yield from machine_state.leftovers(Path.cwd())
    yield from machine_state.code(CODE, flight.plan.division)


def log_bytes(job: Job) -> int:
    """About how large a run's folder becomes."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, job.spec.benchmark)
    round_ = rounds.load(job.spec.round)
    chosen = settings.plan(job.spec, benchmark, round_).settings
    if job.spec.mode is TestMode.ACCURACY:
        count = benchmark.variant(job.spec.scenario, job.spec.mode, job.spec.test, round_).total_count
        return LOG_BYTES + count * (samples.DTYPE.itemsize + RESPONSE_BYTES)
    seconds = chosen.min_duration_ms / 1000
    by_time = {
        "SingleStream": seconds * 1e9 / max(chosen.single_stream_expected_latency_ns, 1),
        "MultiStream": WIDTH * seconds * 1e9 / max(chosen.multi_stream_expected_latency_ns, 1),
        "Server": seconds * chosen.server_target_qps,
        "Offline": 1.1 * seconds * chosen.offline_expected_qps,
    }[chosen.scenario]
    rows = min(int(max(by_time, chosen.min_query_count)), samples.LIMIT)
    return LOG_BYTES + rows * samples.DTYPE.itemsize


def data(name: str) -> Iterator[Finding]:
    """Packages of data and model that lie in the cache are whole and are those that were pinned."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, name)
    for each in benchmark.assets:
        if not (cache.home() / assets.catalogue()[each].folder).exists():
            what = ("not fetched yet", "in the cache")
            fix = "Start the campaign (it fetches them first), or run `lgh campaign` with --assets FOLDER."
            yield Finding("data", Severity.WARNING, name, each, *what, DATA, fix)
            continue
        try:
            assets.resolve(each, offline=True)
        except SuiteError as error:
            what = (str(error), "the files that were pinned by their digests")
            yield Finding(
                "data", Severity.ERROR, name, each, *what, DATA, "Delete it from the cache and fetch it anew."
            )


def _network(job: Job, described: Mapping[str, Any], measured: float) -> Iterator[Finding]:
    """Bandwidth is judged by the rate of a performance run: as measured just now, else as the plan expects it."""
    if not job.key.endswith(f"/{plan.PERFORMANCE}"):
        return
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, job.spec.benchmark)
    chosen = settings.plan(job.spec, benchmark, rounds.load(job.spec.round))
    if "target_qps" not in chosen.given and not measured:
        return
    offline = job.spec.scenario is Scenario.OFFLINE
    expected = chosen.settings.offline_expected_qps if offline else chosen.settings.server_target_qps
    per_s = max(measured, expected if "target_qps" in chosen.given else 0.0)
    yield from described_system.bandwidth(benchmark.name, per_s, benchmark.input_dtype, described)
