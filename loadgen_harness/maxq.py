"""The verb `maxq`: the Pareto front of throughput against measured joules per sample over settings of the machine."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any

from loadgen_harness import campaign, console, registry, rounds, verbs
from loadgen_harness.errors import BadInput, MissingDependency, SuiteError
from loadgen_harness.sweep import MARGIN, Outcome, Setting, Sweep, execute
from loadgen_harness.types import Benchmark, Division, RunSpec, Scenario, TestMode
from power import knob, recorder, watchdog
from power.log import write_whole
from power.pareto import figure
from submissions import efficiency
from submissions.efficiency import Row

FLAGS = {  # argument -> knob
    "power_limits": "gpu_power",
    "clocks": "gpu_clock",
    "package_limits": "cpu_power",
    "frequencies": "cpu_frequency",
    "governors": "cpu_governor",
}
DEFAULT = ("gpu_power", "cpu_power", "cpu_frequency", "cpu_governor")  # the first that this machine has
ALL, REPLAY = "all", "replay"
TERMINATED = 128 + signal.SIGTERM
FEW = 10  # slower queries that a percentile wants to see before it can be told


def maxq_(args: argparse.Namespace) -> int:
    """Sweep, report, restore; or only restore what an earlier sweep could not."""
    if args.restore:
        return _restore()
    if not args.benchmark or not args.output:
        raise BadInput("maxq wants a benchmark and --output FOLDER, or --restore: see `lgh maxq --help`.")
    if args.repeats < 1 or not args.duration > 0:
        raise BadInput("--repeats must be at least 1 and --duration more than 0.")
    base = _base(args)
    meters = [] if args.dry_run else measuring(args.meters)
    chosen = _chosen(args)
    settings = combined(chosen)
    sweep = Sweep(base, args.output, settings, args.repeats, search=_searches(base))
    if args.dry_run:
        return _show(sweep, args.meters)
    verbs.prepare(base)
    args.output.mkdir(parents=True, exist_ok=True)
    with _terminable(), watchdog.guarded(list(chosen)) as guard:
        _try_all(guard, chosen)
        outcomes = _run(sweep, guard, meters)
    return _tell(sweep, outcomes, {"meters": meters, "originals": guard.originals}, args)


def _restore() -> int:
    lines = watchdog.restore_saved()
    for line in lines:
        console.say(f"restored {line}")
    if not lines:
        console.say("nothing is to be restored: no sweep has left settings behind.")
    return verbs.OK


def measuring(text: str) -> list[str]:
    """The meters to use; raises BadInput where none measures: an estimate knows nothing of a power limit."""
    auto = text in ("", "auto")
    found = [name for name in _names(text, auto) if _measures(name, auto)]
    if not found:
        raise BadInput("no power meter that measures works here, and maxq never uses an estimate: see `lgh doctor`.")
    return found


def _names(text: str, auto: bool) -> list[str]:
    return registry.names(registry.METERS) if auto else list(dict.fromkeys(filter(None, text.split(","))))


def _measures(name: str, auto: bool) -> bool:
    """Whether a meter measures here and now; raises SuiteError for a named one that does not."""
    try:
        meter = registry.load(registry.METERS, name)
        if meter.estimated or name == REPLAY:
            raise BadInput(f"meter {name} does not measure this machine, and maxq uses nothing else: see `lgh doctor`.")
        reason = meter.available()
    except (BadInput, MissingDependency) as error:
        reason = str(error)
    if reason and not auto:
        raise BadInput(reason)
    return not reason


def _chosen(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Knob -> values; without any flag all steps of the first knob that this machine has."""
    asked = {name: getattr(args, flag) for flag, name in FLAGS.items() if getattr(args, flag)}
    if asked:
        return {name: _values(name, text) for name, text in asked.items()}
    reasons = []
    for name in DEFAULT:
        try:
            return {name: _values(name, ALL)}
        except SuiteError as error:
            reasons.append(str(error))
    raise BadInput(f"this machine has nothing that maxq could set: {' '.join(reasons)}")


def _values(name: str, text: str) -> tuple[str, ...]:
    """Values of one knob, each known to be possible; raises SuiteError."""
    opened = knob.load(name)
    try:
        values = opened.steps() if text == ALL else tuple(dict.fromkeys(filter(None, text.replace(" ", "").split(","))))
        if not values:
            raise BadInput(f"{opened.title}: name values separated by commas, or {ALL}.")
        for value in values:
            opened.raw(value)
        if opened.note:
            console.note(f"{opened.title}: {opened.note}")
    finally:
        opened.close()
    return values


def combined(chosen: Mapping[str, tuple[str, ...]]) -> tuple[Setting, ...]:
    """Every combination of the knobs' values."""
    units = {name: registry.load(knob.KNOBS, name).unit for name in chosen}
    found = []
    for values in itertools.product(*chosen.values()):
        pairs = tuple(zip(chosen, values, strict=True))
        found.append(Setting(pairs, ", ".join(f"{value} {units[name]}".strip() for name, value in pairs)))
    return tuple(found)


def _base(args: argparse.Namespace) -> RunSpec:
    """What all runs share; short runs are the open division's right."""
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, args.benchmark)
    scenario, round_ = Scenario(args.scenario), args.round or "mini"
    limits = rounds.load(round_).limits(args.benchmark, scenario)
    few = 1 if scenario is Scenario.OFFLINE else math.ceil(FEW / (1 - (limits.percentile or 0.9)) - 1e-9)
    overrides: dict[str, float] = {"min_duration": args.duration * 1000, "min_query_count": few}
    if args.target_qps is not None:
        overrides["target_qps"] = args.target_qps
    return RunSpec(
        benchmark=args.benchmark,
        backend=args.backend or benchmark.backends[0],
        scenario=scenario,
        mode=TestMode.PERFORMANCE,
        output=args.output,
        round=round_,
        division=Division.OPEN,
        device=args.device,
        precision=args.precision,
        driver=args.driver,
        worker=args.worker,
        replicas=args.replicas,
        max_batch=args.max_batch,
        max_wait_ms=args.max_wait_ms,
        options=dict(verbs.pair(text, "--option") for text in args.option),
        overrides=overrides,
        data_dir=args.data_dir,
        hang_timeout_s=args.hang_timeout,
    )


def _searches(base: RunSpec) -> bool:
    """Whether each setting's own highest valid rate is looked for."""
    return base.scenario.loadgen == Scenario.SERVER and "target_qps" not in base.overrides


def _show(sweep: Sweep, meters: str) -> int:
    """What would be run, also where nothing measures: that is then said."""
    console.table("Settings", ("setting", "runs>"), [(each.label, str(sweep.repeats)) for each in sweep.settings])
    more = " and a search of about 6 runs for each setting's rate" if sweep.search else ""
    try:
        by = f", measured by {', '.join(measuring(meters))}"
    except SuiteError as error:
        by = ""
        console.note(f"the sweep itself would be refused here: {error}")
    console.say(f"{len(sweep.settings) * sweep.repeats} runs{more}{by}; nothing was changed.")
    return verbs.OK


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the sweep as Ctrl-C does: runs are cleared up, settings restored."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _try_all(guard: watchdog.Guard, chosen: Mapping[str, tuple[str, ...]]) -> None:
    """Make every setting once before the first run: a missing permission or a firm limit shows now."""
    for name, values in chosen.items():
        for value in values:
            guard.set(name, value)


def _run(sweep: Sweep, guard: watchdog.Guard, meters: list[str]) -> list[Outcome]:
    with console.live(sweep.total) as show:

        def on_step(step: campaign.Step) -> None:
            show(step.job.key, step.status, step.number - 1, step.left_s)

        return execute(sweep, guard, [recorder.record(meters)], on_step)


def row(outcome: Outcome) -> Row:
    """The figures of one setting."""
    setting = outcome.setting
    energies = [found for _, found in outcome.runs]
    rate = outcome.rate and outcome.rate * MARGIN
    bare = Row(setting.label, dict(setting.values), outcome.tried, rate=rate, faults=tuple(outcome.faults))
    if not energies:
        return bare
    speeds = [(found.samples_done or 0) / found.duration_s for found in energies]
    tokens = [found.per_token_j for found in energies if found.per_token_j]
    return Row(
        label=bare.label,
        values=bare.values,
        tried=bare.tried,
        speed=figure(speeds),
        cost=figure([found.per_sample_j or 0.0 for found in energies]),
        watts=figure([found.mean_w for found in energies]),
        token_j=figure(tokens) if len(tokens) == len(energies) else None,
        rate=rate,
        faults=bare.faults,
    )


def _tell(sweep: Sweep, outcomes: list[Outcome], context: dict[str, Any], args: argparse.Namespace) -> int:
    """Files and table; FOUND where a setting gave no figure."""
    rows = [row(outcome) for outcome in outcomes]
    measured = sorted({f"{found.meter} ({found.scope})" for outcome in outcomes for _, found in outcome.runs})
    spec = {key: value for key, value in asdict(sweep.base).items() if key != "output"}
    written = efficiency.plain(rows, {**context, "measured": measured, "repeats": sweep.repeats, "spec": spec})
    write_whole(args.output / "maxq.json", json.dumps(written, indent=1, default=str) + "\n")
    title = f"{sweep.base.benchmark} {sweep.base.scenario}: {efficiency.NOTE}"
    drawing = efficiency.picture(rows, title)
    if drawing:
        write_whole(args.output / "maxq.svg", drawing)
    console.table(title, efficiency.COLUMNS, efficiency.cells(rows))
    for each in rows:
        for fault in each.faults:
            console.note(f"{each.label}: {fault}")
    if drawing:
        console.say(efficiency.sentence(rows))
        console.say(f"Measured by {', '.join(measured)}, software's figures: {efficiency.NOTE}.", "dim")
    console.say(f"All settings are restored. Written: {args.output / 'maxq.json'}{' and maxq.svg' if drawing else ''}")
    return verbs.OK if all(each.cost for each in rows) else verbs.FOUND
