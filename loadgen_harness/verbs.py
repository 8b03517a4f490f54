"""The verbs of the command line, one short function each: arguments in, exit code out."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Sequence
from importlib import util
from pathlib import Path
from typing import Any

from audit.finding import Finding
from loadgen_harness import __version__, cache, console, registry, rounds, system
from loadgen_harness.errors import BadInput
from loadgen_harness.types import Benchmark, Division, RunSpec, Scenario, Target, TestMode

OK, FOUND = 0, 1  # FOUND: the program worked and what it looked at is not in order
HERE = Path(__file__).parent


def list_(args: argparse.Namespace) -> int:
    """Benchmarks, backends, workers, meters, compliance tests and rounds."""
    if args.json:
        console.data({kind.title: registry.names(kind) for kind in _kinds()} | {"round": rounds.names()})
        return OK
    rows = []
    for name in registry.names(registry.BENCHMARKS):
        benchmark: Benchmark = registry.load(registry.BENCHMARKS, name)
        within = [r for r in rounds.names() if name in rounds.load(r).benchmarks]
        lists = (benchmark.backends, benchmark.precisions, within)
        rows.append((name, benchmark.title, *map(", ".join, lists)))
    console.table("Benchmarks", ("name", "task", "backends", "precisions", "rounds"), rows)
    others = [(kind.title, ", ".join(registry.names(kind))) for kind in _kinds() if kind is not registry.BENCHMARKS]
    console.table("Plug-ins", ("kind", "names"), [*others, ("round", ", ".join(rounds.names()))])
    return OK


def _kinds() -> tuple[registry.Kind, ...]:
    from power.knob import KNOBS

    return registry.BENCHMARKS, registry.BACKENDS, registry.WORKERS, registry.METERS, KNOBS, registry.TESTS


def doctor(args: argparse.Namespace) -> int:
    """What works here and what would be needed for the rest."""
    rows = [("LoadGen", *_package("mlperf_loadgen", "mlcommons-loadgen==6.0.17")), ("native bridge", *_bridge())]
    rows += [(f"backend {name}", *_loads(registry.BACKENDS, name)) for name in registry.names(registry.BACKENDS)]
    rows += [("assets", "ok", _asset_line()), ("disk", *_disk()), ("governor", *_governor())]
    console.table(f"loadgen-harness {__version__}", ("part", "state", "what to know"), rows)
    _power()
    return OK if rows[0][1] == "ok" else FOUND


def _power() -> None:
    """Meters, knobs and what sets them."""
    from loadgen_harness import power_tables
    from power import knob, variables

    meters = [power_tables.meter(name) for name in registry.names(registry.METERS)]
    console.table("Power meters", power_tables.METERS, meters)
    knobs = [power_tables.knob_row(name) for name in registry.names(knob.KNOBS)]
    console.table("Settings that `lgh maxq` sweeps", power_tables.KNOBS, knobs)
    rows = [power_tables.variable(name) for name in variables.VARIABLES]
    console.table("Variables of meters and knobs", power_tables.VARIABLES, rows)
    console.say(power_tables.REPEATS, "dim")


def _package(module: str, requirement: str) -> tuple[str, str]:
    found = util.find_spec(module) is not None
    return ("ok", requirement) if found else ("missing", f"run `pip install {requirement}`")


def _bridge() -> tuple[str, str]:
    from loadgen_harness.native import presence

    try:
        bridge = presence.load()
    except presence.NoBridge as error:
        return "absent", str(error)
    version, revision = bridge.loadgen_version()
    return "ok", f"LoadGen {version}, revision {revision}"


def _loads(kind: registry.Kind, name: str) -> tuple[str, str]:
    lacking = registry.missing(kind, name)
    return ("missing", f"run `pip install {lacking}`") if lacking else ("ok", registry.summary(kind, name))


def _asset_line() -> str:
    from benchmarks._data import assets

    present = [name for name, asset in assets.catalogue().items() if (cache.home() / asset.folder).exists()]
    return f"{len(present)} of {len(assets.catalogue())} in {cache.home()}"


def _disk() -> tuple[str, str]:
    free = shutil.disk_usage(".").free / 1e9
    return ("ok" if free > 2 else "low"), f"{free:.1f} GB free here"


def _governor() -> tuple[str, str]:
    governor = system.describe().get("scaling_governor", "")
    if governor in ("", "performance"):
        return "ok", governor or "not visible"
    return "slow", f"{governor}: `cpupower frequency-set -g performance` steadies the figures"


def run(args: argparse.Namespace) -> int:
    """One LoadGen run into one folder."""
    from loadgen_harness import assess, campaign, launch, plan, repeats

    spec = spec_of(args)
    round_ = rounds.load(spec.round)
    registry.load(registry.BENCHMARKS, spec.benchmark)
    round_.limits(spec.benchmark, spec.scenario)
    registry.load(registry.BACKENDS, spec.backend)
    prepare(spec)
    if args.repeats:
        return repeats.run(args, spec)
    job = plan.Job(f"{spec.benchmark}/{spec.scenario}", spec, plan.estimate_s(spec))
    hooks = campaign.hooks(args.meters.split(","))
    with console.live(1) as report:
        done = launch.launch(
            spec,
            audit_config=campaign.audit_config(job),
            hooks=hooks,
            on_progress=lambda status: report(job.key, status, 0, job.estimate_s - status.elapsed_s),
        )
    for line in done.meta["locked"]:
        console.note(line)
    if done.meta["driver"] == "python" and not args.driver:
        from loadgen_harness.native import presence

        console.note(f"LoadGen's Python binding drove this run: {presence.missing()}")
    for line in assess.remarks(done):
        console.note(line)
    verdict = "VALID" if done.valid else "INVALID"
    figure = f"{job.key} {spec.mode}  {describe_result(done)}"
    console.say(f"{verdict}  {figure}  in {spec.output}", "" if done.valid else "red")
    for reason in done.invalid_reasons:
        console.say(f"  {reason}")
    energy = assess.energy_text(done)
    if energy:
        console.say(f"  energy {energy}")
    return OK if done.valid else FOUND


def describe_result(done: Any) -> str:
    """The official metric of a run in a few characters."""
    result = done.result
    if result:
        return f"{result.value:.4g} {result.unit}"
    return f"{len(done.responses)} responses" if done.mode == TestMode.ACCURACY else "no result"


def spec_of(args: argparse.Namespace) -> RunSpec:
    """The RunSpec behind `run`'s arguments."""
    overrides = {
        "target_qps": args.target_qps,
        "target_latency": args.target_latency,
        "min_duration": args.min_duration_ms,
        "min_query_count": args.min_query_count,
    }
    return RunSpec(
        benchmark=args.benchmark,
        backend=args.backend or registry.load(registry.BENCHMARKS, args.benchmark).backends[0],
        scenario=Scenario(args.scenario),
        mode=TestMode(args.mode),
        output=args.output,
        round=args.round or "mini",
        division=Division(args.division),
        test=args.test.upper(),
        device=args.device,
        precision=args.precision,
        driver=args.driver,
        worker=args.worker,
        replicas=args.replicas,
        pin=args.pin,
        spin_us=args.spin_us,
        postprocess=args.postprocess,
        max_batch=args.max_batch,
        max_wait_ms=args.max_wait_ms,
        options=dict(pair(text, "--option") for text in args.option),
        overrides={**overrides_of(args.override), **{k: value for k, value in overrides.items() if value is not None}},
        user_conf=args.user_conf,
        data_dir=args.data_dir,
        hang_timeout_s=args.hang_timeout,
    )


def overrides_of(given: Sequence[str]) -> dict[str, float]:
    """Keys of user.conf and their numbers; raises BadInput for what is no number."""
    found: dict[str, float] = {}
    for key, value in (pair(text, "--override") for text in given):
        try:
            found[key] = float(value)
        except ValueError:
            raise BadInput(f"--override {key}={value}: the value must be a number.") from None
    return found


def pair(text: str, flag: str) -> tuple[str, str]:
    """`key=value` as a pair; raises BadInput without the equals sign."""
    key, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"{flag} takes key=value, not {text!r}.")
    return key, value


def fetch_assets(names: Sequence[str]) -> None:
    """Resolve the assets of benchmarks before any run, with progress and licences shown."""
    from benchmarks._data import assets

    for name in names:
        benchmark: Benchmark = registry.load(registry.BENCHMARKS, name)
        for asset in benchmark.assets:
            if not (cache.home() / assets.catalogue()[asset].folder).exists():
                console.say(f"asset {assets.describe(asset)}", "dim")
            assets.resolve(asset, on_progress=console.download_progress())


def prepare(*specs: RunSpec) -> None:
    """Assets and model files of runs, fetched or made before anything is timed."""
    from loadgen_harness import model_files

    wanted = {(spec.benchmark, spec.backend, spec.precision, *sorted(spec.options.items())): spec for spec in specs}
    for spec in wanted.values():
        fetch_assets([spec.benchmark])
        benchmark: Benchmark = registry.load(registry.BENCHMARKS, spec.benchmark)
        backend = registry.load(registry.BACKENDS, spec.backend)(spec.options)
        chosen = model_files.choose(benchmark, backend, spec.precision)
        model_files.locate(benchmark, chosen.source, console.note)


def show(found: Iterable[Finding]) -> None:
    """Findings for people, the gravest first."""
    from audit.formats import text

    console.lines(text.findings(found))


def accuracy(args: argparse.Namespace) -> int:
    """The accuracy of an AccuracyOnly run against the round's targets."""
    from audit import accuracy as judged
    from audit.finding import errors
    from loadgen_harness import assess
    from loadgen_harness.run import Run

    done = Run(args.run)
    if not done.meta or not done.responses:
        raise BadInput(f"{args.run} is no finished run with responses: make one with --mode AccuracyOnly.")
    benchmark: Benchmark = registry.load(registry.BENCHMARKS, done.spec["benchmark"])
    round_ = rounds.load(done.spec["round"])
    rules = round_.rules(benchmark.name)
    scores = assess.scores_of(done, benchmark, round_)
    console.table(f"{benchmark.name}, round {round_.name}", SCORE_COLUMNS, score_rows(scores, rules.targets))
    found = list(judged.judge(scores, rules, division=Division(done.spec["division"])))
    show(found)
    return FOUND if errors(found) else OK


SCORE_COLUMNS = ("metric", "value>", "95 % interval>", "n>", "target>", "reference>")


def score_rows(scores: Sequence[Any], targets: Sequence[Target]) -> list[tuple[str, ...]]:
    """Rows for SCORE_COLUMNS."""
    wanted_of = {target.metric: target for target in targets}
    rows: list[tuple[str, ...]] = []
    for score in scores:
        target = wanted_of.get(score.metric)
        wanted = (f"{target.target:.5g}", f"{target.reference:.5g}") if target else ("", "")
        interval = f"{score.low:.5g} to {score.high:.5g}"
        rows.append((score.metric, f"{score.value:.5g}", interval, str(score.n), *wanted))
    return rows


def by_checker_name() -> dict[str, Benchmark]:
    """Every benchmark under the name that its folder in a submission has."""
    found = [registry.load(registry.BENCHMARKS, name) for name in registry.names(registry.BENCHMARKS)]
    return {benchmark.checker_name: benchmark for benchmark in found}
