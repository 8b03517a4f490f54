"""What the report says of each run, as plain values: rows, percentile tables, drawings, settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit import tax
from audit.finding import Finding, errors
from loadgen_harness.metrics import percentile, token_times
from loadgen_harness.run import Run
from loadgen_harness.types import Score, Target
from power import energy
from power.figures import Energy, word
from power.measurement import Measurement, measurements
from power.surroundings import NONE_GIVEN, Surroundings
from submissions import anatomy, energy_facts, latencies, plots, power_plot
from submissions.energy_facts import EnergySection
from submissions.numbers import NONE, THIN, duration, number, quantity
from submissions.plots import FINE, Grain
from submissions.power_plot import Known
from submissions.readme import portable
from submissions.record import RunResult
from submissions.steadiness import steadiness

EMPTY = (None, "", 0, 0.0, False)
COLUMNS = ("mean", "p50", "p90", "p99", "max")
PERCENTILES = {"SingleStream": "p90, early stopping", "MultiStream": "p99, early stopping"}
TAX_COLUMNS = ("Layout", "Queries", "Added mean", "Added p99", "Share", "Ceiling", "Waits for the GIL")


@dataclass(frozen=True)
class Accuracy:
    """One score as text; `met` is None without a target."""

    text: str
    target: str
    met: bool | None


@dataclass(frozen=True)
class Row:
    """One line of the summary and its section."""

    anchor: str
    run: str  # name of its folder
    benchmark: str
    scenario: str
    valid: bool
    verdict: str  # LoadGen's; it gives none of an accuracy run
    reason: str
    metric: str
    percentile: str  # which latency the metric is, "" for a rate
    order: Mapping[str, float]  # by which columns of the summary are sorted; missing: last
    accuracy: tuple[Accuracy, ...]
    energy: str
    spent: EnergySection
    compliance: tuple[tuple[str, bool], ...]
    errors: int
    facts: tuple[tuple[str, str], ...]
    percentiles: tuple[tuple[str, ...], ...]
    spans: tuple[tuple[str, str, str], ...]
    batches: str
    tax: tuple[str, ...]
    taxed: bool  # more than is tolerated
    untaxed: str  # why it could not be measured
    drawings: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    digests: tuple[tuple[str, str], ...]


def row(result: RunResult, around: Surroundings = NONE_GIVEN, *, name: str = "", grain: Grain = FINE) -> Row:
    """Everything the report says of one result; `name` is that of its run."""
    run = result.run
    metric = run.result
    return Row(
        anchor=re.sub(r"[^a-z0-9]+", "-", f"{result.benchmark.name}-{result.scenario}".lower()),
        run=name,
        benchmark=result.benchmark.title,
        scenario=result.scenario,
        valid=run.valid,
        verdict=_verdict(run),
        reason="; ".join(reason.rstrip(".") for reason in run.invalid_reasons),
        metric=quantity(metric.value, metric.unit) if metric else NONE,
        percentile=PERCENTILES.get(run.scenario, "") if metric else "",
        order=_order(result),
        accuracy=tuple(_accuracy(score, result.targets) for score in result.scores),
        energy=result.energy,
        spent=energy_facts.of_run(run, around),
        compliance=tuple(sorted(result.verdicts.items())),
        errors=len(errors(result.findings)),
        facts=tuple(_facts(run)),
        percentiles=tuple(_percentiles(run)),
        spans=tuple(anatomy.spans(run)),
        batches=anatomy.batches(run),
        tax=_tax(run),
        taxed=any(tax.findings(run)),
        untaxed=getattr(tax.of(run), "error", ""),
        drawings=tuple((title, drawing) for title, drawing in _drawings(result, grain) if drawing),
        settings=tuple(_settings(run)),
        findings=result.findings,
        digests=tuple(_digests(run)),
    )


def shared(runs: Iterable[Run], key: str) -> list[tuple[tuple[tuple[str, str], ...], int]]:
    """The different values of one mapping of run.json as sorted pairs, with how many runs have each."""
    counted: dict[tuple[tuple[str, str], ...], int] = {}
    for run in runs:
        plain = {name: value for name, value in (run.meta.get(key) or {}).items() if not isinstance(value, Mapping)}
        pairs = tuple(sorted((name, portable(str(value))) for name, value in plain.items()))
        if pairs:
            counted[pairs] = counted.get(pairs, 0) + 1
    return sorted(counted.items(), key=lambda item: -item[1])


def listed(run: Run) -> tuple[str, str, str, str, str]:
    """One line of the table of all runs: benchmark, scenario, what for, duration, verdict."""
    spec = run.spec
    test = f", {spec['test']}" if spec.get("test") else ""
    length = quantity(run.duration_s, "s", 3)
    scenario = str(spec.get("scenario") or run.scenario or NONE)
    return str(spec.get("benchmark", run.path.name)), scenario, f"{run.mode or NONE}{test}", length, _verdict(run)


def _verdict(run: Run) -> str:
    if run.mode == "AccuracyOnly":
        return "no errors" if run.valid else "errors"
    return "VALID" if run.valid else "INVALID"


def _order(result: RunResult) -> dict[str, float]:
    """Numbers to sort by; latencies and rates lie apart anyway once the table is filtered by scenario."""
    run, found = result.run, energy.summarize(result.run)
    known = {
        "verdict": float(run.valid) - len(errors(result.findings)),
        "metric": run.result.value if run.result else None,
        "accuracy": result.scores[0].value if result.scores else None,
        "energy": found.joules if found and not found.estimated else None,  # an estimate is above or below nothing
        "compliance": float(sum(result.verdicts.values())) if result.verdicts else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _accuracy(score: Score, targets: Sequence[Target]) -> Accuracy:
    target = next((each for each in targets if each.metric == score.metric), None)
    interval = f"[{number(score.low)},{THIN}{number(score.high)}]"
    text = f"{score.metric} {number(score.value)} {interval}, n{THIN}={THIN}{number(score.n)}"
    if target is None:
        return Accuracy(text, "no target", None)
    above = score.value >= target.target if target.higher_is_better else score.value <= target.target
    below = target.upper is None or score.value <= target.upper
    sign = "≥" if target.higher_is_better else "≤"
    upper = f", ≤ {number(target.upper, 5)}" if target.upper is not None else ""
    return Accuracy(text, f"target {sign} {number(target.target, 5)}{upper}", above and below)


def _facts(run: Run) -> Iterable[tuple[str, str]]:
    """A handful of facts that stand above the drawings."""
    spec = run.spec
    backend = (run.meta.get("backend") or {}).get("name") or spec.get("backend")
    yield from ((name, str(value)) for name, value in (("backend", backend), ("device", spec.get("device"))) if value)
    if spec.get("precision"):
        yield "precision", str(spec["precision"])
    if run.samples is not None and len(run.samples):
        yield "samples", number(float(len(run.samples)))
        if not _streams(run):
            yield "mean batch", number(len(run.samples) / float(np.sum(1 / run.samples["batch"])), 3)
    if run.duration_s is not None:
        yield "timed part", quantity(run.duration_s, "s", 3)
    rate = latencies.throughput(run)
    if rate is not None:
        yield "throughput", quantity(rate, "samples/s")
    memory = run.meta.get("memory") or {}
    for key, title in (("host_peak_bytes", "host memory"), ("device_peak_bytes", "device memory")):
        if memory.get(key):
            yield title, quantity(memory[key] / 2**20, "MiB", 3)
    paces = latencies.paces(run)
    if len(paces):
        yield "over time", steadiness(paces).text(single=run.scenario != "Offline")


def _percentiles(run: Run) -> Iterable[tuple[str, ...]]:
    """(name, mean, p50, p90, p99, max) of each kind of latency."""
    for name, values in latencies.kinds(run):
        if len(values):
            yield name, duration(float(np.mean(values))), *_marks(values), duration(float(np.max(values)))


def _marks(values: np.ndarray) -> Iterable[str]:
    """p50, p90 and p99; a dash where there are too few values to tell that percentile from the maximum."""
    for share in (0.5, 0.9, 0.99):
        told = round(len(values) * (1 - share), 6) >= 1
        yield duration(float(percentile(values, share))) if told else NONE


def _drawings(result: RunResult, grain: Grain) -> Iterable[tuple[str, str]]:
    run = result.run
    seconds, taken = latencies.of(run)
    limit = float(run.log.get("effective_target_latency_ns") or 0) if run.scenario == "Server" else 0.0
    if run.scenario == "Offline" and run.samples is not None and len(run.samples):
        done = (run.samples["done"] - run.samples["issued"].min()) / 1e9
        yield "Throughput over time", plots.throughput(done, grain=grain)
    else:
        noun = latencies.NOUNS.get(run.scenario, plots.SAMPLES)
        yield "Latency distribution", plots.distribution(taken, limit, noun=noun, grain=grain)
        yield "Latency over time", plots.timeline(seconds, taken, limit, noun=noun, grain=grain)
    yield "Samples waiting over time", plots.queue(*latencies.waiting(run), grain=grain)
    if _streams(run) and run.samples is not None:
        first = token_times(run.samples).ttft_ns
        yield "Time to first token", plots.distribution(first, name="time to first token", grain=grain)
    yield from anatomy.drawings(run, grain)
    for name, curve, known in _power(run):
        yield f"Power ({name})", power_plot.power(curve, known, grain=grain)


def _power(run: Run) -> Iterable[tuple[str, list[tuple[float, float]], Known]]:
    """Each meter's curve, seconds since LoadGen's window began, inside that window, and watts; and what it tells."""
    window = run.power_window
    if window is None or run.mode == "AccuracyOnly":
        return
    figures = {each.meter: each for each in energy.energies(run)}
    for measured in measurements(run.path):
        points = zip(measured.times_s - window[0], measured.watts, strict=True)
        meter = word(measured.estimated, measured.replay) or measured.meter
        yield (
            f"{meter}, {measured.scope}",
            [(t, w) for t, w in points if 0 <= t <= window[1] - window[0]],
            _known(measured, figures.get(measured.meter)),
        )


def _known(measured: Measurement, found: Energy | None) -> Known:
    """What may be said of a meter's mean power; of a faulty one nothing but that it is an estimate."""
    mean = found.mean_w if found else None
    if not (measured.estimated or measured.replay):
        return Known(mean)
    ends = (max(0.0, 1 - measured.uncertainty), 1 + measured.uncertainty)
    return Known(mean, True, found.interval(1.0) if found else ends)


def _streams(run: Run) -> bool:
    return run.samples is not None and anatomy.streams(run.samples)


def _tax(run: Run) -> tuple[str, ...]:
    """One line of TAX_COLUMNS; empty where the tax was not measured."""
    found = tax.of(run)
    if found is None or found.error:
        return ()
    judged = tax.share(run, found)
    return (
        found.layout,
        number(float(found.samples)),
        NONE if found.mean_ns is None else duration(found.mean_ns),
        NONE if found.p99_ns is None else duration(found.p99_ns),
        f"{number(100 * judged.part, 2)}{THIN}% of {judged.whole}" if judged else NONE,
        quantity(found.ceiling, "samples/s", 3),
        _gil(found.gil),
    )


def _gil(counted: Mapping[str, float]) -> str:
    if not counted:
        return "not visible"
    longest = quantity(counted.get("max_us", 0.0), "µs", 3)
    mean = quantity(counted.get("mean_us", 0.0), "µs", 3)
    stalls = number(counted.get("over_1ms", 0.0))
    return f"{number(counted.get('waits', 0.0))}: mean {mean}, longest {longest}, {stalls} over 1{THIN}ms"


def _settings(run: Run) -> Iterable[tuple[str, str]]:
    """LoadGen's settings that are not at zero; the effective ones for a foreign folder."""
    known: Mapping[str, Any] = run.meta.get("settings") or {
        key.removeprefix("effective_"): value for key, value in run.log.items() if key.startswith("effective_")
    }
    locked = set(run.meta.get("locked") or ())
    for key, value in sorted(known.items()):
        if value not in EMPTY:
            yield key, f"{value}{' (locked)' if key in locked else ''}"


def _digests(run: Run) -> Iterable[tuple[str, str]]:
    for name in ("model", "data"):
        if run.meta.get(f"{name}_sha256"):
            yield name, str(run.meta[f"{name}_sha256"])
    yield from sorted((str(name), str(digest)) for name, digest in (run.meta.get("digests") or {}).items())
