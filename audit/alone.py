"""Judges a folder of logs that stands alone: no run.json and no place in a tree says what it claims to be.

Its scenario, mode and round come from the log. Without a benchmark, only what every benchmark of the round demands in
that scenario is asked, and a note says what was left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from audit import (
    absent,
    accuracy,
    accuracy_counts,
    consistency,
    dates,
    figures,
    known,
    order,
    requested,
    rules,
    spans,
    stopping,
    summary,
    validity,
)
from audit.case import Case, Check, Claim
from audit.finding import Finding, Severity
from loadgen_harness import rounds
from loadgen_harness.errors import UnknownName
from loadgen_harness.run import Run
from loadgen_harness.types import Benchmark, Limits, Round, Rules, Scenario, Seeds, Variant

NAMELESS = Benchmark(
    name="unknown",
    title="a benchmark that nobody named",
    checker_name="unknown",
    variants={"": Variant("")},
    metrics=(),
    sample="one sample",
    response_dtype="",
    backends=(),
    precisions=(),
)
# What holds in every round, whatever its figures. Tests of old rounds could not help being INVALID.
SOUND: tuple[Check, ...] = (validity.result, validity.loadgen_errors, validity.mode)
TIMELESS: tuple[Check, ...] = (
    validity.scenario,
    *requested.CHECKS,
    *figures.CHECKS,
    *spans.CHECKS,
    *dates.CHECKS,
    *order.CHECKS,
    *stopping.CHECKS,
    *summary.CHECKS,
    *absent.CHECKS,
    *consistency.CHECKS,
)
MOST_TEXT = 1 << 20  # bytes of an accuracy.txt
SEEDS = ("qsl", "sample_index", "schedule")
UNSET = Seeds(0, 0, 0)


@dataclass(frozen=True)
class Said:
    """What the user says of a folder; empty where the log must tell."""

    round: str = ""
    benchmark: str = ""
    scenario: Scenario | None = None


@dataclass(frozen=True)
class Judged:
    """The findings of a folder, the round that it was judged by, and how that was known."""

    round: Round
    round_from: str
    benchmark: Benchmark
    findings: tuple[Finding, ...]


def check(run: Run, said: Said) -> Judged:
    """Judge one folder; raises UnknownName for a benchmark, or scenario of it, that the round does not have."""
    round_, why = _round(run, said.round)
    claim = Claim.of(run)
    claim = replace(claim, scenario=said.scenario or claim.scenario)
    if round_ is None:
        past = Round(name="", seeds=UNSET, benchmarks={})
        return Judged(past, why, NAMELESS, tuple(timeless(Case(run, NAMELESS, past, claim, Limits()))))
    if said.benchmark:
        benchmark = named(said.benchmark, round_)
        if claim.scenario:
            round_.limits(benchmark.name, claim.scenario)
        found = [*rules.check(run, benchmark, round_, claim), *_accuracy(run, benchmark, round_, claim.scenario)]
        return Judged(round_, why, benchmark, tuple(found))
    limits = least(round_, claim.scenario, issued_equally=bool(run.log.get("effective_sample_concatenate_permutation")))
    demands = Rules(targets=(), limits={claim.scenario: limits} if claim.scenario else {}, suites={})
    bare = replace(round_, benchmarks={NAMELESS.name: demands})
    return Judged(round_, why, NAMELESS, (*rules.check(run, NAMELESS, bare, claim), _unjudged()))


def timeless(case: Case) -> Iterator[Finding]:
    """What is wrong with a run by no round's figures: validity, and figures that contradict each other."""
    yield from rules.readable(case.run, case.claim)
    for each in TIMELESS if case.claim.test else (*SOUND, *TIMELESS):
        yield from each(case)


def named(name: str, round_: Round) -> Benchmark:
    """An official benchmark of a round under any of its names; raises UnknownName."""
    found = known.benchmarks(round_)
    for benchmark in found.values():
        if name in (benchmark.name, benchmark.checker_name) or round_.aliases.get(name) == benchmark.checker_name:
            return benchmark
    names = {*found, *(benchmark.name for benchmark in found.values()), *round_.aliases}
    raise UnknownName(f"benchmark of round {round_.name}", name, names)


def least(round_: Round, scenario: Scenario | None, *, issued_equally: bool = False) -> Limits:
    """What even the gentlest benchmark of a round demands in a scenario; one that demands nothing is left out."""
    own = rounds.load(rounds.OWN).benchmarks
    others = (each for name, each in round_.benchmarks.items() if name not in own)
    known_limits = [each.limits[scenario] for each in others if scenario in each.limits] if scenario else []
    percentiles = {limits.percentile for limits in known_limits}
    return Limits(
        min_duration_ms=_smallest(limits.min_duration_ms for limits in known_limits),
        min_query_count=_smallest(limits.min_query_count for limits in known_limits),
        performance_sample_count=_smallest(limits.performance_sample_count for limits in known_limits),
        samples_per_query=_smallest(limits.samples_per_query for limits in known_limits),
        percentile=percentiles.pop() if len(percentiles) == 1 else 0.0,
        equal_issue=issued_equally,
    )


def _smallest(figures: Iterable[int]) -> int:
    return min((figure for figure in figures if figure), default=0)


def _round(run: Run, name: str) -> tuple[Round | None, str]:
    """The round that was asked for, else that of the seeds (None where its rules are not here), else the newest."""
    if name:
        return rounds.load(name), "as asked"
    logged = {each: run.log.get(f"effective_{each}_rng_seed") for each in SEEDS}
    seeds = {each: seed for each, seed in logged.items() if seed is not None}  # MLPerf Endpoints has two of the three
    for each in reversed(rounds.official()):
        if seeds and seeds.items() <= vars(rounds.load(each).seeds).items():
            return rounds.load(each), "by its seeds"
    earlier = {past: own for each in rounds.official() for past, own in rounds.load(each).earlier.items()}
    past = next((past for past, own in earlier.items() if seeds and seeds.items() <= vars(own).items()), "")
    if past:
        return None, f"{past}, by its seeds"
    why = "its seeds are of no round that is known here" if seeds else "no log here says which"
    return rounds.load(rounds.official()[-1]), f"assumed, as the newest: {why}"


def _accuracy(run: Run, benchmark: Benchmark, round_: Round, scenario: Scenario | None) -> Iterator[Finding]:
    """The figures of an accuracy.txt that lies beside the logs."""
    text = run.read(accuracy.FILE, MOST_TEXT).decode("utf-8", "replace")
    if text.strip():
        yield from accuracy.judge_text(text, benchmark.metrics, round_.rules(benchmark.name), scenario=scenario)
        yield from accuracy_counts.check(text, accuracy_counts.answered(run))


def _unjudged() -> Finding:
    return Finding(
        check="round",
        severity=Severity.NOTE,
        file="",
        key="benchmark",
        found="not named",
        wanted="--benchmark NAME, and --scenario Interactive where that is meant",
        clause="this suite: a log does not say which benchmark it is of",
        fix="Name it: latency limits, sample counts and accuracy targets were not judged.",
    )
